//! Client keys that are given out from the command line while the server runs.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{APPID, Place, Ran, WeChat, Wxsign, eventually};

const CHIEF: &str = "wxk_chief_0123456789abcdefghijklmnop";

/// The status that the server answers when it is asked for the token with this key.
async fn status(wxsign: &Wxsign, key: &str) -> u16 {
    let line = format!("GET /v1/accounts/{APPID}/access-token");
    wxsign.confide(&line, key, "").await.status
}

async fn run(place: &Place, args: &[&str]) -> Ran {
    let ran = place.run(&[&["client"], args].concat(), "").await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

/// Runs a verb that prints a key, and nothing but that, to stdout.
async fn key(place: &Place, args: &[&str]) -> String {
    let ran = run(place, args).await;
    let key = ran.stdout.strip_suffix('\n').unwrap().to_owned();
    assert!(key.starts_with("wxk_") && !key.contains(char::is_whitespace));
    assert!(!ran.stderr.contains(&key[4..12]), "{}", ran.stderr);
    assert!(ran.stderr.contains("within 4 seconds"), "{}", ran.stderr);
    key
}

/// Waits until the server answers the key with this status.
async fn answers(wxsign: &Wxsign, key: &str, expected: u16) {
    // Refused keys are counted: this waits for the count too.
    eventually("the change arrives", async || {
        (status(wxsign, key).await == expected).then_some(())
    })
    .await;
}

/// No key is in what the server said, nor in any file beside it.
fn assert_nowhere(key: &str, wxsign: &Wxsign, place: &Place) {
    let secret = &key[13..];
    assert!(!wxsign.said().contains(secret));
    for file in fs::read_dir(place.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let mut pieces = bytes.windows(16);
        let found = pieces.any(|piece| secret.as_bytes().starts_with(piece));
        assert!(!found, "{}", path.display());
    }
}

#[tokio::test]
async fn a_key_is_given_out_replaced_and_taken_back_while_the_server_runs() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with_former_server();
    let wxsign = place.serve().await;
    wxsign.signs().await;

    let first = key(&place, &["add", "shop", "--scope", "token"]).await;
    answers(&wxsign, &first, 200).await;
    let second = key(&place, &["rotate", "shop"]).await;
    answers(&wxsign, &second, 200).await;
    answers(&wxsign, &first, 200).await;
    let ran = run(&place, &["drop-former", "shop"]).await;
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("shop has its newest key alone"));
    answers(&wxsign, &first, 401).await;
    answers(&wxsign, &second, 200).await;

    // It may do something else from now on, with the key that it has.
    let ran = run(&place, &["add", "shop", "--scope", "status"]).await;
    assert_eq!(ran.stdout, "");
    let told = "changed shop: status for *\nIts keys stay as they are";
    assert!(ran.stderr.starts_with(told), "{}", ran.stderr);
    answers(&wxsign, &second, 403).await;
    let restarted = place.serve().await;
    answers(&restarted, &second, 403).await;

    let ran = run(&place, &["remove", "shop"]).await;
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("removed shop\n"), "{}", ran.stderr);
    for wxsign in [&wxsign, &restarted] {
        answers(wxsign, &second, 401).await;
        assert_nowhere(&first, wxsign, &place);
        assert_nowhere(&second, wxsign, &place);
    }
}

