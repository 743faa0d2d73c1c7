//! Every problem, word for word: what users see.

use std::fmt::Write;

use wxsign::simulator::{Fault, FaultRule};

use crate::harness::{PAGE, Server, Setup, posted_signature, signature};
use crate::wire::Request;

const ADDRESS: &str = "/jsapi/signature";

/// The answer to `request`, as a developer would look at it.
async fn show(server: &Server, what: &str, request: &Request) -> String {
    let answer = server.ask(request).await;
    let mut shown = format!("## {what}\n{}\n", answer.status);
    for name in ["retry-after", "allow"] {
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
        Request::get(format!(
            "{ADDRESS}?appid={}&url={page}",
            crate::harness::APPID
        ))
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
    kept + rest
}
