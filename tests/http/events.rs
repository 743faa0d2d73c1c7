//! What happened, as a key shows it.

use serde_json::{Value, json};
use wxsign::client::{Accounts, Scope};

use crate::harness::{APPID, PAGE, Server, Setup, is_problem, members, until};
use crate::wire::Request;

const OTHER: &str = "wxfedcba9876543210";

/// One who sees all, and one who sees one account.
fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.add_account(OTHER);
    setup.add_client("chief", &Scope::ALL);
    let here = || Accounts::Listed([APPID.parse().unwrap()].into());
    setup
        .add_client("watch", &[Scope::Status, Scope::Report])
        .accounts = here();
    setup.add_client("foreman", &[Scope::Admin]).accounts = here();
    setup.add_client("shop", &[Scope::Token]);
    setup
}

async fn ask(server: &Server, by: &str, query: &str) -> Value {
    let answer = server
        .ask(&Request::get(format!("/v1/events?{query}")).of(by))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

/// The names of the events, the newest first.
async fn names(server: &Server, by: &str, query: &str) -> Vec<String> {
    let list = ask(server, by, query).await;
    let events = list["events"].as_array().unwrap().iter();
    events
        .map(|event| event["what"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until there are so many.
async fn counts(server: &Server, by: &str, query: &str, count: usize) {
    until(&format!("{count} events for {query:?}"), async || {
        (names(server, by, query).await.len() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_key_sees_what_happened_to_its_accounts() {
    let server = setup().start_ready().await;
    let body = json!({ "scopes": ["token"], "accounts": ["*"] }).to_string();
    let put = Request::new("PUT", "/v1/clients/new").with_json(body);
    assert_eq!(server.ask(&put.of("chief")).await.status, 201);
    counts(&server, "chief", "what=client", 1).await;
    counts(&server, "chief", "what=renewal", 4).await;
    for by in ["watch", "foreman"] {
        counts(&server, by, "", 2).await;
        let list = ask(&server, by, "").await;
        let of = |event: &Value| event["appid"] == APPID && event["what"] == "renewal.done";
        assert!(list["events"].as_array().unwrap().iter().all(of), "{list}");
        let refused = Request::get(format!("/v1/events?appid={OTHER}")).of(by);
        let refused = server.ask(&refused).await;
        is_problem(&refused, 403, "account_not_allowed", "add the AppID");
    }
    let refused = server.ask(&Request::get("/v1/events").of("shop")).await;
    is_problem(&refused, 403, "scope_missing", "\"status\"");
    let refused = server.ask(&Request::get("/v1/events")).await;
    is_problem(&refused, 401, "key_required", "Authorization");

    let list = ask(&server, "chief", "what=client.added").await;
    let added = &list["events"][0];
    let shown = [
        "actor", "appid", "at", "details", "id", "line", "node", "what",
    ];
    assert_eq!(members(added), shown);
    assert_eq!(added["line"], "client new added (by chief)");
    assert_eq!(added["details"], json!({ "client": "new" }));
    assert_eq!(
        (&added["actor"], &added["appid"]),
        (&json!("chief"), &Value::Null)
    );
    assert_eq!(list["next"], Value::Null);
    server.end().await;
}

#[tokio::test]
async fn pages_of_events_follow_each_other_and_what_is_wrong_with_a_question_is_said() {
    let server = setup().start_ready().await;
    counts(&server, "chief", "", 4).await;
    let all = ask(&server, "chief", "").await;
    let (mut paged, mut query) = (Vec::new(), "limit=3".to_owned());
    loop {
        let list = ask(&server, "chief", &query).await;
        paged.extend(list["events"].as_array().unwrap().clone());
        match list["next"].as_str() {
            Some(next) => query = format!("limit=3&before={next}"),
            None => break,
        }
    }
    assert_eq!(Value::Array(paged.clone()), all["events"]);
    let after = paged[2]["id"].as_str().unwrap();
    let newer = ask(&server, "chief", &format!("after={after}")).await;
    assert_eq!(newer["events"], json!(paged[..2]));
    assert_eq!(
        names(&server, "chief", "text=ACCESS_token%20RENEWED")
            .await
            .len(),
        2
    );
    assert_eq!(names(&server, "chief", "what=renewal.f").await, [""; 0]);
    for (query, advice) in [
        ("limit=0", "limit must be a whole number from 1 to 200"),
        ("limit=201", "limit must be a whole number from 1 to 200"),
        ("limit=many", "limit must be a whole number from 1 to 200"),
        ("before=1", "before is no id of an event"),
        ("after=", "after is no id of an event"),
        ("what=a&what=b", "what is given twice"),
    ] {
        let asked = Request::get(format!("/v1/events?{query}")).of("chief");
        is_problem(&server.ask(&asked).await, 400, "invalid_query", advice);
    }
    server.end().await;
}

#[tokio::test]
async fn reports_of_back_ends_and_pages_are_told_but_not_each_of_them() {
    let server = setup().start_ready().await;
    let report = json!({ "fingerprint": "ba7816bf8f01cfea", "errcode": 40001 }).to_string();
    let path = format!("/v1/accounts/{APPID}/access-token/report");
    for _ in 0..3 {
        let report = Request::post(path.as_str(), report.clone()).of("watch");
        assert_eq!(server.ask(&report).await.status, 409);
        let said = json!({ "url": PAGE, "appid": APPID, "errMsg": "config:invalid signature\n" });
        let page = Request::post("/jsapi/report", said.to_string());
        assert_eq!(server.ask(&page).await.status, 204);
    }
    counts(&server, "watch", "text=report", 1).await;
    counts(&server, "watch", "what=page", 1).await;
    let reported = &ask(&server, "watch", "what=token.reported").await["events"][0];
    let details = json!({ "errcode": 40001, "outcome": "unknown_token" });
    assert_eq!(
        (&reported["actor"], &reported["details"]),
        (&json!("watch"), &details)
    );
    let page = &ask(&server, "watch", "what=page").await["events"][0];
    assert_eq!(page["details"]["host"], "ok.example.com");
    assert_eq!(page["actor"], Value::Null);
    server.end().await;
}
