//! Every problem, word for word: what users see.

use std::fmt::Write;

use serde_json::json;
use wxsign::client::{Accounts, Scope};
use wxsign::simulator::{Fault, FaultRule};

use crate::back_ends::{read, report};
use crate::harness::{APPID, PAGE, Server, Setup, posted_signature, signature};
use crate::wire::Request;

const ADDRESS: &str = "/jsapi/signature";

/// The answer to `request`, as a developer would look at it.
pub(crate) async fn show(server: &Server, what: &str, request: &Request) -> String {
    let answer = server.ask(request).await;
    let mut shown = format!("## {what}\n{}\n", answer.status);
    for name in ["retry-after", "allow", "www-authenticate"] {
        if !answer.header(name).is_empty() {
            writeln!(shown, "{name}: {}", answer.header(name)).unwrap();
        }
    }
    let mut problem = answer.json();
    problem["request_id"] = "[id]".into();
    shown + &serde_json::to_string_pretty(&problem).unwrap() + "\n\n"
}

#[tokio::test]
async fn each_problem_reads_well() {
    let mut setup = Setup::new();
    setup.add_account("wxfedcba9876543210");
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    setup.config.limits.signatures_per_address = 1;
    let server = setup.start_ready().await;
    let with_appid = |page: &str| {
        let page = crate::wire::encode_uri_component(page);
        Request::get(format!("{ADDRESS}?appid={}&url={page}", APPID))
    };
    let mut shown = String::new();
    for (what, request) in [
        ("no url", with_appid("")),
        ("only a fragment", with_appid("#/route")),
        ("too long", with_appid(&"a".repeat(2049))),
        ("a space", with_appid("https://ok.example.com/a b")),
        ("no scheme", with_appid("ok.example.com/a")),
        (
            "user information",
            with_appid("https://ok.example.com@evil/"),
        ),
        ("port 0", with_appid("https://ok.example.com:0/")),
        ("no host", with_appid("https:///")),
        ("capitals", with_appid("https://OK.example.com/")),
        ("another host", with_appid("https://new.example.com:3000/")),
        ("twice", Request::get(format!("{ADDRESS}?url=a&url=b"))),
        ("cut", Request::get(format!("{ADDRESS}?url={PAGE}?a=1&b=2"))),
        ("a lone %", Request::get(format!("{ADDRESS}?url=100%"))),
        ("not UTF-8", Request::get(format!("{ADDRESS}?url=%ff"))),
        ("which account", signature(PAGE)),
        (
            "unknown account",
            Request::get(format!("{ADDRESS}?appid=x")),
        ),
        ("no body", Request::post(ADDRESS, "")),
        ("a list", Request::post(ADDRESS, "[]")),
        ("a wrong type", Request::post(ADDRESS, "{\"url\": 1}")),
        ("too large", Request::post(ADDRESS, " ".repeat(16385))),
        ("no such path", Request::get("/nothing/here")),
        ("no such method", Request::new("DELETE", ADDRESS)),
        ("no such demo", Request::get("/demo?appid=x")),
    ] {
        shown += &show(&server, what, &request).await;
    }
    let greedy = posted_signature(PAGE).with("X-Forwarded-For", "203.0.113.1");
    while server.ask(&greedy).await.status != 429 {}
    shown += &show(&server, "too often", &greedy).await;
    server.end().await;
    insta::assert_snapshot!("problems", shown);
}

