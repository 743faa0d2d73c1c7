//! Calls that are passed on to WeChat's API.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use wxsign::client::Scope;
use wxsign::simulator::{Action, Fault, FaultRule};

use crate::bare::{self, TOKEN};
use crate::harness::{APPID, Server, Setup, is_problem};
use crate::wire::{Answer, Connection, Request};

const SEND: &str = "/cgi-bin/message/custom/send";
const UPLOAD: &str = "/cgi-bin/media/upload";
const TOKEN_PATH: &str = "/cgi-bin/token";

/// The back end whose calls are passed on.
const SHOP: &str = "shop";

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.add_client(SHOP, &[Scope::Proxy]);
    setup
}

/// Where WeChat's `path` is passed on.
fn proxied(path: &str) -> String {
    format!("/proxy/{APPID}{path}")
}

fn message() -> Request {
    Request::post(proxied(SEND), r#"{"touser":"o"}"#).of(SHOP)
}

/// A body that is too large to be kept.
fn upload() -> Request {
    let target = proxied(&format!("{UPLOAD}?type=image"));
    Request::post(target, vec![b'x'; 300 * 1024]).of(SHOP)
}

fn is_done(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["errcode"], 0, "{answer:?}");
}

/// All requests that a bare WeChat got, heads and bodies.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn only(&self) -> String {
        let seen = self.0.lock().unwrap();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

/// A server whose WeChat is a bare one that answers every call with `answer`.
async fn before_bare_wechat(answer: &str) -> (Server, Seen) {
    let (seen, answer) = (Seen::default(), answer.to_owned());
    let record = seen.clone();
    let address = bare::wechat(move |head, mut peer| {
        let (record, answer) = (record.clone(), answer.clone());
        async move {
            let length = bare::header(&head, "content-length");
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            peer.read_exact(&mut body).await.unwrap();
            let request = head + std::str::from_utf8(&body).unwrap();
            record.0.lock().unwrap().push(request);
            bare::send(&mut peer, answer).await;
        }
    })
    .await;
    let mut setup = setup();
    setup.upstream = Some(address);
    (setup.start_ready().await, seen)
}

/// A server with a token that WeChat has killed, old enough to be replaced at once.
async fn with_a_dead_token(death: Action) -> Server {
    let mut setup = setup();
    setup.has_tokens().await;
    let server = setup.start_ready().await;
    assert_eq!(server.calls(TOKEN_PATH), 0, "the stored token is used");
    server.simulator.act(&server.appid, death).unwrap();
    server
}

