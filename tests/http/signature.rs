//! The good answer.

use std::collections::HashSet;

use serde_json::Value;
use sha1::{Digest, Sha1};
use wxsign::simulator::Preverify;

use crate::harness::{
    APPID, PAGE, Server, Setup, is_problem, members, posted_signature, signature,
};
use crate::wire::{Answer, Request};

/// Addresses as browsers report them, and what of each is signed.
const PAGES: [(&str, &str); 12] = [
    ("https://ok.example.com", "https://ok.example.com"),
    ("https://ok.example.com/", "https://ok.example.com/"),
    ("https://ok.example.com?", "https://ok.example.com?"),
    ("http://ok.example.com:80/a", "http://ok.example.com:80/a"),
    (
        "https://ok.example.com:8443/a",
        "https://ok.example.com:8443/a",
    ),
    (
        "https://a.b.shop.example.com/a",
        "https://a.b.shop.example.com/a",
    ),
    (
        "https://ok.example.com/a?b=1#c#d?e",
        "https://ok.example.com/a?b=1",
    ),
    (
        "https://ok.example.com/a?b=1&amp;c=a+b&c=a%20b&&=",
        "https://ok.example.com/a?b=1&amp;c=a+b&c=a%20b&&=",
    ),
    (
        "https://ok.example.com/%E5%BE%AE%e4%bf%a1?q=100%",
        "https://ok.example.com/%E5%BE%AE%e4%bf%a1?q=100%",
    ),
    (
        "https://ok.example.com/\"quoted\"?q='\"'",
        "https://ok.example.com/\"quoted\"?q='\"'",
    ),
    (
        "https://ok.example.com/./a/../b//c?u=http://evil.example/@x",
        "https://ok.example.com/./a/../b//c?u=http://evil.example/@x",
    ),
    (
        "https://ok.example.com/<a>{b}|^`;,$!*()~[]",
        "https://ok.example.com/<a>{b}|^`;,$!*()~[]",
    ),
];

#[tokio::test]
async fn each_page_is_signed_byte_for_byte_by_get_and_by_post() {
    let server = Setup::new().start_ready().await;
    for (page, signed) in PAGES {
        for request in [signature(page), posted_signature(page)] {
            let answer = server.ask(&request).await;
            is_right(&server, &answer, signed);
        }
    }
    server.end().await;
}

/// Checks the form of an answer and, in two ways, its signature for the page `signed`.
fn is_right(server: &Server, answer: &Answer, signed: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let config = answer.json();
    let names = ["appId", "nonceStr", "signature", "timestamp", "url"];
    assert_eq!(members(&config), names, "{config}");
    assert_eq!(config["appId"], APPID);
    assert_eq!(config["url"], signed);
    let timestamp = config["timestamp"].as_i64().unwrap();
    let now = server.simulator.now().as_secs();
    assert!((now - 60..=now).contains(&timestamp), "{timestamp} {now}");
    let nonce = config["nonceStr"].as_str().unwrap();
    assert_eq!(nonce.len(), 16);
    assert!(nonce.bytes().all(|b| b.is_ascii_alphanumeric()), "{nonce}");

    let ticket = server.simulator.newest_ticket(&server.appid).unwrap();
    let text = format!(
        "jsapi_ticket={}&noncestr={nonce}&timestamp={timestamp}&url={signed}",
        ticket.expose()
    );
    let digest = Sha1::digest(text);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(config["signature"], digest, "{signed}");

    let verdict = server.simulator.preverify(&preverify(&config, signed));
    assert!(verdict.ok, "{verdict:?}");
}

fn preverify(config: &Value, page: &str) -> Preverify {
    let text = |name: &str| config[name].as_str().unwrap().to_owned();
    Preverify {
        app_id: text("appId"),
        timestamp: config["timestamp"].to_string(),
        nonce_str: text("nonceStr"),
        signature: text("signature"),
        js_api_list: vec!["chooseImage".to_owned()],
        urls: vec![page.to_owned()],
        ..Preverify::default()
    }
}

#[tokio::test]
async fn a_url_may_be_sent_without_encoding_where_nothing_is_lost() {
    let server = Setup::new().start_ready().await;
    for (query, signed) in [
        (format!("url={PAGE}"), PAGE),
        (
            "url=https://ok.example.com/a?b=1".to_owned(),
            "https://ok.example.com/a?b=1",
        ),
        (
            "url=https://ok.example.com/a+b".to_owned(),
            "https://ok.example.com/a+b",
        ),
        (
            "url=https://ok.example.com/a%2520b".to_owned(),
            "https://ok.example.com/a%20b",
        ),
        (format!("&&url={PAGE}&_=1700000000&"), PAGE),
        (format!("appid={APPID}&url={PAGE}"), PAGE),
    ] {
        let target = format!("/jsapi/signature?{query}");
        is_right(&server, &server.get(target).await, signed);
    }
    server.end().await;
}

