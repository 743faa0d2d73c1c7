//! Signing in and out, and the first password.

use askama::Template;
use axum::body::Bytes;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::{RETRY_AFTER, SET_COOKIE};

use super::cookies::set_session;
use super::visit::{Audited, Form, Operator, Transport, Visit};
use super::{Shell, message, show};
use crate::console::{MIN_CHARS, Refused, Unfit};
use crate::credential::Secret;
use crate::history::What;

#[derive(Template)]
#[template(path = "console/login.html")]
struct Login {
    shell: Shell,
    /// A password would cross the network in the clear.
    open: bool,
    /// The host that was asked for.
    host: String,
    has_password: bool,
    fault: Option<String>,
    next: String,
}

/// `GET /console/login`
pub(super) async fn page(visit: Visit) -> Response {
    if let Some(key) = &visit.key
        && visit.console().session(key, true).await.is_some()
    {
        return Redirect::to("/console").into_response();
    }
    let next = visit.argument("next");
    form(&visit, StatusCode::OK, next, None).await
}

async fn form(visit: &Visit, status: StatusCode, next: String, fault: Option<String>) -> Response {
    let login = Login {
        shell: Shell::at(visit, "", "/console/login", &visit.query),
        open: visit.transport == Transport::Open,
        host: visit.host.clone(),
        has_password: visit.console().has_password().await,
        fault,
        next,
    };
    show(status, &login)
}

/// `POST /console/login`
pub(super) async fn sign_in(visit: Visit, body: Bytes) -> Response {
    let form_data = Form::parse(&body);
    let next = form_data.get("next").to_owned();
    if visit.transport == Transport::Open {
        return form(&visit, StatusCode::FORBIDDEN, next, None).await;
    }
    let password = Secret::new(form_data.get("password"));
    let signed_in = visit
        .console()
        .sign_in(password, visit.address_key(), &visit.user_agent);
    let signed_in = signed_in.await;
    let result = if signed_in.is_ok() { "ok" } else { "refused" };
    visit.audit("sign in", result, &Audited::default());
    let address = visit.address.to_string();
    match &signed_in {
        Ok(_) => visit.record(What::LoggedIn { address }, None),
        Err(Refused::Wrong) => visit.record(What::LoginRefused { address }, None),
        Err(_) => {}
    }
    match signed_in {
        Ok(key) => let_in(&visit, &key, &next),
        Err(refused) => {
            let fault = Some(words(&visit, &refused));
            let wait = match refused {
                Refused::TooMany(wait) => Some(wait.as_secs().max(1).to_string()),
                _ => None,
            };
            let mut response = form(&visit, status(&refused), next, fault).await;
            if let Some(wait) = wait.and_then(|wait| wait.parse().ok()) {
                response.headers_mut().insert(RETRY_AFTER, wait);
            }
            response
        }
    }
}

