//! `/console`: the pages for operators.
//!
//! Every page works without scripts; with them, what is shown follows what happens. Whoever wants
//! in shows the password of [`crate::console`]; what changes something must come from a page of
//! this console itself.

mod account;
mod cookies;
mod editing;
mod events;
mod examining;
mod health;
mod keys;
mod live;
mod login;
mod overview;
mod spark;
mod system;
mod trying;
mod visit;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::Gate;
use crate::account::AppId;
use crate::costly::Costly;
use cookies::set_lang;
use overview::Summary;
pub(super) use visit::Visit;
use visit::{Audited, Operator, is_from_here};
use words::Lang;

/// Everything comes from this server, nothing is written into the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the pages share.
#[derive(Default)]
pub(super) struct Desk {
    /// How all accounts fare, the worst first.
    summary: Costly<Arc<Summary>>,
    /// How often credentials were tried lately.
    trials: trying::Trials,
    /// When each account was last tried again by hand, on the boot clock.
    tried_again: Mutex<HashMap<AppId, Duration>>,
}

/// Every page of the console.
pub(super) fn routes(gate: &Arc<Gate>) -> Router<Arc<Gate>> {
    Router::new()
        .route("/console", get(overview::page))
        .route("/console/", get(overview::page))
        .route("/console/live", get(live::stream))
        .route("/console/login", get(login::page).post(login::sign_in))
        .route("/console/logout", post(login::sign_out).get(back))
        .route("/console/setup", get(login::setup).post(login::set_up))
        .route("/console/try", get(trying::page).post(trying::ask))
        .route(
            "/console/accounts/new",
            get(editing::new).post(editing::add),
        )
        .route("/console/accounts/{appid}", get(account::page))
        .route(
            "/console/accounts/{appid}/edit",
            get(editing::edit).post(editing::change),
        )
        .route(
            "/console/accounts/{appid}/remove",
            post(editing::remove).get(back),
        )
        .route(
            "/console/accounts/{appid}/renew",
            post(account::renew).get(back),
        )
        .route(
            "/console/accounts/{appid}/reveal",
            post(account::reveal).get(back),
        )
        .route(
            "/console/accounts/{appid}/doctor",
            post(examining::one).get(back),
        )
        .route("/console/events", get(events::page))
        .route("/console/keys", get(keys::page).post(keys::create))
        .route("/console/keys/{name}", post(keys::change).get(back))
        .route("/console/system", get(system::page))
        .route("/console/system/doctor", post(examining::all).get(back))
        .route("/console/demo", post(overview::demo).get(back))
        .route("/console/{*rest}", get(nothing_here))
        .layer(from_fn_with_state(Arc::clone(gate), guard))
}

/// Lets through what comes from a page of this console, and says on every answer what holds for
/// all of them.
async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let visit = Visit::of(&parts, &gate);
    let mut response = if reads || is_from_here(&parts) {
        next.run(Request::from_parts(parts, body)).await
    } else {
        let what = visit.t("请求被拒绝", "The request was refused");
        let why = visit.t(
            "它不是从本控制台的页面发出的。请回到控制台重新操作。如果 wxsign 在反向代理之后，代理须用 HTTPS，原样转发 Host，并发送 X-Forwarded-For 和 X-Forwarded-Proto。",
            "It was not sent by a page of this console. Go back to the console and do it there. A proxy in front of wxsign must use HTTPS, pass Host on as it is, and send X-Forwarded-For and X-Forwarded-Proto.",
        );
        visit.audit("send a form", "foreign_page", &Audited::default());
        message(&visit, StatusCode::FORBIDDEN, what, why)
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without any, browsers do not tell from which origin a form comes, not even ours
    // (<https://fetch.spec.whatwg.org/#append-a-request-origin-header>).
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("x-frame-options"),
        HeaderValue::from_static("DENY"),
    );
    if visit::argument(&visit.query, "lang").is_some() {
        headers.append(SET_COOKIE, set_lang(visit.lang));
    }
    response
}

/// What stands around every page.
struct Shell {
    lang: Lang,
    /// Which entry of the navigation it belongs to.
    section: &'static str,
    signed_in: bool,
    simulated: bool,
    /// The addresses of the same page in each language.
    in_zh: String,
    in_en: String,
    version: &'static str,
    node: String,
}

impl Shell {
    fn new(visit: &Visit, section: &'static str) -> Self {
        Self::at(visit, section, &visit.path, &visit.query)
    }

    /// The same for an answer to a form, which is shown at another address.
    fn at(visit: &Visit, section: &'static str, path: &str, query: &str) -> Self {
        let address = |lang: &str| {
            let mut arguments = form_urlencoded::Serializer::new(String::new());
            let kept = form_urlencoded::parse(query.as_bytes());
            arguments.extend_pairs(kept.filter(|(name, _)| name != "lang"));
            arguments.append_pair("lang", lang);
            format!("{path}?{}", arguments.finish())
        };
        Self {
            lang: visit.lang,
            section,
            signed_in: !section.is_empty(),
            simulated: visit.gate.app.simulator.is_some(),
            in_zh: address("zh"),
            in_en: address("en"),
            version: env!("CARGO_PKG_VERSION"),
            node: visit.gate.app.keeper.node().to_owned(),
        }
    }

    /// The text of the two that is in the reader's language.
    const fn t<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        self.lang.t(zh, en)
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "console/message.html")]
struct Message<'a> {
    shell: Shell,
    what: &'a str,
    why: &'a str,
}

fn message(visit: &Visit, status: StatusCode, what: &str, why: &str) -> Response {
    let shell = Shell::at(visit, "", "/console", "");
    show(status, &Message { shell, what, why })
}

/// Writes a page.
fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the console could not be written");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "this page could not be written",
            )
                .into_response()
        }
    }
}

/// Where only forms are sent to, and a browser comes back to by its address: one level up.
async fn back(uri: Uri) -> Redirect {
    let path = uri.path();
    Redirect::to(path.rsplit_once('/').map_or("/console", |(above, _)| above))
}

async fn nothing_here(Operator(visit): Operator) -> Response {
    not_found(&visit)
}

fn not_found(visit: &Visit) -> Response {
    let what = visit.t("页面不存在", "There is nothing here");
    let why = visit.t(
        "账号可能已被移除，或者网址不对。",
        "The account may have been removed, or the address is wrong.",
    );
    message(visit, StatusCode::NOT_FOUND, what, why)
}
