//! `/debug`: why WeChat says "invalid signature".
//!
//! The page is a form that works without a script; with one, the form is filled in from the
//! fragment of the address (`#d=` and the question as JSON in base64) and the answer comes into
//! the page. Programs ask `/debug/check`.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, RawQuery};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::client_address::client_address;
use super::console::Visit;
use super::language::language;
use super::limits::client_key;
use super::openapi::{BACK_ENDS, OfQuestions, findings};
use super::own_address::OwnAddress;
use super::problem::{Code, Problem};
use super::{Gate, Peer};
use crate::client::Scope;
use crate::debugger::{Ask, Known, KnownAccount, Pasted, Report, SpanKind, Verdict, examine};
use crate::diagnosis::Mistake;
use crate::keeper::Kept;
use crate::roster::Caller;
use crate::signer::Signer;

/// So many questions a second from one address: each takes thousands of hashes.
pub(super) const QUESTIONS_PER_SECOND: u32 = 2;

/// The largest question: a whole script may be pasted, and the form writes each Chinese character
/// as nine.
pub(super) const MAX_QUESTION_BYTES: usize = 128 * 1024;

/// The tickets of so many other accounts are tried.
const MAX_OTHERS: usize = 16;

/// Only this server's own files, and its own form.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
    form-action 'self'";

/// In English and in Chinese.
const WHO_MAY_ASK: [&str; 2] = [
    "Sign in at the console, or give a client key with the scope status.",
    "请先登录控制台，或填写具有 status 权限的客户端密钥。",
];

#[derive(Template)]
#[template(path = "debug.html")]
struct Page {
    lang: &'static str,
    version: &'static str,
    /// WeChat is simulated: there is a demo, and everyone may ask.
    simulated: bool,
    signed_in: bool,
    /// There is a console to sign in at.
    has_console: bool,
    ask: Ask,
    real_auth_url: String,
    report: Option<Report>,
    /// Why there is none, in English and in Chinese.
    fault: Option<(String, String)>,
}

/// A question, as far as it says who asks.
pub(super) struct Asker {
    gate: Arc<Gate>,
    peer: IpAddr,
    headers: HeaderMap,
    /// As sent; empty where there is none.
    query: String,
    /// At the console.
    signed_in: bool,
}

impl FromRequestParts<Arc<Gate>> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        Ok(Self {
            gate: Arc::clone(gate),
            peer: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0),
            headers: parts.headers.clone(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            signed_in: Visit::of(parts, gate).is_signed_in().await,
        })
    }
}

/// `GET /debug`
pub(super) async fn page(asker: Asker) -> Result<Response, Problem> {
    show(StatusCode::OK, &Page::new(&asker))
}

#[derive(Template)]
#[template(path = "debug-elsewhere.html")]
struct Elsewhere {
    lang: &'static str,
    version: &'static str,
    address: String,
}

/// `GET /debug` where pages are served and operators are not: errors of pages lead here.
pub(super) async fn elsewhere(
    OwnAddress(address): OwnAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let page = Elsewhere {
        lang: language(&query.unwrap_or_default(), &headers),
        version: env!("CARGO_PKG_VERSION"),
        address,
    };
    show(StatusCode::OK, &page)
}

/// `POST /debug`: the form, without a script.
pub(super) async fn posted(
    mut asker: Asker,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|fault| Problem::unreadable_above(MAX_QUESTION_BYTES, fault))?;
    let mut page = Page::new(&asker);
    let mut key = String::new();
    for (name, value) in form_urlencoded::parse(&body) {
        let field = match &*name {
            "url" => &mut page.ask.url,
            "landing" => &mut page.ask.landing,
            "config" => &mut page.ask.config,
            "errMsg" => &mut page.ask.err_msg,
            "ua" => &mut page.ask.user_agent,
            "realAuthUrl" => &mut page.real_auth_url,
            "key" => &mut key,
            _ => continue,
        };
        *field = value.into_owned();
    }
    page.ask.real_auth_url = addresses(&page.real_auth_url);
    if let Ok(value) = HeaderValue::try_from(format!("Bearer {}", key.trim()))
        && !key.is_empty()
    {
        asker.headers.insert(AUTHORIZATION, value);
    }
    let mut status = StatusCode::OK;
    match answer(&asker, page.ask.clone()).await {
        Ok(report) => page.report = Some(report),
        Err(Refused::Unreadable(en, zh)) => {
            status = StatusCode::BAD_REQUEST;
            page.fault = Some((en, zh));
        }
        Err(Refused::Problem(problem)) if problem.code() == Code::KeyRequired => {
            status = problem.code().status();
            let [en, zh] = WHO_MAY_ASK.map(str::to_owned);
            page.fault = Some((en, zh));
        }
        Err(Refused::Problem(problem)) => {
            status = problem.code().status();
            let (title, detail) = (problem.code().title(), problem.detail());
            let told = format!("{title}: {detail}");
            page.fault = Some((told.clone(), told));
        }
    }
    show(status, &page)
}

