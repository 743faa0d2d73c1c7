//! Accounts are added, changed and removed while the server runs.

use std::time::Duration;

use serde_json::{Value, json};
use wxsign::account::AppId;
use wxsign::client::Scope;
use wxsign::simulator::{Fault, FaultRule};

use crate::harness::{APPID, PAGE, Server, Setup, app, is_problem, secret, until};
use crate::wire::{Answer, Request, encode_uri_component};

const ADDED: &str = "wxfedcba9876543210";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A server that has a master key, and a WeChat that knows [`ADDED`].
fn with_master_key() -> Setup {
    let mut setup = Setup::new();
    setup.config.master_key = Some(KEY.parse().unwrap());
    setup.add_client("chief", &[Scope::Admin]);
    setup.simulator.add_app(app(ADDED));
    setup
}

async fn put(server: &Server, appid: &str, body: &str) -> Answer {
    let answer = server
        .ask(
            &Request::new("PUT", format!("/v1/accounts/{appid}"))
                .with_json(body)
                .of("chief"),
        )
        .await;
    let said = String::from_utf8_lossy(&answer.body);
    assert!(!said.contains("AppSecret-of"), "{said}");
    answer
}

async fn delete(server: &Server, appid: &str) -> Answer {
    server
        .ask(&Request::new("DELETE", format!("/v1/accounts/{appid}")).of("chief"))
        .await
}