#[tokio::test]
async fn a_page_of_2048_bytes_is_signed_however_it_is_encoded() {
    let server = Setup::new().start_ready().await;
    let page = format!("{PAGE}?{}", "\"".repeat(2048 - PAGE.len() - 1));
    assert_eq!(page.len(), 2048);
    for request in [signature(&page), posted_signature(&page)] {
        is_right(&server, &server.ask(&request).await, &page);
    }
    server.end().await;
}

#[tokio::test]
async fn no_two_nonces_are_alike() {
    let server = Setup::new().start_ready().await;
    let mut connection = server.connect().await;
    let mut nonces = HashSet::new();
    for _ in 0..100 {
        let config = connection.ask(&signature(PAGE)).await.json();
        nonces.insert(config["nonceStr"].as_str().unwrap().to_owned());
    }
    assert_eq!(nonces.len(), 100);
    server.end().await;
}

#[tokio::test]
async fn nonce_and_timestamp_are_never_the_callers() {
    let server = Setup::new().start_ready().await;
    let given = "AAAABBBBCCCCDDDD";
    let fields = format!(r#""nonceStr": "{given}", "noncestr": "{given}", "timestamp": 1"#);
    for request in [
        Request::get(format!(
            "/jsapi/signature?url={PAGE}&nonceStr={given}&noncestr={given}&timestamp=1"
        )),
        Request::post(
            "/jsapi/signature",
            format!(r#"{{"url": "{PAGE}", {fields}}}"#),
        ),
    ] {
        let answer = server.ask(&request).await;
        is_right(&server, &answer, PAGE);
        assert_ne!(answer.json()["nonceStr"], given);
    }
    server.end().await;
}

#[tokio::test]
async fn each_account_signs_with_its_own_ticket() {
    let other = "wxfedcba9876543210";
    let mut setup = Setup::new();
    setup.add_account(other);
    let server = setup.start_ready().await;
    for appid in [APPID, other] {
        let target = format!("/jsapi/signature?url={PAGE}&appid={appid}");
        let body = format!(r#"{{"url": "{PAGE}", "appid": "{appid}"}}"#);
        for request in [
            Request::get(target),
            Request::post("/jsapi/signature", body),
        ] {
            let config = server.ask(&request).await.json();
            assert_eq!(config["appId"], appid);
            let verdict = server.simulator.preverify(&preverify(&config, PAGE));
            assert!(verdict.ok, "{verdict:?}");
        }
    }
    server.end().await;
}

#[tokio::test]
async fn head_says_what_get_would_without_a_body() {
    let server = Setup::new().start_ready().await;
    let mut connection = server.connect().await;
    let target = format!("/jsapi/signature?url={PAGE}");
    let head = connection.ask(&Request::new("HEAD", target.clone())).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), "application/json");
    assert_eq!(head.header("cache-control"), "no-store");
    let refused = Request::new("HEAD", "/jsapi/signature?url=ftp://ok.example.com");
    let refused = connection.ask(&refused).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    // Had there been a body, it would be read as the beginning of this answer.
    is_right(&server, &connection.ask(&Request::get(target)).await, PAGE);
    server.end().await;
}

#[tokio::test]
async fn a_body_is_read_whatever_content_type_it_names() {
    let server = Setup::new().start_ready().await;
    let body = format!(r#"{{"url": "{PAGE}"}}"#);
    for content_type in ["text/plain", "application/json; charset=utf-8", ""] {
        let request = Request::new("POST", "/jsapi/signature")
            .with("Content-Type", content_type)
            .with("Content-Length", &body.len().to_string());
        let request = [request.bytes(), body.clone().into_bytes()].concat();
        let mut connection = server.connect().await;
        connection.send(&request).await;
        is_right(&server, &connection.answer(true).await, PAGE);
    }
    server.end().await;
}

#[tokio::test]
async fn a_page_of_a_host_that_is_not_listed_is_told_which_one_to_add() {
    let server = Setup::new().start_ready().await;
    for (page, host) in [
        ("https://new.example.com/a", "new.example.com"),
        ("https://new.example.com:3000/a", "new.example.com:3000"),
        ("https://ok.example.com:3000/a", "ok.example.com:3000"),
        ("https://shop.example.com/", "shop.example.com"),
    ] {
        let answer = server.ask(&signature(page)).await;
        is_problem(&answer, 403, "host_not_allowed", &format!("add \"{host}\""));
    }
    server.end().await;
}
