//! What happened, the newest first.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::visit::{Operator, Visit};
use super::words::{Lang, in_china};
use super::{Shell, show};
use crate::account::AppId;
use crate::history::{CLI, CONSOLE, Event, Query, What};
use crate::store::EventId;

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
    ("foreign", "别的程序", "Other programs"),
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
    let found = query.find(&visit.gate.app.store, |_| true).await;
    let (rows, next, fault) = match found {
        Ok(found) => {
            let rows = found.events.into_iter();
            let rows = rows.map(|event| Row::of(event, visit.lang)).collect();
            (rows, found.next, None)
        }
        Err(error) => (Vec::new(), None, Some(error.to_string())),
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

/// What happened, in words.
fn tell(lang: Lang, what: &What) -> String {
    match lang {
        Lang::Zh => in_chinese(what),
        Lang::En => in_english(what),
    }
}

/// As the history tells it, but for times, which stand beside others of China here.
fn in_english(what: &What) -> String {
    match what {
        What::Renewed {
            kind,
            generation,
            fingerprint,
            expires_at,
        } => format!(
            "{kind} renewed: generation {generation}, fingerprint {fingerprint}, good until {}",
            in_china(*expires_at)
        ),
        What::RenewalFailed {
            kind,
            error,
            next_at,
            times,
            ..
        } => {
            let again = match times {
                0 | 1 => String::new(),
                _ => format!("; {times} times since it was last told"),
            };
            format!(
                "{kind} not renewed: {error}; next try {}{again}",
                in_china(*next_at)
            )
        }
        what => what.to_string(),
    }
}

fn in_chinese(what: &What) -> String {
    match what {
        What::Renewed {
            kind,
            generation,
            fingerprint,
            expires_at,
        } => format!(
            "{kind} 已续期：第 {generation} 代，指纹 {fingerprint}，有效至 {}",
            in_china(*expires_at)
        ),
        What::RenewalFailed {
            kind,
            error,
            next_at,
            times,
            ..
        } => {
            let again = match times {
                0 | 1 => String::new(),
                _ => format!("；上次记录以来共 {times} 次"),
            };
            format!(
                "{kind} 续期失败：{error}；下次重试 {}{again}",
                in_china(*next_at)
            )
        }
        What::Recovered { kind } => format!("{kind}：续期恢复正常"),
        What::ForeignNoticed => "另一个程序在用这个 AppSecret 获取 token".to_owned(),
        What::ForeignOver => "一天来没有再发现别的程序获取 token".to_owned(),
        What::PageReported { host, err_msg } => format!("{host} 的网页收到 {err_msg:?}"),
        What::TokenReported { errcode, outcome } => {
            format!("后端报告 access_token 被拒绝（errcode {errcode}）：{outcome}")
        }
        What::AccountAdded => "加入账号".to_owned(),
        What::AccountChanged => "修改账号".to_owned(),
        What::AccountRemoved => "移除账号".to_owned(),
        What::AccountsRekeyed { accounts } => {
            format!("{accounts} 个账号的 AppSecret 已用新的主密钥封存")
        }
        What::ClientAdded { client } => format!("新客户端 {client}"),
        What::ClientChanged { client } => format!("修改客户端 {client}"),
        What::ClientRotated { client } => format!("客户端 {client} 换了新密钥"),
        What::ClientRemoved { client } => format!("吊销客户端 {client}"),
        What::LoggedIn { address } => format!("从 {address} 登录"),
        What::LoginRefused { address } => format!("从 {address} 登录被拒绝"),
        What::LoggedOut { address } => format!("从 {address} 退出"),
        What::Revealed { kind, fingerprint } => {
            format!("查看了 {kind} 的明文，指纹 {fingerprint}")
        }
        What::PasswordSet => "设置了控制台口令".to_owned(),
        What::Unknown => "这个版本不认识的事件".to_owned(),
    }
}
