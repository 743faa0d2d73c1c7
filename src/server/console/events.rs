//! What happened, the newest first.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::visit::{Operator, Visit};
use super::words::{Lang, in_china};
use super::{Shell, show};
use crate::account::AppId;
use crate::credential::Kind;
use crate::history::{CLI, CONSOLE, Event, Query, What};
use crate::store::EventId;
use crate::upstream::{Api, explain_line};

/// How many events a page has.
const PAGE: u32 = 50;

/// How many an account's page has.
const OF_ACCOUNT: u32 = 20;

/// An event as a list shows it.
pub(super) struct Row {
    pub(super) at: String,
    pub(super) tone: &'static str,
    pub(super) what: String,
    pub(super) appid: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) node: String,
}

impl Row {
    fn of(event: Event, lang: Lang) -> Self {
        Self {
            at: in_china(event.at()),
            tone: tone(&event.what),
            what: tell(lang, &event.what),
            actor: event.actor.map(|actor| match actor.as_str() {
                CONSOLE => lang.t("控制台", "the console").to_owned(),
                CLI => lang.t("命令行", "the command line").to_owned(),
                _ => actor,
            }),
            appid: event.appid.map(String::from),
            node: event.node,
        }
    }
}

const fn tone(what: &What) -> &'static str {
    match what {
        What::RenewalFailed { .. } => "bad",
        What::ForeignNoticed | What::PageReported { .. } | What::LoginRefused { .. } => "note",
        What::Renewed { .. } | What::Recovered { .. } | What::ForeignOver => "ok",
        _ => "busy",
    }
}

#[derive(Template)]
#[template(path = "console/events.html")]
struct Page {
    shell: Shell,
    rows: Vec<Row>,
    text: String,
    appid: String,
    kinds: Vec<KindOption>,
    older: Option<String>,
    is_newest: bool,
    is_on: bool,
    fault: Option<String>,
}

struct KindOption {
    name: &'static str,
    words: &'static str,
    is_on: bool,
}

/// What may be looked for, by the beginning of its name.
const KINDS: [(&str, &str, &str); 9] = [
    ("", "全部", "Everything"),
    ("renewal", "续期", "Renewals"),
    ("renewal.failed", "续期失败", "Failed renewals"),
    ("foreign", "其他程序", "Other programs"),
    ("token.reported", "后端报告", "Reports of back ends"),
    ("page.reported", "网页报告", "Reports of pages"),
    ("account", "账号变更", "Changes of accounts"),
    ("client", "密钥变更", "Changes of keys"),
    ("console", "控制台", "The console"),
];

/// `GET /console/events`
pub(super) async fn page(Operator(visit): Operator) -> Response {
    let (what, text, appid) = (
        visit.argument("what"),
        visit.argument("text").trim().to_owned(),
        visit.argument("appid").trim().to_owned(),
    );
    let before = visit.argument("before").parse::<EventId>().ok();
    let query = Query {
        appid: appid.parse().ok(),
        what: Some(what.clone()).filter(|what| !what.is_empty()),
        text: Some(text.clone()).filter(|text| !text.is_empty()),
        before,
        limit: PAGE,
        ..Query::default()
    };
    let is_unfit = !appid.is_empty() && query.appid.is_none();
    let found = query.find(&visit.gate.app.store, |_| true).await;
    let (rows, next, fault) = match found {
        Ok(_) if is_unfit => {
            let fault = visit.t("这不是一个 AppID", "This is no AppID");
            (Vec::new(), None, Some(format!("{fault}: {appid}")))
        }
        Ok(found) => {
            let rows = found.events.into_iter();
            let rows = rows.map(|event| Row::of(event, visit.lang)).collect();
            (rows, found.next, None)
        }
        Err(error) => {
            let fault = visit.t("历史记录无法读取", "The history cannot be read");
            (Vec::new(), None, Some(format!("{fault}: {error}")))
        }
    };
    let older = next.map(|next| {
        let mut arguments = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("what", &what), ("text", &text), ("appid", &appid)] {
            if !value.is_empty() {
                arguments.append_pair(name, value);
            }
        }
        arguments.append_pair("before", &next.to_string());
        format!("/console/events?{}", arguments.finish())
    });
    let kinds = KINDS.map(|(name, zh, en)| KindOption {
        name,
        words: visit.lang.t(zh, en),
        is_on: name == what,
    });
    let page = Page {
        shell: Shell::new(&visit, "events"),
        rows,
        text,
        appid,
        kinds: kinds.into(),
        older,
        is_newest: before.is_none(),
        is_on: visit.gate.app.history.is_on(),
        fault,
    };
    show(StatusCode::OK, &page)
}

/// What happened to an account lately.
pub(super) async fn of_account(visit: &Visit, appid: &AppId) -> Vec<Row> {
    let query = Query {
        appid: Some(appid.clone()),
        limit: OF_ACCOUNT,
        ..Query::default()
    };
    let found = query.find(&visit.gate.app.store, |_| true).await;
    let events = found.map(|found| found.events).unwrap_or_default();
    let rows = events.into_iter().map(|event| Row::of(event, visit.lang));
    rows.collect()
}