#[tokio::test]
async fn wechat_sees_the_call_as_it_was_made_with_the_token_and_not_who_made_it() {
    let (server, seen) = before_bare_wechat(
        "HTTP/1.1 201 Made\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nContent-Type: image/png\r\n\
         Content-Length: 4\r\nServer: nginx\r\nSet-Cookie: a=b\r\nX-Kept: 1\r\n\r\n\0\r\n\x7f",
    )
    .await;
    let target = proxied("/wxa/getwxacode?b=%7E+&access%5Ftoken=other&&a=1,2");
    let mut request = Request::post(target, "the body")
        .of(SHOP)
        .with("Accept-Encoding", "br")
        .with("User-Agent", "shop/1");
    for name in [
        "Cookie",
        "Forwarded",
        "X-Forwarded-For",
        "X-Real-IP",
        "Origin",
        "Referer",
        "Proxy-Authorization",
    ] {
        request = request.with(name, "canary-of-the-caller");
    }
    let answer = server.ask(&request).await;

    let seen = seen.only();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let line = format!("POST /wxa/getwxacode?b=%7E+&&a=1,2&access_token={TOKEN} HTTP/1.1");
    assert_eq!(head.lines().next(), Some(&*line));
    assert_eq!(body, "the body");
    for (name, value) in [
        ("user-agent", "shop/1"),
        ("content-type", "application/json"),
        ("content-length", "8"),
    ] {
        assert_eq!(bare::header(head, name), Some(value), "{head}");
    }
    assert!(!seen.contains("canary-of-the-caller"), "{seen}");
    assert!(!seen.contains("wxk_"), "{seen}");
    assert!(!seen.contains("wxsign.example"), "{seen}");

    assert_eq!(answer.status, 201);
    assert_eq!(answer.body, b"\0\r\n\x7f");
    assert_eq!(answer.header("content-type"), "image/png");
    assert_eq!(answer.header("x-kept"), "1");
    for name in ["server", "set-cookie", "x-hop", "cache-control"] {
        assert_eq!(answer.header(name), "", "{answer:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_call_without_a_body_stays_one() {
    let (server, seen) = before_bare_wechat(&bare::json("{}")).await;
    let answer = server
        .ask(&Request::get(proxied("/cgi-bin/menu/get")).of(SHOP))
        .await;
    assert_eq!(answer.text(), "{}");
    let seen = seen.only();
    assert!(seen.starts_with(&format!("GET /cgi-bin/menu/get?access_token={TOKEN} ")));
    for name in ["content-length", "transfer-encoding"] {
        assert_eq!(bare::header(&seen, name), None, "{seen}");
    }
    server.end().await;
}

#[tokio::test]
async fn wechat_is_told_the_length_of_a_small_body_in_any_case() {
    let target = proxied(SEND);
    let mut chunked = Request::new("POST", target.clone())
        .of(SHOP)
        .with("Transfer-Encoding", "chunked")
        .bytes();
    chunked.extend_from_slice(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let empty = Request::post(target, "").of(SHOP).bytes();
    for (request, body) in [(chunked, "abcde"), (empty, "")] {
        let (server, seen) = before_bare_wechat(&bare::json("{}")).await;
        let mut connection = server.connect().await;
        connection.send(&request).await;
        assert_eq!(connection.answer(true).await.text(), "{}");
        let seen = seen.only();
        assert!(seen.ends_with(&format!("\r\n\r\n{body}")), "{seen}");
        let length = body.len().to_string();
        assert_eq!(bare::header(&seen, "content-length"), Some(&*length));
        server.end().await;
    }
}

#[tokio::test]
async fn a_token_that_wechat_says_back_is_cut_out() {
    let said = format!(r#"{{"errcode":40001,"errmsg":"invalid credential {TOKEN} rid"}}"#);
    let moved = format!(
        "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\n\
         Location: https://elsewhere.example/?access_token={TOKEN}\r\n\r\n"
    );
    for (said, status, text) in [
        (
            bare::json(&said),
            200,
            r#"{"errcode":40001,"errmsg":"invalid credential … rid"}"#,
        ),
        (moved, 302, ""),
    ] {
        let (server, seen) = before_bare_wechat(&said).await;
        let answer = server.ask(&message()).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, text));
        assert!(!format!("{:?}", answer.headers).contains(TOKEN));
        // WeChat called the token good when it was asked, so the call was not repeated.
        seen.only();
        server.end().await;
    }
}

#[tokio::test]
async fn whatever_status_wechat_answers_with_is_passed_on() {
    let answer = "HTTP/1.1 408 Slow\r\nConnection: close\r\nContent-Length: 4\r\n\r\nslow";
    let (server, _) = before_bare_wechat(answer).await;
    let answer = server.ask(&message()).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (408, "slow"));
    server.end().await;
}

#[tokio::test]
async fn an_errcode_that_is_not_about_the_token_is_the_callers_business() {
    let server = setup().start_ready().await;
    let answer = server
        .ask(&Request::get(proxied("/cgi-bin/menu/get")).of(SHOP))
        .await;
    assert_eq!(answer.json()["errcode"], 46003);
    let answer = server
        .ask(&Request::post(proxied(SEND), "[]").of(SHOP))
        .await;
    assert_eq!(answer.json()["errcode"], 47001);
    assert_eq!((server.calls(SEND), server.calls(TOKEN_PATH)), (1, 1));
    server.end().await;
}

#[tokio::test]
async fn the_caller_does_not_notice_that_a_token_died() {
    for death in [Action::RevokeTokens, Action::ExpireTokens] {
        let server = with_a_dead_token(death).await;
        is_done(&server.ask(&message()).await);
        assert_eq!(server.calls(TOKEN_PATH), 1, "{death:?}");
        server.end().await;
    }
}

#[tokio::test]
async fn nor_do_fifty_callers_and_there_is_one_fetch_for_all() {
    let server = with_a_dead_token(Action::RevokeTokens).await;
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let address = server.address;
        callers.spawn(async move { Connection::open(address).await.ask(&message()).await });
    }
    for answer in callers.join_all().await {
        is_done(&answer);
    }
    assert_eq!(server.calls(TOKEN_PATH), 1);
    server.end().await;
}

