use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use tokio_util::sync::CancellationToken;

use super::{ConfigFlags, Failure, answer, config};
use crate::account::AppId;
use crate::app::App;
use crate::config::{Config, Faults, Loaded};
use crate::doctor::{self, Finding, Outcome, Step};
use crate::keeper::Node;
use crate::store::Store;
use crate::upstream::Words;

/// Try configuration, store and WeChat, and say how to mend what fails
///
/// It takes nothing away from a server that runs: no token is superseded and nothing is stored.
/// Exit code 1 if something here is at fault, 3 if WeChat refuses, 78 for the configuration. In
/// Chinese where the locale is (LANG=zh_CN.UTF-8).
#[derive(clap::Args)]
#[command(after_help = "Example: wxsign doctor --config /etc/wxsign/wxsign.toml")]
pub(super) struct DoctorArgs {
    /// Try this account alone
    appid: Option<AppId>,
    /// As JSON: [{"step": …, "outcome": "good", "what": {"zh": …, "en": …}, …}, …]
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: ConfigFlags,
}

pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let loaded = args.flags.load();
    let loaded = loaded.and_then(|loaded| super::load_tls(&loaded).map(|_| loaded));
    let loaded = match loaded {
        Err(Failure::Config(faults)) if args.json => {
            show(&of_faults(&faults), true)?;
            return Err(Failure::Config(faults));
        }
        loaded => loaded?,
    };
    let mut findings = of_config(&loaded);
    super::block_on(async {
        findings.extend(examine(loaded.config, args.appid.as_ref()).await?);
        Ok(())
    })?;
    show(&findings, args.json)?;
    verdict(&findings)
}

async fn examine(config: Config, appid: Option<&AppId>) -> Result<Vec<Finding>, Failure> {
    let (store, mut findings) = doctor::open(&config);
    let is_there = store.is_some();
    let store = store.unwrap_or_else(Store::memory);
    // Nobody runs the queue, so nothing is renewed here.
    let node = Node::of_process(std::process::id());
    let (app, _queue) = App::of_store(config, store, node, None, CancellationToken::new())
        .map_err(|error| Failure::Other(error.to_string()))?;
    if is_there {
        app.store.reached(super::database::PATIENCE).await;
        app.roster.reload().await;
    }
    if let Some(appid) = appid
        && !app
            .keeper
            .accounts()
            .iter()
            .any(|kept| kept.account.appid == *appid)
    {
        let what = format!("no account {appid} is there: wxsign account list shows all");
        return Err(Failure::Other(what));
    }
    if is_there {
        findings.push(doctor::examine_store(&app).await);
    }
    findings.extend(doctor::examine_wechat(&app, appid).await);
    Ok(findings)
}

fn of_config(loaded: &Loaded) -> Vec<Finding> {
    let summary = config::summary(loaded);
    let summary = summary.trim_end().trim_start_matches("ok: ");
    let warnings = loaded.warnings.iter().map(|warning| {
        let warning = warning.to_string();
        Finding::new(Step::Configuration, Outcome::Warning, &warning, &warning)
    });
    let good = Finding::new(Step::Configuration, Outcome::Good, summary, summary);
    [good].into_iter().chain(warnings).collect()
}

fn of_faults(faults: &Faults) -> Vec<Finding> {
    let faults = faults.iter().map(|fault| {
        let fault = fault.to_string();
        Finding::new(Step::Configuration, Outcome::Bad, &fault, &fault)
    });
    faults.collect()
}

fn show(findings: &[Finding], as_json: bool) -> Result<(), Failure> {
    if as_json {
        return super::database::show(findings, true, |_| String::new());
    }
    let in_chinese = speaks_chinese();
    let mut text = String::new();
    for finding in findings {
        write_out(&mut text, finding, in_chinese).expect("a String can always be written to");
    }
    answer(&text)
}

fn write_out(text: &mut String, finding: &Finding, in_chinese: bool) -> std::fmt::Result {
    let say = |words: &Words| match in_chinese {
        true => words.zh.clone(),
        false => words.en.clone(),
    };
    let label = |zh: &'static str, en: &'static str| if in_chinese { zh } else { en };
    let (color, mark) = match finding.outcome {
        Outcome::Good => (AnsiColor::Green, label("正常", "ok  ")),
        Outcome::Note => (AnsiColor::Cyan, label("提示", "note")),
        Outcome::Warning => (AnsiColor::Yellow, label("警告", "warn")),
        Outcome::Bad => (AnsiColor::Red, label("失败", "FAIL")),
    };
    let mark_style = color.on_default().bold();
    let (zh, en) = finding.step.name();
    let step = label(zh, en);
    let of = finding.appid.as_ref();
    let of = of.map(|appid| format!("{appid} ")).unwrap_or_default();
    let what = say(&finding.what);
    writeln!(text, "{mark_style}{mark}{mark_style:#}  {of}{step}: {what}")?;
    if finding.outcome < Outcome::Warning {
        return Ok(());
    }
    const DIM: Style = Style::new().dimmed();
    const BOLD: Style = Style::new().bold();
    if let Some(said) = &finding.said {
        writeln!(
            text,
            "      {DIM}{}  {said}{DIM:#}",
            label("原文", "said  ")
        )?;
    }
    if let Some(why) = &finding.why {
        writeln!(text, "      {}  {}", label("原因", "why   "), say(why))?;
    }
    if let Some(remedy) = &finding.remedy {
        let remedy = say(remedy);
        writeln!(
            text,
            "      {BOLD}{}  {remedy}{BOLD:#}",
            label("处理", "remedy")
        )?;
    }
    if let Some(link) = finding.link {
        writeln!(text, "      {}  {link}", label("文档", "page  "))?;
    }
    Ok(())
}

/// What the exit code says: here, or at WeChat's.
fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let bad = || {
        findings
            .iter()
            .filter(|found| found.outcome == Outcome::Bad)
    };
    let count = bad().count();
    let plural = if count == 1 { "" } else { "s" };
    let said = format!("{count} step{plural} failed");
    match bad().find(|found| !found.step.is_wechats()) {
        Some(_) => Err(Failure::Other(said)),
        None if count > 0 => Err(Failure::Refused(said)),
        None => Ok(()),
    }
}

/// Whether the locale is Chinese
/// (<https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html>).
fn speaks_chinese() -> bool {
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
    let mut set = variables.filter_map(|name| std::env::var(name).ok());
    let locale = set.find(|value| !value.is_empty());
    locale.is_some_and(|locale| locale.starts_with("zh"))
}