/// What happened, in words: in English mostly as the history tells it, but for times, which stand
/// beside others of China here.
fn tell(lang: Lang, what: &What) -> String {
    match what {
        What::Renewed {
            kind,
            generation,
            fingerprint,
            expires_at,
        } => {
            let until = in_china(*expires_at);
            match lang {
                Lang::Zh => {
                    format!("{kind} 已续期：第 {generation} 代，指纹 {fingerprint}，有效至 {until}")
                }
                Lang::En => format!(
                    "{kind} renewed: generation {generation}, fingerprint {fingerprint}, good \
                     until {until}"
                ),
            }
        }
        What::RenewalFailed {
            kind,
            error,
            errcode,
            errmsg,
            next_at,
            times,
            ..
        } => {
            let why = why(lang, *kind, error, errcode.zip(errmsg.as_deref()));
            let next = in_china(*next_at);
            let again = match (times, lang) {
                (0 | 1, _) => String::new(),
                (_, Lang::Zh) => format!("；自上次记录以来共 {times} 次"),
                (_, Lang::En) => format!("; {times} times since it was last told"),
            };
            match lang {
                Lang::Zh => format!("{kind} 续期失败：{why}；下次重试 {next}{again}"),
                Lang::En => format!("{kind} not renewed: {why}; next try {next}{again}"),
            }
        }
        What::TokenReported { errcode, outcome } => {
            let outcome = came_of_it(lang, outcome);
            match lang {
                Lang::Zh => format!("后端报告 access_token 不可用（errcode {errcode}）：{outcome}"),
                Lang::En => format!("access_token reported for errcode {errcode}: {outcome}"),
            }
        }
        what if lang == Lang::En => what.to_string(),
        what => in_chinese(what),
    }
}

/// Why a renewal failed, with WeChat's words if it `said` any.
fn why(lang: Lang, kind: Kind, error: &str, said: Option<(i64, &str)>) -> String {
    let api = Api::of_line(error).unwrap_or(match kind {
        Kind::AccessToken => Api::Token,
        Kind::JsapiTicket | Kind::CardTicket | Kind::AgentTicket => Api::GetTicket,
    });
    let explanation = explain_line(api, said.map(|(errcode, _)| errcode), error);
    let details = match said {
        Some((errcode, errmsg)) => format!("{errcode} {errmsg}"),
        None => error.to_owned(),
    };
    let what = lang.text(&explanation.what);
    match lang {
        Lang::Zh => format!("{what}（{details}）"),
        Lang::En => format!("{what} ({details})"),
    }
}

/// What came of a report; a later version may know more.
fn came_of_it(lang: Lang, outcome: &str) -> &str {
    let (zh, en) = match outcome {
        "outdated" => ("已有更新的 token", "there was a newer one already"),
        "still_valid" => (
            "微信仍接受它，错在调用本身",
            "WeChat accepts it: the call itself is at fault",
        ),
        "renewed" => ("确已失效，已换新", "WeChat rejected it: it was replaced"),
        "unverified" => ("未能及时向微信核实", "WeChat could not be asked in time"),
        "unknown_token" => ("不是这里发出的 token", "it was not given out here lately"),
        "not_about_the_token" => (
            "这个 errcode 与 token 无关",
            "this errcode says nothing about the token",
        ),
        "no_token" => ("此时没有 token", "there was no token"),
        other => (other, other),
    };
    lang.t(zh, en)
}

/// What the history tells in English alone.
fn in_chinese(what: &What) -> String {
    match what {
        What::Recovered { kind } => format!("{kind}：续期恢复正常"),
        What::ForeignNoticed => "有其他程序在用同一个 AppSecret 获取 token".to_owned(),
        What::ForeignOver => "已有一天没有再发现其他程序获取 token".to_owned(),
        What::PageReported { host, err_msg } => format!("{host} 的网页收到 {err_msg:?}"),
        What::AccountAdded => "添加账号".to_owned(),
        What::AccountChanged => "修改账号".to_owned(),
        What::AccountRemoved => "移除账号".to_owned(),
        What::AccountsRekeyed { accounts } => {
            format!("{accounts} 个账号的 AppSecret 已改用新的主密钥加密")
        }
        What::ClientAdded { client } => format!("新客户端 {client}"),
        What::ClientChanged { client } => format!("修改客户端 {client}"),
        What::ClientRotated { client } => format!("客户端 {client} 换了新密钥"),
        What::ClientRemoved { client } => format!("吊销客户端 {client}"),
        What::LoggedIn { address } => format!("从 {address} 登录"),
        What::LoginRefused { address } => format!("来自 {address} 的登录被拒绝：密码不正确"),
        What::LoggedOut { address } => format!("从 {address} 退出"),
        What::Revealed { kind, fingerprint } => {
            format!("查看了 {kind} 明文，指纹 {fingerprint}")
        }
        What::PasswordSet => "设置了控制台密码".to_owned(),
        // Those before are told in both languages at once.
        What::Renewed { .. }
        | What::RenewalFailed { .. }
        | What::TokenReported { .. }
        | What::Unknown => "当前版本无法识别的事件".to_owned(),
    }
}
