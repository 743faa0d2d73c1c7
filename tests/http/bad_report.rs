//! Reports that cannot be taken, and long polls that cannot be waited for.

use wxsign::client::Scope;
use wxsign::simulator::{Fault, FaultRule};

use crate::harness::{APPID, Server, Setup, is_problem};
use crate::wire::Request;

const PROBE: &str = "/cgi-bin/get_api_domain_ip";

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.add_client("shop", &Scope::ALL);
    setup
}

fn report(body: impl Into<Vec<u8>>) -> Request {
    let target = format!("/v1/accounts/{APPID}/access-token/report");
    Request::post(target, body).of("shop")
}

async fn token(server: &Server) -> serde_json::Value {
    let target = format!("/v1/accounts/{APPID}/access-token");
    server.ask(&Request::get(target).of("shop")).await.json()
}

/// Sends each of `bodies` and expects the same of all; WeChat hears of none.
async fn refused(status: u16, code: &str, advice: &str, bodies: &[&str]) {
    let server = setup().start_ready().await;
    for body in bodies {
        println!("{:.200}", body);
        let answer = server.ask(&report(*body)).await;
        is_problem(&answer, status, code, advice);
    }
    assert_eq!(server.calls(PROBE), 0);
    server.end().await;
}

#[tokio::test]
async fn what_is_no_json_object_is_not_guessed_at() {
    let bodies = [
        "",
        " ",
        "null",
        "[]",
        "\"wx\"",
        "40001",
        "fingerprint=ba7816bf8f01cfea&errcode=40001",
        "\u{feff}{}",
    ];
    refused(
        400,
        "invalid_body",
        "it is not a JSON object; send {",
        &bodies,
    )
    .await;
}

#[tokio::test]
async fn a_report_that_cannot_be_read_is_told_where_and_not_repeated() {
    let bodies = [
        "{",
        "{}",
        "{]",
        r#"{"fingerprint": "ba7816bf8f01cfea"}"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001} {}"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001,}"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": "40001"}"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001.5}"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": null}"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 99999999999999999999}"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001, "errcode": 40001}"#,
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001, "errmsg": "secret-value"}"#,
        r#"{"fingerprint": "ba7816bf8f01cfeag", "errcode": 40001}"#,
        r#"{"fingerprint": "secret-value....", "errcode": 40001}"#,
        r#"{"fingerprint": "", "errcode": 40001}"#,
        r#"{"fingerprint": 7, "errcode": 40001}"#,
        r#"{"access_token": 7, "errcode": 40001}"#,
        r#"{"access_token": ["secret-value"], "errcode": 40001}"#,
        r#"{"access_token": {"secret-value": 1}, "errcode": 40001}"#,
        r#"{"Access_Token": "secret-value", "errcode": 40001}"#,
    ];
    refused(
        400,
        "invalid_body",
        "it cannot be read at line 1, column ",
        &bodies,
    )
    .await;
    let server = setup().start_ready().await;
    for body in bodies {
        let answer = server.ask(&report(body)).await;
        assert!(!answer.text().contains("secret-value"), "{answer:?}");
    }
    let answer = server.ask(&report(b"{\"access_token\": \"\xff\"}")).await;
    is_problem(&answer, 400, "invalid_body", "it cannot be read at line 1");
    let nested = format!("{{\"access_token\": {}", "[".repeat(10_000));
    let answer = server.ask(&report(nested)).await;
    is_problem(&answer, 400, "invalid_body", "it cannot be read at line 1");
    server.end().await;
}

#[tokio::test]
async fn a_report_names_one_token() {
    let bodies = [
        r#"{"errcode": 40001}"#,
        r#"{"fingerprint": null, "errcode": 40001}"#,
        r#"{"access_token": null, "fingerprint": null, "errcode": 40001}"#,
        r#"{"access_token": "a", "fingerprint": "ba7816bf8f01cfea", "errcode": 40001}"#,
    ];
    refused(
        400,
        "invalid_body",
        "it must name one token; send {",
        &bodies,
    )
    .await;
}

#[tokio::test]
async fn a_token_that_nobody_here_has_seen_is_not_asked_about() {
    let long = format!(
        r#"{{"access_token": "{}", "errcode": 42001}}"#,
        "a".repeat(512)
    );
    let bodies = [
        r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001}"#,
        r#"{"fingerprint": "BA7816BF8F01CFEA", "errcode": 40014}"#,
        r#"{"access_token": "abc", "errcode": 40001}"#,
        r#"{"access_token": "", "errcode": 40001}"#,
        &long,
    ];
    let advice = "no other program fetches tokens with this AppSecret";
    refused(409, "unknown_token", advice, &bodies).await;
}

#[tokio::test]
async fn an_errcode_that_is_not_about_the_token_is_not_asked_about() {
    let server = setup().start_ready().await;
    let token = &token(&server).await["access_token"];
    for errcode in [0, -1, 1, 40002, 40013, 45009, 48001, i64::MIN, i64::MAX] {
        let body = serde_json::json!({ "access_token": token, "errcode": errcode });
        let answer = server.ask(&report(body.to_string())).await;
        let advice = "only the errcodes 40001, 40014 and 42001";
        is_problem(&answer, 422, "not_about_the_token", advice);
    }
    assert_eq!(server.calls(PROBE), 0);
    server.end().await;
}

