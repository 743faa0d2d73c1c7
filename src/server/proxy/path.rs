//! Which of WeChat's paths calls are passed on to.

use std::borrow::Cow;

use http::Method;

use super::super::problem::{Code, Problem};

/// Others have a meaning between client and server of one connection (`CONNECT`, `TRACE`) or none
/// that WeChat knows.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// The AppID and WeChat's path in `/proxy/{appid}/…`, as they were sent.
pub(in super::super) fn split(path: &str) -> Option<(&str, &str)> {
    let behind = path.strip_prefix("/proxy/")?;
    Some(behind.split_at(behind.find('/')?))
}

/// Checks that calls for `appid` may go to `path` at WeChat.
pub(in super::super) fn check(
    appid: &str,
    method: &Method,
    path: &str,
    query: &str,
) -> Result<(), Problem> {
    if !METHODS.contains(method) {
        return Err(Problem::new(
            Code::MethodNotAllowed,
            "WeChat's API knows GET and POST",
        ));
    }
    if !is_plain(path) {
        return Err(Problem::new(
            Code::InvalidPath,
            "a path of WeChat's has letters, digits, - _ and . between single slashes: write it as \
             it stands in WeChat's documentation, with nothing encoded",
        ));
    }
    if is_about_credentials(path) || asks_for_ticket(path, query) {
        return Err(Problem::new(
            Code::PathNotAllowed,
            format!(
                "it would issue a credential or change what all users of the account share: the \
                 access_token is at /v1/accounts/{appid}/access-token; beside it, for a key with \
                 the scope ticket, are the jsapi_ticket at jsapi-ticket, that of coupons at \
                 card-ticket and that of a WeCom app at agent-ticket; quotas are cleared in \
                 WeChat's console"
            ),
        ));
    }
    Ok(())
}

/// Whether a path can be read in one way only, by whoever reads it.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let dots = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte == b'.');
    path.bytes().all(plain) && !path.contains("//") && !path.split('/').any(dots)
}

/// Whether a path issues credentials, or clears the quota that the keeper counts on.
fn is_about_credentials(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let path = path.trim_end_matches('/');
    path.starts_with("/cgi-bin/clear_quota")
        || format!("{path}/").starts_with("/sns/")
        || [
            "/cgi-bin/token",
            "/cgi-bin/stable_token",
            "/cgi-bin/gettoken",
            "/cgi-bin/openapi/quota/clear",
        ]
        .contains(&path)
}

/// Whether it would bring a ticket that pages or coupons are signed with: they have a scope of
/// their own.
fn asks_for_ticket(path: &str, query: &str) -> bool {
    let of_ticket = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
        name == "type" && ["jsapi", "wx_card"].contains(&&*value)
    };
    let path = path.to_ascii_lowercase();
    match path.trim_end_matches('/') {
        "/cgi-bin/ticket/getticket" => form_urlencoded::parse(query.as_bytes()).any(of_ticket),
        // WeCom's, of the corporation and of the app.
        "/cgi-bin/get_jsapi_ticket" | "/cgi-bin/ticket/get" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::laws;
    use super::*;

    #[test]
    fn the_path_is_what_stands_behind_the_appid() {
        for (path, expected) in [
            (
                "/proxy/wx1/cgi-bin/menu/get",
                Some(("wx1", "/cgi-bin/menu/get")),
            ),
            ("/proxy/wx1//a%2f", Some(("wx1", "//a%2f"))),
            ("/proxy/wx1/", Some(("wx1", "/"))),
            ("/proxy/wx1", None),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }

    #[test]
    fn the_ticket_and_methods_between_machines_do_not_pass() {
        let path = "/cgi-bin/ticket/getticket";
        for (method, query, code) in [
            (Method::GET, "type=jsapi", Code::PathNotAllowed),
            (Method::GET, "type=wx_card", Code::PathNotAllowed),
            (Method::POST, "type=wx%5Fcard", Code::PathNotAllowed),
            (Method::GET, "type=x&type=js%61pi", Code::PathNotAllowed),
            (Method::CONNECT, "type=wx_card", Code::MethodNotAllowed),
            (Method::TRACE, "", Code::MethodNotAllowed),
        ] {
            let problem = check("wx1", &method, path, query).unwrap_err();
            assert_eq!(problem.code(), code, "{method} {query}");
        }
    }

    #[test]
    fn calls_pass_and_tricks_and_credentials_do_not() {
        for path in [
            "/cgi-bin/menu/get",
            "/cgi-bin/message/custom/send",
            "/cgi-bin/media/get/jssdk",
            "/cgi-bin/tokens",
            "/cgi-bin/openapi/quota/get",
            "/wxa/getwxacode",
            "/v1.0/x..y/",
            "/snsapi",
        ] {
            assert!(
                check("wx1", &Method::GET, path, "type=wx_card").is_ok(),
                "{path}"
            );
        }
        for path in [
            "/cgi-bin/token",
            "/cgi-bin/token/",
            "/CGI-bin/Token",
            "/cgi-bin/stable_token",
            "/cgi-bin/clear_quota",
            "/cgi-bin/clear_quota/v2",
            "/cgi-bin/openapi/quota/clear",
            "/sns",
            "/sns/oauth2/access_token",
        ] {
            let problem = check("wx1", &Method::GET, path, "type=wx_card").unwrap_err();
            assert_eq!(problem.code(), Code::PathNotAllowed, "{path}");
        }
        for path in [
            "/cgi-bin/%74oken",
            "/cgi-bin%2ftoken",
            "/cgi-bin/x/%2e%2e/token",
            "/cgi-bin/x/../token",
            "/cgi-bin/./token",
            "/cgi-bin/.../token",
            "/cgi-bin//token",
            "//evil.example/",
            "/cgi-bin\\token",
            "/cgi-bin/token;x",
            "/cgi-bin/token\u{200b}",
            "/cgi-bin/to ken",
            "/微",
        ] {
            let problem = check("wx1", &Method::GET, path, "type=wx_card").unwrap_err();
            assert_eq!(problem.code(), Code::InvalidPath, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_that_passes_becomes_another_on_its_way(
            path in "/(CGI-bin|cgi-bin|sns|x)\
                (/([tT]oken|stable_token|openapi|quota|clear|clear_quota|[.]{1,2}|%2e|x;|x)){0,3}\
                [/\\\\]?",
            query in "(type=(jsapi|wx_card|js%61pi)&?){0,2}",
        ) {
            if laws::proxy_path(&path, &query) {
                let whole = format!("https://api.weixin.qq.com{path}?{query}");
                let read = url::Url::parse(&whole).unwrap();
                prop_assert_eq!(read.host_str(), Some("api.weixin.qq.com"));
                prop_assert_eq!(read.path(), path);
            }
        }
    }
}