fn let_in(visit: &Visit, key: &Secret, next: &str) -> Response {
    let Some(cookie) = set_session(visit.transport, &visit.host, Some(key)) else {
        return Redirect::to("/console/login").into_response();
    };
    let to = if is_ours(next) { next } else { "/console" };
    ([(SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// Whether an address is one of this console or its debugger: anything else would lead astray.
fn is_ours(next: &str) -> bool {
    let plain = next
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let rest = (next.strip_prefix("/console")).or_else(|| next.strip_prefix("/debug"));
    plain && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// `POST /console/logout`
pub(super) async fn sign_out(Operator(visit): Operator) -> Response {
    if let Some(key) = &visit.key
        && let Err(error) = visit.console().sign_out(key).await
    {
        let what = visit.t("暂时无法退出", "You could not be signed out");
        return message(&visit, status(&error), what, &words(&visit, &error));
    }
    visit.audit("sign out", "ok", &Audited::default());
    let address = visit.address.to_string();
    visit.record(What::LoggedOut { address }, None);
    let cookie = set_session(visit.transport, &visit.host, None);
    let cookie = cookie.map(|cookie| [(SET_COOKIE, cookie)]);
    (cookie, Redirect::to("/console/login")).into_response()
}

#[derive(Template)]
#[template(path = "console/setup.html")]
struct Setup {
    shell: Shell,
    token: String,
    min_chars: usize,
    fault: Option<String>,
}

/// `GET /console/setup`: where the one-time link leads.
pub(super) async fn setup(visit: Visit) -> Response {
    setup_form(&visit, visit.argument("token"), None).await
}

async fn setup_form(visit: &Visit, token: String, fault: Option<&Refused>) -> Response {
    if visit.transport == Transport::Open {
        return Redirect::to("/console/login").into_response();
    }
    if !visit.console().link_holds(&token).await {
        let what = visit.t("这个链接已失效", "This link does not hold any more");
        let why = visit.t(
            "链接一小时后失效，密码一经设置也随即失效。如果已经设置过密码，请直接登录；否则请重启 wxsign，打开新打印的链接，或者在服务器上运行 wxsign console password。",
            "It works for an hour, and until the password is set. If a password is set, sign in with it; else restart wxsign and take the link that it prints, or run wxsign console password.",
        );
        return message(visit, StatusCode::GONE, what, why);
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", &token)
        .finish();
    let page = Setup {
        shell: Shell::at(visit, "", "/console/setup", &query),
        token,
        min_chars: MIN_CHARS,
        fault: fault.map(|fault| words(visit, fault)),
    };
    let status = if fault.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    show(status, &page)
}

/// `POST /console/setup`
pub(super) async fn set_up(visit: Visit, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let (token, password) = (form.get("token"), form.get("password"));
    if visit.transport == Transport::Open {
        return Redirect::to("/console/login").into_response();
    }
    if password != form.get("again") {
        let differ = Refused::Wrong;
        return setup_form(&visit, token.to_owned(), Some(&differ)).await;
    }
    let console = visit.console();
    let set = console.set_up(token, Secret::new(password), &visit.user_agent);
    match set.await {
        Ok(key) => {
            visit.audit("set the password", "ok", &Audited::default());
            visit.record(What::PasswordSet, None);
            let_in(&visit, &key, "")
        }
        Err(refused) => setup_form(&visit, token.to_owned(), Some(&refused)).await,
    }
}

pub(super) const fn status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::Wrong => StatusCode::FORBIDDEN,
        Refused::TooMany(_) | Refused::Busy => StatusCode::TOO_MANY_REQUESTS,
        Refused::NoPassword | Refused::LinkEnded => StatusCode::CONFLICT,
        Refused::Unfit(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Why somebody is not let in, and what to do.
pub(super) fn words(visit: &Visit, refused: &Refused) -> String {
    let lang = visit.lang;
    let text = match refused {
        Refused::Wrong if visit.path.ends_with("/setup") => lang.t(
            "两次输入的密码不一致，请重新输入",
            "The two passwords differ: type them again",
        ),
        Refused::Wrong => lang.t(
            "密码不正确。忘记密码？请在服务器上运行 wxsign console password",
            "This is not the password. Forgotten? Run wxsign console password on the server",
        ),
        Refused::TooMany(wait) => {
            let wait = lang.lasting(*wait);
            return match lang {
                super::Lang::Zh => format!("从您的 IP 输错密码的次数过多，请 {wait}后再试"),
                super::Lang::En => {
                    format!("Too many wrong passwords came from your address: try again in {wait}")
                }
            };
        }
        Refused::Busy => lang.t(
            "同时登录的人太多，请稍后再试",
            "Too many passwords are being tried: try again in a moment",
        ),
        Refused::NoPassword => lang.t("还没有设置密码", "No password is set yet"),
        Refused::LinkEnded => lang.t("这个链接已失效", "This link does not hold any more"),
        Refused::Unfit(Unfit::TooShort) => lang.t(
            "密码太短：至少 12 个字符，例如四个互不相关的词",
            "The password is too short: take at least 12 characters, such as four words",
        ),
        Refused::Unfit(Unfit::TooLong) => lang.t("密码太长", "The password is too long"),
        Refused::Store(_) => lang.t(
            "暂时无法访问存储，请检查它是否在运行，稍后再试",
            "The store cannot be reached: see that it runs, and try again",
        ),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_nobody_is_led_away() {
        for ours in ["/console", "/console/keys", "/console?q=a&page=2"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "",
            "/",
            "/consoles",
            "//console",
            "https://a.example/console",
            "/console\\@a",
            "/console/\r\nx",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