#[tokio::test]
async fn a_token_that_wechat_accepts_is_not_replaced() {
    let server = setup().start_ready().await;
    let token = token(&server).await;
    for (name, errcode) in [
        ("access_token", 40001),
        ("access_token", 40014),
        ("access_token", 42001),
        ("fingerprint", 40001),
    ] {
        let body = serde_json::json!({ name: token[name], "errcode": errcode });
        let answer = server.ask(&report(body.to_string())).await;
        is_problem(
            &answer,
            409,
            "still_valid",
            "what failed is the call itself",
        );
    }
    // What WeChat has said is good for all who ask within a minute.
    assert_eq!(server.calls(PROBE), 1);
    assert_eq!(server.calls("/cgi-bin/token"), 1);
    server.end().await;
}

#[tokio::test]
async fn while_wechat_cannot_be_asked_the_token_at_hand_is_told() {
    let server = setup().start_ready().await;
    let token = token(&server).await;
    server.simulator.inject(FaultRule::new(Fault::BadGateway));
    let body = serde_json::json!({ "fingerprint": token["fingerprint"], "errcode": 40001 });
    let answer = server.ask(&report(body.to_string())).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["result"], "unverified");
    assert_eq!(answer.json()["access_token"], token["access_token"]);
    server.end().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read_to_its_end() {
    let server = setup().start_ready().await;
    let largest = format!(
        r#"{{"access_token": "{}", "errcode": 40001}}"#,
        "a".repeat(16_000)
    );
    let answer = server.ask(&report(largest)).await;
    is_problem(&answer, 409, "unknown_token", "read the current one");
    for size in [16_385, 1 << 20] {
        let mut connection = server.connect().await;
        connection.send(&report(" ".repeat(size)).bytes()).await;
        // If it hung up while the body was still on its way, the answer may be lost.
        if let Some(answer) = connection.next_answer(true).await {
            is_problem(&answer, 413, "body_too_large", "it may have 16384 bytes");
        }
    }
    let answer = server.ask(&report("{}")).await;
    is_problem(&answer, 400, "invalid_body", "it cannot be read");
    server.end().await;
}

#[tokio::test]
async fn a_long_poll_says_for_how_long_and_for_what() {
    let server = setup().start_ready().await;
    let together = "wait and generation go together";
    for (query, advice) in [
        ("wait=30", together),
        ("generation=1", together),
        ("wait=0", together),
        ("wait", "wait must be a whole number from 0 up"),
        ("wait=&generation=1", "wait must be a whole number"),
        ("wait=-1&generation=1", "wait must be a whole number"),
        ("wait=1.5&generation=1", "wait must be a whole number"),
        ("wait=30s&generation=1", "wait must be a whole number"),
        ("wait=%31&generation=1", "wait must be a whole number"),
        ("wait=18446744073709551616&generation=1", "a whole number"),
        ("wait=1&generation=", "generation must be a whole number"),
        ("wait=1&generation=-1", "generation must be a whole number"),
        ("wait=1&generation=x", "generation must be a whole number"),
        ("wait=1&generation=1=1", "generation must be a whole number"),
        ("wait=61&generation=1", "wait may be at most 60 seconds"),
        ("wait=18446744073709551615&generation=1", "at most 60"),
        ("wait=1&wait=1&generation=1", "wait is given twice"),
        (
            "wait=1&generation=1&generation=2",
            "generation is given twice",
        ),
    ] {
        for kind in ["access-token", "jsapi-ticket"] {
            println!("{kind}?{query}");
            let target = format!("/v1/accounts/{APPID}/{kind}?{query}");
            let answer = server.ask(&Request::get(target).of("shop")).await;
            is_problem(&answer, 400, "invalid_query", advice);
        }
    }
    for query in [
        "",
        "&",
        "wait=0&generation=1",
        "x=1",
        "wait=60&generation=0",
    ] {
        let target = format!("/v1/accounts/{APPID}/access-token?{query}");
        let answer = server.ask(&Request::get(target).of("shop")).await;
        assert_eq!(answer.status, 200, "{query:?}: {answer:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn each_route_is_for_its_methods() {
    let server = setup().start_ready().await;
    for (method, path, allow) in [
        ("POST", "/v1/accounts", "GET,HEAD"),
        ("POST", "/v1/accounts/wx", "GET,HEAD,PUT,DELETE"),
        ("POST", "/v1/accounts/wx/access-token", "GET,HEAD"),
        ("DELETE", "/v1/accounts/wx/jsapi-ticket", "GET,HEAD"),
        ("GET", "/v1/accounts/wx/access-token/report", "POST"),
        ("GET", "/v1/accounts/wx/access-token/check", "POST"),
        ("POST", "/v1/clients", "GET,HEAD"),
        ("GET", "/v1/clients/shop", "PUT,DELETE"),
    ] {
        println!("{method} {path}");
        let answer = server.ask(&Request::new(method, path).of("shop")).await;
        is_problem(&answer, 405, "method_not_allowed", "Allow");
        assert_eq!(answer.header("allow"), allow);
    }
    for path in [
        "/v1",
        "/v1/",
        "/v1/accounts/",
        "/v1/accounts/wx/",
        "/v2",
        "/static/%ff",
    ] {
        println!("{path}");
        let answer = server.ask(&Request::get(path).of("shop")).await;
        is_problem(&answer, 404, "not_found", "/jsapi/signature");
    }
    server.end().await;
}
