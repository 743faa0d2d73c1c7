//! Client keys are given out, replaced and taken back while the server runs.

use serde_json::{Value, json};
use wxsign::client::{Accounts, Scope};
use wxsign::config::StoreUrl;

use crate::back_ends::read;
use crate::dropin::as_wechat_does;
use crate::harness::{APPID, Server, Setup, is_problem, members, until};
use crate::wire::{Answer, Request};

const OTHER: &str = "wxfedcba9876543210";

/// A server with one who may do everything, and one who may do a little with one account.
fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.add_account(OTHER);
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    setup.add_client("chief", &Scope::ALL);
    let here = Accounts::Listed([APPID.parse().unwrap()].into());
    setup
        .add_client("foreman", &[Scope::Admin, Scope::Token])
        .accounts = here;
    setup
}

fn put(name: &str, body: &Value) -> Request {
    Request::new("PUT", format!("/v1/clients/{name}")).with_json(body.to_string())
}

fn delete(name: &str) -> Request {
    Request::new("DELETE", format!("/v1/clients/{name}"))
}

async fn puts(server: &Server, by: &str, name: &str, body: Value) -> Answer {
    server.ask(&put(name, &body).of(by)).await
}

/// The key of an answer that shows one.
fn key_of(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.status);
    assert_eq!(answer.header("cache-control"), "no-store");
    let key = answer.json()["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("wxk_"));
    key
}

/// Asks for the token with this key.
async fn reads(server: &Server, key: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    server
        .ask(&read(APPID, "").with("Authorization", &bearer))
        .await
}

/// Asks for the token as an SDK does; WeChat's errcode, if that is the answer.
async fn fetches(server: &Server, key: &str) -> Option<i64> {
    let grant = "grant_type=client_credential";
    let target = format!("/cgi-bin/token?{grant}&appid={APPID}&secret={key}");
    let answer = server.ask(&Request::get(target)).await;
    as_wechat_does(&answer)["errcode"].as_i64()
}

fn for_tokens() -> Value {
    json!({ "scopes": ["token"], "accounts": [APPID] })
}

