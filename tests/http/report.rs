//! What a page says when its signature was refused.

use http::StatusCode;
use serde_json::json;

use crate::harness::{PAGE, Setup, is_problem};
use crate::wire::Request;

const TICKET_PATH: &str = "/cgi-bin/ticket/getticket";

#[tokio::test]
async fn a_report_is_taken_and_a_young_ticket_is_not_asked_for_again() {
    let server = Setup::new().start_ready().await;
    for said in [
        "config:invalid signature",
        "config:fail",
        "",
        "\u{1b}[31m微\n",
    ] {
        let body = json!({ "url": PAGE, "errMsg": said }).to_string();
        let answer = server.ask(&Request::post("/jsapi/report", body)).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::NO_CONTENT, 0),
            "{said:?}"
        );
    }
    server.signs().await;
    assert_eq!(server.calls(TICKET_PATH), 1);
    server.end().await;
}

#[tokio::test]
async fn a_report_is_held_to_the_rules_of_a_signature() {
    let server = Setup::new().start_ready().await;
    for (body, status, code, advice) in [
        ("{}", 400, "missing_url", "send location.href"),
        ("[]", 400, "invalid_body", "not a JSON object"),
        (
            r#"{"url": "https://evil/"}"#,
            403,
            "host_not_allowed",
            "evil",
        ),
        (
            r#"{"url": "https://ok.example.com/", "errMsg": 1}"#,
            400,
            "invalid_body",
            "invalid type",
        ),
        (
            r#"{"url": "https://ok.example.com/", "appid": "wx"}"#,
            404,
            "unknown_account",
            "check the appid",
        ),
    ] {
        let answer = server.ask(&Request::post("/jsapi/report", body)).await;
        is_problem(&answer, status, code, advice);
    }
    let answer = server.get("/jsapi/report").await;
    is_problem(&answer, 405, "method_not_allowed", "Allow");
    server.end().await;
}