#[tokio::test]
async fn the_list_shows_what_there_is_and_where_it_is_kept() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with_former_server();
    for (name, scopes, rest) in [
        ("shop", "token", ["--account", APPID]),
        (
            "till",
            "report",
            ["--not-after", "2027-12-31T23:59:59+08:00"],
        ),
    ] {
        let args = [
            &["add", name, "--scope", "status", "--scope", scopes][..],
            &rest,
        ];
        key(&place, &args.concat()).await;
    }
    key(&place, &["rotate", "till"]).await;
    place.admit(CHIEF, "admin");
    let ran = run(&place, &["list"]).await;
    insta::assert_snapshot!(ran.stdout, @r"
    NAME  KEPT IN        STATE       KEYS  SCOPES          NOT AFTER             ACCOUNTS
    shop  configuration  served      1     admin           -                     *
    shop  database       overridden  1     token, status   -                     wx0123456789abcdef
    till  database       served      2     report, status  2027-12-31T15:59:59Z  *
    ");
    let told = "overridden: the configuration has a client of this name\n";
    assert_eq!(ran.stderr, told);
    let ran = run(&place, &["list", "--json"]).await;
    let listed: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let till = json!({
        "name": "till", "keys": 2, "scopes": ["report", "status"], "accounts": ["*"],
        "not_after": 1_830_268_799, "kept_in": "database", "state": "served",
    });
    assert_eq!(listed[2], till);

    // No end is a change as good as any; what is not given stays.
    run(
        &place,
        &["add", "till", "--scope", "report", "--not-after", "never"],
    )
    .await;
    run(&place, &["remove", "shop"]).await;
    let ran = run(&place, &["list", "--json"]).await;
    let listed: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[1]["keys"], &listed[1]["not_after"]),
        (&json!(2), &Value::Null)
    );
    assert_eq!(listed[1]["scopes"], json!(["report"]));
}

#[tokio::test]
async fn what_cannot_be_done_says_why_and_what_to_do() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with_former_server();
    place.admit(CHIEF, "admin");
    let add = ["add", "shop", "--scope", "token"];
    for (store, args, told) in [
        ("memory:", &add[..], "PUT /v1/clients/NAME"),
        ("sqlite:wxsign.db", &add, "is in the configuration"),
        (
            "sqlite:wxsign.db",
            &["rotate", "till"],
            "no client till was added",
        ),
        (
            "sqlite:wxsign.db",
            &["drop-former", "till"],
            "no client till was",
        ),
        (
            "sqlite:wxsign.db",
            &["remove", "till"],
            "no client till was added",
        ),
    ] {
        let args = [&["client"], args, &["--store", store]].concat();
        let ran = place.run(&args, "").await;
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{args:?} {ran:?}");
        assert!(ran.stderr.contains(told), "{args:?} {}", ran.stderr);
    }
}

#[tokio::test]
async fn the_log_tells_who_changed_which_client_and_shows_no_key() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url)
        .with_former_server()
        .with("WXSIGN_LOG_FORMAT", "json");
    let chief = key(
        &place,
        &["add", "chief", "--scope", "admin", "--scope", "token"],
    )
    .await;
    let wxsign = place.serve().await;
    let put = async |name: &str, body: Value| {
        let line = format!("PUT /v1/clients/{name}");
        wxsign.confide(&line, &chief, &body.to_string()).await
    };
    let rights = json!({ "scopes": ["token"], "accounts": [APPID] });
    let added = put("shop", rights).await;
    let given = added.json["key"].as_str().unwrap();
    assert_eq!(status(&wxsign, given).await, 200);
    assert_eq!(put("shop", json!({ "accounts": ["*"] })).await.status, 200);
    assert_eq!(
        put("shop", json!({ "scopes": ["proxy"] })).await.status,
        403
    );
    let lines = eventually("the lines of the log", async || {
        let log = wxsign.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let lines = lines.filter(|line: &Value| !line["subject"].is_null());
        Some(lines.collect::<Vec<_>>()).filter(|lines| lines.len() >= 3)
    })
    .await;
    let told: Vec<_> = (lines.iter())
        .map(|line| {
            assert_eq!(line["target"], "wxsign::audit");
            let names = [
                "client", "subject", "did", "scopes", "accounts", "new_key", "result",
            ];
            Value::from_iter(names.map(|name| line[name].clone()))
        })
        .collect();
    let did = "put the client";
    let expected = [
        json!(["chief", "shop", did, "token", APPID, true, "ok"]),
        json!(["chief", "shop", did, "token", "*", false, "ok"]),
        json!(["chief", "shop", did, null, null, null, "refused"]),
    ];
    assert_eq!(told, expected);
    for key in [&*chief, given] {
        assert_nowhere(key, &wxsign, &place);
    }
}