/// Says why WeChat refuses a `wx.config`.
///
/// Its signature is made anew with the account's tickets and with every classic mistake until one
/// fits.
// No key is needed in the demo, nor by who is signed in at the console.
#[utoipa::path(post, path = "/debug/check", tag = BACK_ENDS, security(("client_key" = ["status"]), ()),
    request_body = findings::Question,
    responses((status = 200, description = "What was found.", body = findings::Findings), OfQuestions))]
pub(super) async fn check(
    asker: Asker,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|fault| Problem::unreadable_above(MAX_QUESTION_BYTES, fault))?;
    let ask: Ask = serde_json::from_slice(&body).map_err(|error| {
        let example = r#"{"url": "https://…", "config": {…}, "realAuthUrl": […], "errMsg": "…"}"#;
        Problem::new(Code::InvalidBody, format!("{error}; send {example}"))
    })?;
    let report = answer(&asker, ask).await;
    let report = report.map_err(|refused| match refused {
        Refused::Problem(problem) => problem,
        Refused::Unreadable(en, _) => Problem::new(Code::InvalidBody, en),
    })?;
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(report)).into_response())
}

/// Why a question is not answered.
enum Refused {
    Problem(Problem),
    /// What was pasted cannot be read; in English and in Chinese.
    Unreadable(String, String),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

async fn answer(asker: &Asker, ask: Ask) -> Result<Report, Refused> {
    let viewer = may_debug(asker)?;
    admit(asker)?;
    let gate = &asker.gate;
    let pasted = ask
        .read()
        .map_err(|fault| Refused::Unreadable(fault.english(), fault.chinese()))?;
    let known = known(gate, &viewer, &pasted);
    let examining = tokio::task::spawn_blocking(move || examine(&ask, &pasted, &known));
    let lost = |_| Problem::new(Code::InternalError, "the search broke off");
    let mut report = examining.await.map_err(lost)?;
    if gate.app.simulator.is_some() {
        report.lints.retain(|lint| !lint.code.is_fine_at_home());
    }
    Ok(report)
}

/// Who debugs.
enum Viewer {
    /// WeChat is simulated, or it is the operator: all accounts may be seen.
    Anyone,
    Client(Arc<Caller>),
}

impl Viewer {
    fn may_see(&self, kept: &Kept) -> bool {
        match self {
            Self::Anyone => true,
            Self::Client(caller) => caller.client.accounts.allow(&kept.account.appid),
        }
    }
}

/// Whether who asks may debug: in the demo everyone, else who is signed in at the console, or a
/// client that may see how its accounts fare.
fn may_debug(asker: &Asker) -> Result<Viewer, Problem> {
    let Asker {
        gate,
        headers,
        query,
        peer,
        ..
    } = asker;
    if gate.app.simulator.is_some() || asker.signed_in {
        return Ok(Viewer::Anyone);
    }
    let caller = gate.authenticate(headers, query, *peer)?;
    caller.needs(Scope::Status)?;
    Ok(Viewer::Client(caller))
}

/// Counts the question.
fn admit(asker: &Asker) -> Result<(), Problem> {
    let Asker {
        gate,
        headers,
        peer,
        ..
    } = asker;
    let from = client_address(*peer, headers, &gate.app.trusted_proxies);
    // As for signatures: a program on this machine is not limited.
    let Some(limit) = gate.questions.as_ref().filter(|_| !from.is_loopback()) else {
        return Ok(());
    };
    let now = gate.app.keeper.clock().moment();
    limit.admit(client_key(from), now.boot).map_err(|wait| {
        let detail = "too many questions came from this address: ask again after the time in \
                      Retry-After";
        Problem::too_many(detail, wait)
    })
}

/// What the search may use: the tickets of the accounts that the viewer may see.
fn known(gate: &Gate, viewer: &Viewer, pasted: &Pasted) -> Known {
    let accounts = gate.app.keeper.accounts();
    let now = gate.app.keeper.clock().moment();
    let visible = |kept: &&Arc<Kept>| viewer.may_see(kept);
    let kept = match pasted.app_id() {
        "" => accounts.only(),
        appid => accounts.get(appid),
    };
    let kept = kept.filter(visible);
    let account = kept.map(|kept| {
        let snapshot = kept.snapshot();
        let value = |served: &crate::keeper::Served| served.credential.value.clone();
        let appid = &kept.account.appid;
        // The simulated WeChat knows which tickets it takes no more; the former one may live on.
        let is_real = gate.app.simulator.is_none();
        let former = gate.app.keeper.former_signer(appid).filter(|_| is_real);
        let former = former.map(|signer| (Mistake::FormerTicket, signer));
        let simulated = gate.app.simulator.iter();
        let simulated = simulated.flat_map(|simulator| simulator.wrong_tickets(appid));
        let simulated = simulated.map(|(mistake, ticket)| (mistake, Signer::new(&ticket)));
        KnownAccount {
            ticket: snapshot.ticket(now).map(value),
            wrong: former.into_iter().chain(simulated).collect(),
            token: snapshot.token(now).map(value),
            hosts: hosts(kept),
        }
    });
    let is_other = |other: &&Arc<Kept>| other.account.appid.as_str() != pasted.app_id();
    let others = accounts.iter().filter(is_other).filter(visible);
    let others = others.filter_map(|other| {
        let signer = other.snapshot().signer(now)?.clone();
        Some((other.account.appid.clone(), signer))
    });
    Known {
        account,
        others: others.take(MAX_OTHERS).collect(),
    }
}

/// The hosts of an account's pages, without patterns and ports.
fn hosts(kept: &Kept) -> Vec<String> {
    let patterns = kept.account.page_hosts.patterns().into_iter();
    let names = patterns.filter(|pattern| !pattern.contains(['*', ':']));
    names.take(MAX_OTHERS).collect()
}

/// The addresses in a text: a list of JSON, or one after the other.
fn addresses(text: &str) -> Vec<String> {
    let listed = serde_json::from_str::<Vec<String>>(text);
    listed.unwrap_or_else(|_| {
        let words = text.split_whitespace();
        let words = words.map(|word| word.trim_matches(['"', '\'', ',', '[', ']']));
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    })
}

fn show(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    let html = page
        .render()
        .map_err(|error| Problem::new(Code::InternalError, error.to_string()))?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((status, headers, html).into_response())
}

impl Page {
    fn new(asker: &Asker) -> Self {
        let app = &asker.gate.app;
        Self {
            lang: language(&asker.query, &asker.headers),
            version: env!("CARGO_PKG_VERSION"),
            simulated: app.simulator.is_some(),
            signed_in: asker.signed_in,
            has_console: app.console.is_some(),
            ask: Ask::default(),
            real_auth_url: String::new(),
            report: None,
            fault: None,
        }
    }

    /// The address of this page in that language.
    fn in_language(&self, lang: &str) -> String {
        format!("/debug?lang={lang}")
    }

    fn state(report: &Report) -> &'static str {
        match report.verdict {
            Verdict::Right if report.is_contradicted() => "warning",
            Verdict::Right => "ok",
            Verdict::Wrong => "failed",
            Verdict::Unknown => "warning",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_a_list_or_a_text() {
        let both = ["https://a.example/?x=1,2", "https://b.example/"];
        for text in [
            r#"["https://a.example/?x=1,2", "https://b.example/"]"#,
            "https://a.example/?x=1,2\nhttps://b.example/\n",
            "\"https://a.example/?x=1,2\", https://b.example/",
        ] {
            assert_eq!(addresses(text), both, "{text}");
        }
        assert!(addresses(" ").is_empty());
    }
}