#[tokio::test]
async fn a_client_is_added_asks_gets_another_key_and_is_removed() {
    let server = setup().start_ready().await;
    let answer = puts(&server, "chief", "shop", for_tokens()).await;
    let first = key_of(&answer, 201);
    let added = answer.json();
    assert!(added["changed_at"].as_i64().unwrap() > 1_700_000_000);
    let shown = [
        "accounts",
        "changed_at",
        "key",
        "keys",
        "name",
        "not_after",
        "scopes",
    ];
    assert_eq!(members(&added), shown);
    assert_eq!(reads(&server, &first).await.status, 200);
    assert_eq!(fetches(&server, &first).await, None);

    // What is left out stays, and the key is not shown again.
    let end = json!({ "not_after": 4_102_444_800_i64 });
    for (change, scopes, keys) in [
        (json!({ "scopes": ["report", "token"] }), 2, 1),
        (end, 2, 1),
        (json!({ "not_after": null }), 2, 1),
        (json!({}), 2, 1),
    ] {
        let answer = puts(&server, "chief", "shop", change.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let changed = answer.json();
        assert_eq!(changed.get("key"), None, "{changed}");
        assert_eq!(changed["scopes"].as_array().unwrap().len(), scopes);
        assert_eq!(changed["accounts"], json!([APPID]));
        assert_eq!(changed["keys"], keys);
        let end = change.get("not_after").cloned().unwrap_or_default();
        assert_eq!(changed["not_after"], end);
    }

    let rotate = json!({ "rotate": true });
    let second = key_of(&puts(&server, "chief", "shop", rotate).await, 200);
    for key in [&first, &second] {
        assert_eq!(reads(&server, key).await.status, 200);
    }
    let drop_former = json!({ "drop_former": true });
    let answer = puts(&server, "chief", "shop", drop_former).await;
    assert_eq!(answer.json()["keys"], 1);
    let replaced = reads(&server, &first).await;
    is_problem(&replaced, 401, "key_refused", "no client has this key");
    assert_eq!(fetches(&server, &first).await, Some(40125));
    assert_eq!(reads(&server, &second).await.status, 200);

    let listed = server.ask(&Request::get("/v1/clients").of("chief")).await;
    assert!(!listed.text().contains("wxk_"));
    let listed = listed.json();
    let clients = listed["clients"].as_array().unwrap();
    let names: Vec<_> = (clients.iter())
        .map(|client| (client["name"].as_str().unwrap(), &client["kept_in"]))
        .collect();
    let (file, store) = (&json!("configuration"), &json!("database"));
    let expected = [("chief", file), ("foreman", file), ("shop", store)];
    assert_eq!(names, expected);
    assert!(clients[2]["last_used"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(clients[1]["last_used"], Value::Null);

    let answer = server.ask(&delete("shop").of("chief")).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (204, ""));
    is_problem(&reads(&server, &second).await, 401, "key_refused", "");
    let again = server.ask(&delete("shop").of("chief")).await;
    is_problem(&again, 404, "unknown_client", "no client shop was added");
    server.end().await;
}

#[tokio::test]
async fn nobody_gives_or_takes_more_than_he_has() {
    let server = setup().start_ready().await;
    let tokens = |accounts: Value| json!({ "scopes": ["token"], "accounts": accounts });
    let scopes = |scopes: Value| json!({ "scopes": scopes, "accounts": [APPID] });
    for body in [
        tokens(json!(["*"])),
        tokens(json!([OTHER])),
        tokens(json!([APPID, OTHER])),
        tokens(json!(["wx00000000000000ff"])),
        scopes(json!(["ticket"])),
        scopes(json!(["token", "admin", "proxy"])),
    ] {
        let answer = puts(&server, "foreman", "shop", body.clone()).await;
        is_problem(
            &answer,
            403,
            "rights_exceeded",
            "would get scopes or accounts",
        );

        // Nor does he touch what the chief has given.
        let given = puts(&server, "chief", "given", body).await;
        let key = key_of(&given, 201);
        for change in [
            json!({ "rotate": true }),
            json!({ "drop_former": true }),
            json!({ "not_after": 0 }),
            for_tokens(),
        ] {
            let answer = puts(&server, "foreman", "given", change).await;
            is_problem(&answer, 403, "rights_exceeded", "your key has not");
        }
        let answer = server.ask(&delete("given").of("foreman")).await;
        is_problem(&answer, 403, "rights_exceeded", "your key has not");
        let answer = reads(&server, &key).await;
        assert_ne!(answer.status, 401, "{answer:?}");
        let removed = server.ask(&delete("given").of("chief")).await;
        assert_eq!(removed.status, 204);
    }

    // What he has, he may hand on, and whoever got it too; but not widen what he has himself.
    let his = json!({ "scopes": ["admin", "token"], "accounts": [APPID] });
    let key = key_of(&puts(&server, "foreman", "second", his).await, 201);
    let bearer = format!("Bearer {key}");
    let second = |name: &str, body: Value| put(name, &body).with("Authorization", &bearer);
    let answer = server.ask(&second("third", for_tokens())).await;
    key_of(&answer, 201);
    for wider in [json!({ "accounts": ["*"] }), json!({ "scopes": ["proxy"] })] {
        for name in ["second", "third"] {
            let answer = server.ask(&second(name, wider.clone())).await;
            is_problem(&answer, 403, "rights_exceeded", "");
        }
    }
    // Who gave himself less has less from then on.
    let less = second("second", json!({ "scopes": ["token"] }));
    assert_eq!(server.ask(&less).await.status, 200);
    let answer = server.ask(&second("third", json!({}))).await;
    is_problem(&answer, 403, "scope_missing", "\"admin\"");
    server.end().await;
}

#[tokio::test]
async fn only_those_with_the_scope_change_clients() {
    let mut setup = setup();
    let others = Scope::ALL
        .into_iter()
        .filter(|scope| *scope != Scope::Admin);
    setup.add_client("no-admin", &others.collect::<Vec<_>>());
    let server = setup.start_ready().await;
    let from =
        |request: Request, i: usize| request.with("X-Forwarded-For", &format!("198.51.100.{i}"));
    for (i, request) in [put("shop", &for_tokens()), delete("shop")]
        .iter()
        .enumerate()
    {
        let answer = server.ask(request).await;
        is_problem(&answer, 401, "key_required", "Bearer");
        let stranger = from(request.clone(), i).of("nobody");
        is_problem(&server.ask(&stranger).await, 401, "key_refused", "");
        let answer = server.ask(&request.clone().of("no-admin")).await;
        is_problem(&answer, 403, "scope_missing", "\"admin\"");
    }
    let answer = server.ask(&delete("shop").of("chief")).await;
    is_problem(&answer, 404, "unknown_client", "");
    server.end().await;
}

#[tokio::test]
async fn a_body_that_is_wrong_is_told_what_is_wrong() {
    let server = setup().start_ready().await;
    let with = |name: &str, value: Value| {
        let mut body = for_tokens();
        body[name] = value;
        body
    };
    let (list, whole) = ("must be a list of texts", "whole seconds");
    for (body, advice) in [
        (json!({}), "the scopes and accounts are missing"),
        (json!({ "scopes": ["token"] }), "accounts are missing"),
        (json!({ "accounts": [APPID] }), "accounts are missing"),
        (json!({ "rotate": true }), "no client shop was added"),
        (with("scopes", json!(null)), "accounts are missing"),
        (with("scopes", json!([])), list),
        (with("scopes", json!("token")), list),
        (with("scopes", json!([1])), list),
        (with("scopes", json!(["tokens"])), "there are token, ticket"),
        (with("accounts", json!({})), list),
        (with("accounts", json!([])), list),
        (with("accounts", json!([["*"]])), list),
        (with("accounts", json!(["gh_1"])), "accounts: an AppID is"),
        (with("not_after", json!("2027-12-31")), whole),
        (with("not_after", json!(-1)), whole),
        (with("not_after", json!(1.5)), whole),
        (with("not_after", json!(1_800_000_000_000_i64)), whole),
        (with("rotate", json!("yes")), "rotate must be true or false"),
        (with("drop_former", json!(1)), "drop_former must be true"),
        (with("key", json!("wxk_mine")), "\"key\" is not known"),
    ] {
        println!("{body}");
        let answer = puts(&server, "chief", "shop", body).await;
        is_problem(&answer, 400, "invalid_body", advice);
        assert!(!answer.text().contains("wxk_mine"));
    }
    for text in ["", "[]", "\"shop\"", "{"] {
        let request = Request::new("PUT", "/v1/clients/shop").with_json(text);
        let answer = server.ask(&request.of("chief")).await;
        is_problem(&answer, 400, "invalid_body", "not a JSON object");
    }
    let large = with("scopes", json!(["x".repeat(20_000)]));
    let answer = puts(&server, "chief", "shop", large).await;
    is_problem(&answer, 413, "body_too_large", "16384");
    let long = "a".repeat(65);
    for name in ["a%20b", "a%2Fb", ".hidden", "%E5%BE%AE", &long, "%ff"] {
        let put = put(name, &for_tokens());
        for request in [put, delete(name)] {
            let answer = server.ask(&request.of("chief")).await;
            is_problem(&answer, 400, "invalid_client_name", "1 to 64 letters");
        }
    }
    let answer = server.ask(&delete("shop").of("chief")).await;
    is_problem(&answer, 404, "unknown_client", "");
    server.end().await;
}

#[tokio::test]
async fn a_configured_client_is_changed_in_the_configuration_alone() {
    let server = setup().start_ready().await;
    for request in [
        put("foreman", &for_tokens()),
        put("chief", &json!({ "rotate": true })),
        delete("foreman"),
    ] {
        let answer = server.ask(&request.of("chief")).await;
        is_problem(&answer, 409, "client_is_configured", "restart");
    }
    let answer = server.ask(&read(APPID, "").of("foreman")).await;
    assert_eq!(answer.status, 200);
    server.end().await;
}

#[tokio::test]
async fn what_is_changed_at_one_server_holds_at_all_that_share_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let shared = || {
        let mut setup = setup();
        setup.config.store = StoreUrl::Sqlite(directory.path().join("wxsign.db"));
        setup
    };
    let (one, two) = (shared().start_ready().await, shared().start_ready().await);
    let first = key_of(&puts(&one, "chief", "shop", for_tokens()).await, 201);
    let is_let_in = async |key: &str, expected: bool| {
        until("the change arrives", async || {
            // From another address each time: refused keys are counted.
            let address = format!("203.0.113.{}", rand::random::<u8>());
            let request = read(APPID, "")
                .with("Authorization", &format!("Bearer {key}"))
                .with("X-Forwarded-For", &address);
            let status = two.ask(&request).await.status;
            ((status == 200) == expected).then_some(())
        })
        .await;
    };
    is_let_in(&first, true).await;
    let rotate = json!({ "rotate": true, "drop_former": true });
    let second = key_of(&puts(&one, "chief", "shop", rotate).await, 200);
    is_let_in(&second, true).await;
    is_let_in(&first, false).await;
    let listed = two.ask(&Request::get("/v1/clients").of("chief")).await;
    let last_used = &listed.json()["clients"][2]["last_used"];
    assert!(last_used.is_number(), "{last_used}");
    let removed = one.ask(&delete("shop").of("chief")).await;
    assert_eq!(removed.status, 204);
    is_let_in(&second, false).await;
    one.end().await;
    two.end().await;
}