fn body(change: Value) -> String {
    let mut body = json!({
        "secret": secret(ADDED).expose(),
        "page_hosts": ["ok.example.com", "*.shop.example.com"],
    });
    let members = body.as_object_mut().unwrap();
    members.extend(change.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    body.to_string()
}

fn signature_of_added() -> Request {
    let page = encode_uri_component(PAGE);
    Request::get(format!("/jsapi/signature?url={page}&appid={ADDED}"))
}

#[tokio::test]
async fn an_account_is_added_changed_and_removed() {
    let server = with_master_key().start_ready().await;
    is_problem(
        &server.ask(&signature_of_added()).await,
        404,
        "unknown_account",
        "appid",
    );

    let answer = put(&server, ADDED, &body(json!({ "name": "商城" }))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let mut stored = answer.json();
    let changed_at = stored.as_object_mut().unwrap().remove("changed_at");
    assert!(changed_at.unwrap().as_i64().unwrap() > 1_700_000_000);
    let expected = json!({
        "appid": ADDED, "name": "商城", "token_api": "classic",
        "page_hosts": ["*.shop.example.com", "ok.example.com"], "wx_card": false,
    });
    assert_eq!(stored, expected);
    let answer = server.ask(&signature_of_added()).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    // What is left out stays as it is.
    for change in [
        json!({ "secret": null, "token_api": "stable", "wx_card": true }),
        json!({ "secret": null }),
    ] {
        let answer = put(&server, ADDED, &body(change)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["name"], "商城");
        assert_eq!(answer.json()["token_api"], "stable");
        assert_eq!(answer.json()["wx_card"], true);
    }
    let choice = format!("/jsapi/card-sign?appid={ADDED}");
    assert_eq!(server.get(&*choice).await.status, 200);
    let none = json!({ "secret": null, "wx_card": false });
    assert_eq!(put(&server, ADDED, &body(none)).await.status, 200);
    is_problem(&server.get(&*choice).await, 404, "no_card_ticket", "");
    assert_eq!(server.ask(&signature_of_added()).await.status, 200);

    assert_eq!(delete(&server, ADDED).await.status, 204);
    for answer in [
        server.ask(&signature_of_added()).await,
        delete(&server, ADDED).await,
    ] {
        is_problem(&answer, 404, "unknown_account", "");
    }
    server.signs().await;
    server.end().await;
}

#[tokio::test]
async fn what_wechat_says_of_a_wrong_secret_is_shown_and_nothing_is_stored() {
    let server = with_master_key().start_ready().await;
    let wrong = body(json!({ "secret": "a-wrong-one" }));
    let answer = put(&server, ADDED, &wrong).await;
    is_problem(&answer, 422, "wechat_refused", "copy it again");
    assert_eq!(answer.json()["errcode"], 40125);
    let errmsg = answer.json()["errmsg"].as_str().unwrap().to_owned();
    assert!(errmsg.contains("invalid appsecret"), "{errmsg}");
    let unknown = put(&server, "wx00000000000000ff", &wrong).await;
    is_problem(&unknown, 422, "wechat_refused", "40013");
    // Somebody has mistyped something, which is no reason to wake anybody.
    let metrics = String::from_utf8(server.get("/metrics").await.body).unwrap();
    let refused = metrics.lines().find(|line| {
        line.starts_with("wxsign_upstream_requests_total") && line.contains("errcode=\"40")
    });
    assert_eq!(refused, None);
    is_problem(&delete(&server, ADDED).await, 404, "unknown_account", ADDED);

    let unchecked = body(json!({ "secret": "a-wrong-one", "unchecked": true }));
    assert_eq!(put(&server, ADDED, &unchecked).await.status, 201);
    // A right one mends it at once, though the wrong one was to be tried again much later.
    until("the wrong secret is noticed", async || {
        let answer = server.ask(&signature_of_added()).await;
        (answer.json()["errcode"] == 40125).then_some(())
    })
    .await;
    assert_eq!(put(&server, ADDED, &body(json!({}))).await.status, 200);
    until("pages are signed", async || {
        let answer = server.ask(&signature_of_added()).await;
        (answer.status == 200).then_some(())
    })
    .await;
    server.end().await;
}

#[tokio::test]
async fn a_body_that_is_wrong_is_told_what_is_wrong_without_its_values() {
    let server = with_master_key().start_ready().await;
    let hosts = |hosts: Value| json!({ "page_hosts": hosts });
    for (change, advice) in [
        (json!({ "secret": "" }), "secret is empty"),
        (json!({ "secret": "a b" }), "secret holds a blank"),
        (json!({ "secret": 1 }), "secret must be a text"),
        (json!({ "secret": null }), "the AppSecret is missing"),
        (json!({ "name": "a\nb" }), "name: a name has 1 to 64"),
        (json!({ "token_api": "new" }), "\"classic\" or \"stable\""),
        (json!({ "unchecked": 1 }), "true or false"),
        (json!({ "AppSecret": "x" }), "\"AppSecret\" is not known"),
        (hosts(json!(null)), "list of texts"),
        (hosts(json!("h5.example.com")), "list of texts"),
        (hosts(json!([])), "names no host"),
        (hosts(json!([1])), "list of texts"),
        (hosts(json!(["https://h"])), "\"https://h\" is not a page"),
    ] {
        let answer = put(&server, ADDED, &body(change)).await;
        is_problem(&answer, 400, "invalid_body", advice);
    }
    for text in ["", "[]", "\"the-AppSecret-of\"", "{"] {
        let answer = put(&server, ADDED, text).await;
        is_problem(&answer, 400, "invalid_body", "not a JSON object");
    }
    let large = body(json!({ "name": "x".repeat(20_000) }));
    is_problem(
        &put(&server, ADDED, &large).await,
        413,
        "body_too_large",
        "16384",
    );
    for appid in ["gh_0123456789ab", "wx0123456789ABCDEF"] {
        for answer in [
            put(&server, appid, "{}").await,
            delete(&server, appid).await,
        ] {
            is_problem(&answer, 400, "invalid_appid", "all lower case");
        }
    }
    server.end().await;
}

#[tokio::test]
async fn a_configured_account_is_changed_in_the_configuration_alone() {
    let server = with_master_key().start_ready().await;
    for answer in [
        put(&server, APPID, &body(json!({}))).await,
        delete(&server, APPID).await,
    ] {
        is_problem(&answer, 409, "account_is_configured", "restart");
    }
    server.signs().await;
    server.end().await;
}

#[tokio::test]
async fn without_a_master_key_no_account_can_be_added() {
    let mut setup = Setup::new();
    setup.add_client("chief", &[Scope::Admin]);
    let server = setup.start_ready().await;
    let answer = put(&server, ADDED, &body(json!({}))).await;
    is_problem(&answer, 409, "no_master_key", "openssl rand -hex 32");
    server.end().await;
}

#[tokio::test]
async fn while_wechat_cannot_be_reached_an_account_is_added_only_unchecked() {
    let server = with_master_key().start_ready().await;
    server.simulator.inject(FaultRule::new(Fault::Reset));
    let answer = put(&server, ADDED, &body(json!({}))).await;
    is_problem(&answer, 502, "upstream_unreachable", "unchecked");
    server.simulator.clear_faults();
    let not_listed = FaultRule::new(Fault::Errcode(40164));
    server.simulator.inject(not_listed);
    let answer = put(&server, ADDED, &body(json!({}))).await;
    is_problem(&answer, 502, "upstream_unreachable", "IP white list");
    assert_eq!(answer.json()["errcode"], 40164);
    let unchecked = body(json!({ "unchecked": true }));
    assert_eq!(put(&server, ADDED, &unchecked).await.status, 201);
    server.end().await;
}

#[tokio::test]
async fn a_server_without_any_account_says_so_until_it_gets_one() {
    let mut setup = with_master_key();
    setup.config.accounts.clear();
    let server = setup.start().await;
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let reasons = answer.json()["reasons"].to_string();
    assert!(reasons.contains("there is no account yet"), "{reasons}");
    let page = format!("/jsapi/signature?url={}", encode_uri_component(PAGE));
    let answer = server.get(page.clone()).await;
    is_problem(&answer, 404, "unknown_account", "no account here yet");
    assert_eq!(put(&server, ADDED, &body(json!({}))).await.status, 201);
    server.becomes_ready().await;
    assert_eq!(server.get(page).await.status, 200);
    server.end().await;
}

#[tokio::test]
async fn a_change_is_made_to_its_end_though_the_caller_hangs_up() {
    let server = with_master_key().start_ready().await;
    let slow = Fault::Delay(Duration::from_millis(500));
    server.simulator.inject(FaultRule::new(slow));
    let request = Request::new("PUT", format!("/v1/accounts/{ADDED}"))
        .with_json(body(json!({})))
        .of("chief");
    let mut connection = server.connect().await;
    connection.send(&request.bytes()).await;
    let added: AppId = ADDED.parse().unwrap();
    until("WeChat is asked", async || {
        let trials = server.simulator.counter(&added, "/cgi-bin/stable_token");
        (trials.requests == 1).then_some(())
    })
    .await;
    drop(connection);
    server.simulator.clear_faults();
    until("pages are signed", async || {
        let answer = server.ask(&signature_of_added()).await;
        (answer.status == 200).then_some(())
    })
    .await;
    server.end().await;
}
