use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::Value;

use super::sign::{read_text, ticket_in};
use super::{Failure, answer, block_on};
use crate::account::AppId;
use crate::credential::Secret;
use crate::debugger::{Ask, Known, KnownAccount, examine};
use crate::upstream::neighbour::post_json;

/// Say why WeChat calls a signature invalid
///
/// Makes the signature of a wx.config anew, rightly and with every classic mistake, and names the
/// one that fits. Exit code 0: it is right; 3: it is not, or that cannot be told.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  wxsign debug --url 'https://h5.example.com/page?id=1' --config config.js \\
    --ticket-file ticket.txt
  pbpaste | wxsign debug --url 'https://h5.example.com/' --config - --server http://127.0.0.1:8080")]
pub(super) struct DebugArgs {
    /// Address of the page, as location.href has it
    #[arg(long)]
    url: String,
    /// A file that holds what wx.config (or at WeCom wx.agentConfig) was given, JSON or JavaScript,
    /// or - for stdin
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Address at which the page was entered, if it is another one
    #[arg(long, value_name = "URL")]
    landing: Option<String>,
    /// An address that WeChat compared, from realAuthUrl of the error; repeat for more
    #[arg(long = "real-auth-url", value_name = "URL")]
    real_auth_urls: Vec<String>,
    /// What WeChat said, errMsg of the error
    #[arg(long, value_name = "MESSAGE")]
    err_msg: Option<String>,
    /// The user agent of the phone
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// The account that the ticket is of [default: the one that the wx.config names]
    #[arg(long, requires = "ticket_file")]
    appid: Option<AppId>,
    #[command(flatten)]
    source: Source,
    /// A file that holds a client key with the scope status, for --server [env:
    /// WXSIGN_CLIENT_KEY]
    #[arg(long, value_name = "FILE", requires = "server")]
    key_file: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// The language of the findings [default: that of LANG]
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// A file that holds the account's jsapi_ticket (for wx.agentConfig that of the app), or - for
    /// stdin
    #[arg(long, value_name = "FILE")]
    ticket_file: Option<PathBuf>,
    /// A running wxsign, which tries the tickets that it holds
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lang {
    En,
    Zh,
}

impl Lang {
    fn of_environment() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
        let mut set = set.filter_map(|name| std::env::var(name).ok());
        let first = set.find(|value| !value.is_empty()).unwrap_or_default();
        if first.starts_with("zh") {
            Self::Zh
        } else {
            Self::En
        }
    }

    /// One of two texts.
    fn of<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }
}

pub(super) fn run(args: DebugArgs) -> Result<(), Failure> {
    let stdin = Path::new("-");
    if args.config == stdin && args.source.ticket_file.as_deref() == Some(stdin) {
        let both = "only one of --config and --ticket-file can be - (stdin)";
        return Err(Failure::Usage(both.to_owned()));
    }
    let lang = args.lang.unwrap_or_else(Lang::of_environment);
    let ask = Ask {
        config: read_text(&args.config, "the wx.config")?,
        url: args.url,
        landing: args.landing.unwrap_or_default(),
        real_auth_url: args.real_auth_urls,
        err_msg: args.err_msg.unwrap_or_default(),
        user_agent: args.user_agent.unwrap_or_default(),
    };
    let report = match (&args.source.ticket_file, &args.source.server) {
        (Some(path), _) => here(&ask, &ticket_in(path)?, args.appid.as_ref(), lang)?,
        (None, Some(server)) => elsewhere(&ask, server, args.key_file.as_deref())?,
        (None, None) => Value::Null,
    };
    let text = if args.json {
        format!("{report:#}\n")
    } else {
        written(&report, lang)
    };
    answer(&text)?;
    match report["verdict"].as_str() {
        Some("right") => Ok(()),
        _ => Err(Failure::Told),
    }
}

