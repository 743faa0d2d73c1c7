//! Which pages' scripts may read the answers.

use crate::harness::{PAGE, Server, Setup, posted_signature, signature};
use crate::wire::{Answer, Request};

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// Requests with all kinds of outcomes.
fn outcomes() -> [(Request, u16); 5] {
    [
        (signature(PAGE), 200),
        (posted_signature(PAGE), 200),
        (signature("https://evil/"), 403),
        (posted_signature(""), 400),
        (Request::new("DELETE", "/jsapi/signature"), 405),
    ]
}

/// Whatever the origin is: a cache must not mix up the answers, and no cookies are asked for.
async fn ask_from(server: &Server, origin: &str, request: Request, status: u16) -> Answer {
    let answer = server.ask(&request.with("Origin", origin)).await;
    assert_eq!(answer.status, status, "{origin} {answer:?}");
    assert_eq!(answer.header("vary"), "Origin", "{origin} {answer:?}");
    let credentials = answer.header("access-control-allow-credentials");
    assert_eq!(credentials, "", "{origin} {answer:?}");
    answer
}

#[tokio::test]
async fn a_page_host_may_read_every_answer_errors_too() {
    let server = Setup::new().start_ready().await;
    for origin in [
        "https://ok.example.com",
        "http://ok.example.com",
        "https://ok.example.com:8443",
        "https://a.shop.example.com",
    ] {
        for (request, status) in outcomes() {
            let answer = ask_from(&server, origin, request, status).await;
            assert_eq!(answer.header(ALLOW_ORIGIN), origin);
            let exposed = answer.header("access-control-expose-headers");
            assert_eq!(exposed, "retry-after, x-request-id");
        }
    }
    server.end().await;
}

#[tokio::test]
async fn no_other_origin_may_read_any() {
    let server = Setup::new().start_ready().await;
    for origin in [
        "https://evil.example",
        "https://ok.example.com.evil",
        "https://ok.example.com@evil",
        "https://ok.example.com:3000",
        "https://ok.example.com/",
        "https://ok.example.com/page",
        "https://ok.example.com#",
        "https://ok.example.com?",
        "https://OK.example.com",
        "https://ok.example.com https://evil.example",
        "https://ok.example.com, https://evil.example",
        "https://shop.example.com",
        "ok.example.com",
        "file://",
        "null",
        "*",
        "",
    ] {
        for (request, status) in outcomes() {
            let answer = ask_from(&server, origin, request, status).await;
            assert_eq!(answer.header(ALLOW_ORIGIN), "", "{origin}");
        }
    }
    server.end().await;
}

#[tokio::test]
async fn without_an_origin_nothing_is_allowed_but_caches_are_told() {
    let server = Setup::new().start_ready().await;
    for (request, status) in outcomes() {
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header(ALLOW_ORIGIN), "");
        assert_eq!(answer.header("vary"), "Origin");
    }
    server.end().await;
}

#[tokio::test]
async fn a_browser_that_asks_before_it_posts_is_told_what_it_may() {
    let server = Setup::new().start_ready().await;
    let preflight = Request::new("OPTIONS", "/jsapi/signature")
        .with("Access-Control-Request-Method", "POST")
        .with("Access-Control-Request-Headers", "content-type");
    let origin = "https://ok.example.com";
    let answer = ask_from(&server, origin, preflight.clone(), 204).await;
    assert_eq!(answer.header(ALLOW_ORIGIN), origin);
    let methods = answer.header("access-control-allow-methods");
    assert_eq!(methods, "GET, POST");
    let headers = answer.header("access-control-allow-headers");
    assert_eq!(headers, "content-type, x-request-id");
    assert_eq!(answer.header("access-control-max-age"), "3600");

    let answer = ask_from(&server, "https://evil.example", preflight, 204).await;
    let allowed = answer.headers.keys();
    let allowed = allowed.filter(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(allowed.count(), 0, "{answer:?}");
    server.end().await;
}

#[tokio::test]
async fn only_signatures_and_the_helper_are_for_other_origins() {
    let server = Setup::new().start_ready().await;
    for target in ["/demo", "/static/demo.js", "/livez", "/readyz"] {
        let request = Request::get(target).with("Origin", "https://ok.example.com");
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(answer.header(ALLOW_ORIGIN), "", "{target}");
    }
    for target in ["/static/wxsign.js", "/static/wxsign.mjs"] {
        let request = Request::get(target).with("Origin", "https://anyone.example");
        let answer = server.ask(&request).await;
        assert_eq!(answer.header(ALLOW_ORIGIN), "*", "{target}");
        let credentials = answer.header("access-control-allow-credentials");
        assert_eq!(credentials, "", "{target}");
    }
    server.end().await;
}