#[tokio::test]
async fn each_problem_of_a_back_end_reads_well() {
    let mut setup = Setup::new();
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    setup.add_client("shop", &[Scope::Token, Scope::Report, Scope::Status]);
    let elsewhere = ["wxfedcba9876543210".parse().unwrap()].into();
    setup.add_client("elsewhere", &Scope::ALL).accounts = Accounts::Listed(elsewhere);
    let server = setup.start_ready().await;
    let token = server.ask(&read(APPID, "").of("shop")).await.json();
    let report_of = |body: &str| {
        let target = format!("/v1/accounts/{APPID}/access-token/report");
        Request::post(target, body).of("shop")
    };
    let valid = report(APPID, &token).of("shop");
    let check = Request::post(format!("/v1/accounts/{APPID}/access-token/check"), "");
    let mut shown = String::new();
    for (what, request) in [
        ("no key", read(APPID, "")),
        ("an unknown key", read(APPID, "").of("nobody")),
        ("a key in the query", read(APPID, "?key=wxk_1").of("shop")),
        ("no scope", Request::get("/v1/clients").of("shop")),
        ("another account", read(APPID, "").of("elsewhere")),
        ("an unknown account", read("wx", "").of("shop")),
        (
            "wait is no number",
            read(APPID, "?wait=1s&generation=1").of("shop"),
        ),
        ("wait twice", read(APPID, "?wait=1&wait=1").of("shop")),
        ("wait alone", read(APPID, "?wait=1").of("shop")),
        (
            "wait too long",
            read(APPID, "?wait=61&generation=1").of("shop"),
        ),
        ("no JSON", report_of("fingerprint=1")),
        ("half of JSON", report_of("{\n\"errcode\": ")),
        ("no token", report_of("{\"errcode\": 40001}")),
        ("too large", report_of(&" ".repeat(16385))),
        (
            "an unknown token",
            report(APPID, &json!({ "fingerprint": "1" })).of("shop"),
        ),
        (
            "another errcode",
            report_of("{\"fingerprint\": \"1\", \"errcode\": 45009}"),
        ),
        ("still valid", valid),
        (
            "no such method",
            Request::new("PUT", "/v1/accounts").of("shop"),
        ),
    ] {
        shown += &show(&server, what, &request).await;
    }
    let guess = read(APPID, "")
        .of("nobody")
        .with("X-Forwarded-For", "203.0.113.1");
    while server.ask(&guess).await.status != 429 {}
    shown += &show(&server, "wrong keys too often", &guess).await;
    server.end().await;

    // One that was not asked about yet.
    let mut setup = Setup::new();
    setup.add_client("shop", &[Scope::Status]);
    let server = setup.start_ready().await;
    server.simulator.inject(FaultRule::new(Fault::BadGateway));
    shown += &show(&server, "WeChat does not answer", &check.of("shop")).await;
    server.end().await;
    insta::assert_snapshot!("back_ends", shown);
}

#[tokio::test]
async fn each_problem_of_a_client_reads_well() {
    let mut setup = Setup::new();
    setup.add_client("chief", &Scope::ALL);
    let here = [APPID.parse().unwrap()].into();
    setup
        .add_client("foreman", &[Scope::Admin, Scope::Token])
        .accounts = Accounts::Listed(here);
    let server = setup.start_ready().await;
    let put = |name: &str, body: &str| {
        let target = format!("/v1/clients/{name}");
        Request::new("PUT", target).with_json(body)
    };
    let for_all = r#"{"scopes": ["token"], "accounts": ["*"]}"#;
    let added = server.ask(&put("shop", for_all).of("chief")).await;
    assert_eq!(added.status, 201);
    let mut shown = String::new();
    for (what, request) in [
        ("no name", put("a%20b", for_all).of("chief")),
        ("not there", put("new", "{}").of("chief")),
        (
            "no scope",
            put("new", r#"{"scopes": ["root"]}"#).of("chief"),
        ),
        ("more than his", put("new", for_all).of("foreman")),
        ("above him", put("shop", "{}").of("foreman")),
        ("configured", put("chief", "{}").of("chief")),
        (
            "gone",
            Request::new("DELETE", "/v1/clients/new").of("chief"),
        ),
    ] {
        shown += &show(&server, what, &request).await;
    }
    server.end().await;
    insta::assert_snapshot!("clients", shown);
}

#[tokio::test]
async fn each_trouble_with_wechat_reads_well() {
    let mut shown = String::new();
    for (what, fault) in [
        ("address not listed", Fault::Errcode(40164)),
        ("wrong AppSecret", Fault::Errcode(40125)),
        ("quota used up", Fault::Errcode(45009)),
        ("system busy", Fault::Errcode(-1)),
        ("an errcode that nobody knows", Fault::Errcode(98765)),
        ("a proxy's page", Fault::BadGateway),
        ("no answer", Fault::Reset),
        ("half an answer", Fault::TruncatedJson),
    ] {
        let setup = Setup::new();
        setup
            .simulator
            .inject(FaultRule::new(fault).on("/cgi-bin/token"));
        let server = setup.start().await;
        let text = show(&server, what, &signature(PAGE)).await;
        server.end().await;
        shown += &without_what_changes(&text);
    }
    insta::assert_snapshot!("troubles", shown);
}

/// Waits have jitter or end at midnight, and WeChat names each request.
fn without_what_changes(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    for mark in text.match_indices(": ") {
        let (_, behind) = text.split_at(mark.0 + 2);
        let changing = |what: &str, is_part: fn(char) -> bool| {
            let ends = behind.find(|c| !is_part(c)).unwrap_or(behind.len());
            text[..mark.0].ends_with(what).then(|| &behind[ends..])
        };
        let end = changing("rid", |c| c.is_ascii_hexdigit() || c == '-')
            .or_else(|| changing("retry-after", |c| c.is_ascii_digit()));
        if let Some(end) = end {
            kept = kept + &rest[..rest.len() - behind.len()] + "[…]";
            rest = end;
        }
    }
    kept += rest;
    match kept.split_once("wait until ") {
        Some((before, day)) => format!("{before}wait until […]{}", &day["2026-11-28".len()..]),
        None => kept,
    }
}