/// With the one ticket that is at hand.
fn here(ask: &Ask, ticket: &Secret, appid: Option<&AppId>, lang: Lang) -> Result<Value, Failure> {
    let pasted = ask.read().map_err(|fault| {
        let (en, zh) = (fault.english(), fault.chinese());
        Failure::Usage(lang.of(&en, &zh).to_owned())
    })?;
    // At WeCom a wx.config names the corporation, not the app.
    let is_meant = appid.is_none_or(|appid| pasted.is_of(appid));
    let known = Known {
        account: is_meant.then(|| KnownAccount {
            tickets: vec![ticket.clone()],
            ..KnownAccount::default()
        }),
        others: Vec::new(),
    };
    let report = examine(ask, &pasted, &known);
    serde_json::to_value(report).map_err(|why| Failure::Other(format!("cannot write JSON: {why}")))
}

/// With the tickets of a running server.
fn elsewhere(ask: &Ask, server: &str, key_file: Option<&Path>) -> Result<Value, Failure> {
    let key = match key_file {
        Some(path) => Some(Secret::new(read_text(path, "the client key")?.trim())),
        None => std::env::var("WXSIGN_CLIENT_KEY").ok().map(Secret::new),
    };
    let body = serde_json::to_vec(ask)
        .map_err(|why| Failure::Other(format!("cannot write JSON: {why}")))?;
    let mut report = Value::Null;
    block_on(async {
        let asked = post_json(server, "/debug/check", key.as_ref(), body).await;
        let (status, answer) = asked.map_err(Failure::Other)?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status != 200 {
            let detail = answer["detail"].as_str();
            let detail = detail.unwrap_or("it is not a wxsign that has /debug/check");
            let told = format!("{server} answered {status}: {detail}");
            return Err(match status {
                400 => Failure::Usage(told),
                _ => Failure::Other(told),
            });
        }
        report = answer;
        Ok(())
    })?;
    Ok(report)
}

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// A report for people. What differs is in brackets too, for those who see no colours.
fn written(report: &Value, lang: Lang) -> String {
    let text = |value: &Value, name: &str| {
        let name = format!("{name}_{}", lang.of("en", "zh"));
        value[name].as_str().unwrap_or_default().to_owned()
    };
    let list = |name: &str| report[name].as_array().map_or(&[][..], Vec::as_slice);
    let color = match report["verdict"].as_str() {
        Some("right") => GREEN,
        Some("wrong") => RED,
        _ => YELLOW,
    }
    .bold();
    let mut out = format!("{color}{}{color:#}\n", text(report, "summary"));
    for found in list("mistakes") {
        let code = found["code"].as_str().unwrap_or_default();
        let _ = write!(
            out,
            "\n{BOLD}{code}{BOLD:#}\n  {}\n",
            text(found, "message")
        );
        if let Some(evidence) = found["evidence"].as_str() {
            let _ = writeln!(out, "  {FAINT}{}{FAINT:#}", evidence.escape_debug());
        }
    }
    let error = &report["sdk_error"];
    if let Some(says) = error["says"].as_str() {
        let (cause, remedy) = (text(error, "cause"), text(error, "remedy"));
        let _ = write!(out, "\n{BOLD}{says}{BOLD:#}\n  {cause}\n  {remedy}\n");
    }
    for (name, en, zh) in [
        ("signed", "What was signed", "实际签名的字符串"),
        ("expected", "What is to be signed", "应签名的字符串"),
    ] {
        // Both are the same where nothing is wrong.
        let is_second = name == "expected" && report["verdict"] == "right";
        if !list(name).is_empty() && !is_second {
            let heading = lang.of(en, zh);
            let _ = write!(out, "\n{BOLD}{heading}{BOLD:#}\n  {}\n", marked(list(name)));
        }
    }
    for lint in list("lints") {
        let note = lang.of("note", "注意");
        let _ = write!(
            out,
            "\n{YELLOW}{note}:{YELLOW:#} {}\n",
            text(lint, "message")
        );
    }
    out
}

fn marked(spans: &[Value]) -> String {
    let mut out = String::new();
    for span in spans {
        let text = span["text"].as_str().unwrap_or_default();
        let _ = match span["kind"].as_str() {
            Some("removed") => write!(out, "{RED}[-{text}-]{RED:#}"),
            Some("added") => write!(out, "{GREEN}{{+{text}+}}{GREEN:#}"),
            _ => write!(out, "{text}"),
        };
    }
    out
}