#[tokio::test]
async fn a_large_call_is_not_repeated_but_its_token_is_renewed() {
    let server = with_a_dead_token(Action::RevokeTokens).await;
    let answer = server.ask(&upload()).await;
    assert_eq!(answer.json()["errcode"], 40001, "{answer:?}");
    assert_eq!((server.calls(UPLOAD), server.calls(TOKEN_PATH)), (1, 1));
    let answer = server.ask(&upload()).await;
    assert_eq!(answer.json()["type"], "image", "{answer:?}");
    assert_eq!((server.calls(UPLOAD), server.calls(TOKEN_PATH)), (2, 1));
    server.end().await;
}

#[tokio::test]
async fn the_first_call_waits_for_the_first_token() {
    let server = setup().start().await;
    is_done(&server.ask(&message()).await);
    server.end().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_a_problem() {
    let before = setup();
    let no_ip = FaultRule::new(Fault::Errcode(40164)).on(TOKEN_PATH);
    before.simulator.inject(no_ip);
    let server = before.start().await;
    let answer = server.ask(&message()).await;
    is_problem(&answer, 503, "credential_unavailable", "IP");
    server.end().await;

    let server = setup().start_ready().await;
    let stranger = Request::get("/proxy/wxffffffffffffffff/cgi-bin/menu/get").of(SHOP);
    let answer = server.ask(&stranger).await;
    is_problem(&answer, 404, "unknown_account", "check the appid");
    for fault in [Fault::Reset, Fault::CutOff] {
        let unreachable = FaultRule::new(fault).on(SEND).times(1);
        server.simulator.inject(unreachable);
        let answer = server.ask(&message()).await;
        is_problem(&answer, 502, "upstream_unreachable", "look before");
        let shown = format!("{answer:?}");
        assert!(!shown.contains("access_token"), "{shown}");
    }
    server.end().await;
}

#[tokio::test]
async fn no_trick_gets_at_a_path_that_issues_credentials() {
    let server = setup().start_ready().await;
    let ready = (server.calls(TOKEN_PATH), server.simulator.events().len());
    for path in [
        "/cgi-bin/token?grant_type=client_credential",
        "/cgi-bin/token/",
        "/cgi-bin/stable_token",
        "/cgi-bin/clear_quota",
        "/cgi-bin/clear_quota/v2",
        "/cgi-bin/openapi/quota/clear",
        "/sns/oauth2/access_token",
    ] {
        let answer = server.ask(&Request::get(proxied(path)).of(SHOP)).await;
        let instead = format!("/v1/accounts/{APPID}/access-token");
        is_problem(&answer, 403, "path_not_allowed", &instead);
    }
    for path in [
        "/cgi-bin/tok%65n",
        "/cgi-bin%2ftoken",
        "/cgi-bin%5ctoken",
        "/cgi-bin\\token",
        "/cgi-bin//token",
        "//cgi-bin/token",
        "//evil.example/cgi-bin/token",
        "/cgi-bin/./token",
        "/cgi-bin/menu/../token",
        "/cgi-bin/menu/%2e%2e/token",
        "/cgi-bin/menu/.%2E/token",
        "/cgi-bin/token;a=b",
    ] {
        let answer = server.ask(&Request::get(proxied(path)).of(SHOP)).await;
        is_problem(&answer, 400, "invalid_path", "nothing encoded");
    }
    let now = (server.calls(TOKEN_PATH), server.simulator.events().len());
    assert_eq!(now, ready, "nothing of it reached WeChat");
    server.end().await;
}
