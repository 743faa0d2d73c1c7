//! Accounts that are added from the command line while the server runs, and what becomes of them.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};
use wxsign::credential::Secret;
use wxsign::store::{AccountRows, Sqlite, Store};

use crate::canaries::{self, APP_SECRET};
use crate::harness::{APPID, Place, WeChat, Wxsign, eventually, nobody};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

const ADD: [&str; 5] = ["account", "add", APPID, "--page-host", "h5.example.com"];

/// A directory with a database, a master key, and no account.
fn place(wechat: &WeChat) -> Place {
    Place::new(&wechat.url)
        .with_former_server()
        .with("WXSIGN_APPID", "")
        .with("WXSIGN_SECRET", "")
        .with("WXSIGN_PAGE_HOSTS", "")
        .with("WXSIGN_MASTER_KEY", KEY)
}

async fn add(place: &Place) {
    let ran = place.run(&ADD, &format!("{APP_SECRET}\n")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, format!("added {APPID}\n"));
    assert!(ran.stderr.contains("within 4 seconds"), "{ran:?}");
}

/// The accounts as `account list --json` shows them.
async fn list(place: &Place) -> Vec<Value> {
    let ran = place.run(&["account", "list", "--json"], "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The accounts as the database holds them.
async fn rows(place: &Place) -> AccountRows {
    let store = Store::new(Sqlite::open(&place.path().join("wxsign.db")).unwrap());
    store.directory().await.unwrap().accounts()
}

/// Ends in good order, and has not shown the master key.
async fn ends(mut wxsign: Wxsign) {
    let said = wxsign.said();
    assert!(!said.contains(&KEY[2..]), "{said}");
    wxsign.signal(Signal::INT);
    assert_eq!(wxsign.exit_code().await, Some(0));
}

/// The database holds tokens and tickets, but no AppSecret that can be read.
fn assert_no_app_secret_in(place: &Place) {
    for file in fs::read_dir(place.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = (bytes.windows(16)).any(|piece| APP_SECRET.as_bytes().starts_with(piece));
        assert!(!found, "{}", path.display());
    }
}

const KEY_OF_CHIEF: &str = "wxk_chief_0123456789abcdefghijklmnop";

#[tokio::test]
async fn an_account_that_is_added_is_soon_served_survives_a_restart_and_goes_when_removed() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    let wxsign = place.serve().await;
    let answer = wxsign.get("/readyz").await;
    let reasons = answer.json["reasons"].to_string();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(reasons.contains("there is no account yet"), "{reasons}");

    add(&place).await;
    assert!(wechat.accepts(&wxsign.signs().await));
    assert_eq!(wechat.fetches(), (1, 1));
    assert_no_app_secret_in(&place);
    ends(wxsign).await;
    let restarted = place.serve().await;
    let answer = restarted.sign().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(wechat.accepts(&answer.json));
    assert_eq!(wechat.fetches(), (1, 1));

    let ran = place.run(&["account", "remove", APPID], "").await;
    assert_eq!(
        (ran.code, ran.stdout),
        (Some(0), format!("removed {APPID}\n"))
    );
    eventually("it is not signed for any more", async || {
        let answer = restarted.sign().await;
        (answer.json["code"] == "unknown_account").then_some(())
    })
    .await;
    assert!(list(&place).await.is_empty());
    assert_no_app_secret_in(&place);
    ends(restarted).await;
}

#[tokio::test]
async fn a_wrong_secret_shows_what_wechat_says_and_is_not_stored() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    wechat.change(|app| app.secret = Secret::new("another-one"));
    let ran = place.run(&ADD, APP_SECRET).await;
    assert_eq!((ran.code, &*ran.stdout), (Some(3), ""), "{ran:?}");
    let told = "errcode 40125, invalid appsecret";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(ran.stderr.contains("copy it again"), "{}", ran.stderr);
    assert!(list(&place).await.is_empty());

    // The file wins over stdin, and its last line break does not count.
    fs::write(place.path().join("secret"), "another-one\n").unwrap();
    let from_file = [&ADD[..], &["--secret-file", "secret", "--name", "商城"]].concat();
    let ran = place.run(&from_file, "nonsense").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let listed = list(&place).await;
    assert_eq!(listed[0]["name"], "商城");
    assert_eq!(listed[0]["state"], "served");
    let ran = place.run(&["account", "list"], "").await;
    insta::assert_snapshot!(ran.stdout, @r"
    APPID               TOKEN API  KEPT IN   STATE   PAGE HOSTS      NAME
    wx0123456789abcdef  classic    database  served  h5.example.com  商城
    ");
}

#[tokio::test]
async fn a_wrong_master_key_is_told_and_touches_nothing() {
    let wechat = WeChat::start().await;
    let mut place = place(&wechat);
    add(&place).await;
    let stored = rows(&place).await;
    for key in [OTHER_KEY, ""] {
        place.set("WXSIGN_MASTER_KEY", key);
        // A configured account of another name is served all the same.
        place.set("WXSIGN_APPID", "wxfedcba9876543210");
        place.set("WXSIGN_SECRET", "the-configured-one");
        place.set("WXSIGN_PAGE_HOSTS", "other.example.com");
        let wxsign = place.serve().await;
        wxsign.logs("WXSIGN_MASTER_KEY").await;
        let log = wxsign.log();
        let told = log.lines().find(|line| line.contains("cannot be opened"));
        assert!(told.unwrap().contains(APPID), "{log}");
        let answer = wxsign.sign().await;
        assert_eq!(answer.json["code"], "host_not_allowed", "{answer:?}");
        let listed = list(&place).await;
        assert_eq!(listed[0]["kept_in"], "configuration");
        assert_eq!(listed[1]["state"], "locked");
        let ran = place.run(&["account", "list"], "").await;
        assert!(ran.stderr.starts_with("locked: "), "{ran:?}");
        let ran = place.run(&ADD, APP_SECRET).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("WXSIGN_MASTER_KEY"), "{}", ran.stderr);
        ends(wxsign).await;
    }
    for name in ["WXSIGN_APPID", "WXSIGN_SECRET", "WXSIGN_PAGE_HOSTS"] {
        place.set(name, "");
    }
    // Where nothing else is served, whoever asks why is told the same.
    place.set("WXSIGN_MASTER_KEY", OTHER_KEY);
    let wxsign = place.serve().await;
    let answer = wxsign.get("/readyz").await;
    let reasons = answer.json["reasons"].to_string();
    assert_eq!(answer.status, 503, "{answer:?}");
    let told = format!("the AppSecrets of {APPID} cannot be opened");
    assert!(reasons.contains(&told), "{reasons}");
    assert!(!reasons.contains("no account yet"), "{reasons}");
    ends(wxsign).await;
    place.set("WXSIGN_MASTER_KEY", KEY);
    assert_eq!(rows(&place).await, stored);
    let wxsign = place.serve().await;
    assert!(wechat.accepts(&wxsign.signs().await));
    ends(wxsign).await;
}

#[tokio::test]
async fn a_new_master_key_takes_the_place_of_the_old_one_while_the_server_runs() {
    let wechat = WeChat::start().await;
    let mut place = place(&wechat);
    add(&place).await;
    let wxsign = place.serve().await;
    wxsign.signs().await;
    let rekey = ["account", "rekey", "--new-key-file", "key"];
    fs::write(place.path().join("key"), "no key").unwrap();
    let ran = place.run(&rekey, "").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    fs::write(place.path().join("key"), format!("{OTHER_KEY}\n")).unwrap();
    let ran = place.run(&rekey, "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, "sealed 1 account with the new key\n");
    assert!(ran.stderr.contains("restart"), "{}", ran.stderr);

    // The server tells that it cannot follow, and goes on.
    wxsign.logs("cannot be opened").await;
    assert!(wechat.accepts(&wxsign.signs().await));
    ends(wxsign).await;
    place.set("WXSIGN_MASTER_KEY", OTHER_KEY);
    let restarted = place.serve().await;
    assert_eq!(restarted.sign().await.status, 200);
    ends(restarted).await;
    assert_eq!(wechat.fetches(), (1, 1));
    fs::remove_file(place.path().join("key")).unwrap();
    assert_no_app_secret_in(&place);
}

#[tokio::test]
async fn an_account_that_comes_over_http_shows_its_secret_nowhere() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    place.admit(KEY_OF_CHIEF, "admin");
    let wxsign = place.serve().await;
    let target = format!("/v1/accounts/{APPID}");
    let bodies = [
        json!({ "secret": APP_SECRET, "page_hosts": [APP_SECRET, 1] }),
        json!({ "secret": [APP_SECRET], "page_hosts": ["h5.example.com"] }),
        json!({ "token_api": APP_SECRET, "page_hosts": ["h5.example.com"] }),
    ];
    for body in bodies {
        let answer = wxsign.put(&target, KEY_OF_CHIEF, &body.to_string()).await;
        assert_eq!(answer.json["code"], "invalid_body", "{answer:?}");
    }
    let broken = format!("{{\"secret\": \"{APP_SECRET}\", }}");
    assert_eq!(wxsign.put(&target, KEY_OF_CHIEF, &broken).await.status, 400);
    let body = json!({ "secret": APP_SECRET, "page_hosts": ["h5.example.com"] }).to_string();
    wechat.change(|app| app.secret = Secret::new("another-one"));
    let answer = wxsign.put(&target, KEY_OF_CHIEF, &body).await;
    assert_eq!(answer.json["code"], "wechat_refused", "{answer:?}");
    wechat.change(|app| app.secret = Secret::new(APP_SECRET));
    assert_eq!(wxsign.put(&target, KEY_OF_CHIEF, &body).await.status, 201);
    assert!(wechat.accepts(&wxsign.signs().await));
    assert_no_app_secret_in(&place);
    ends(wxsign).await;
}

#[tokio::test]
async fn what_cannot_be_done_says_why_and_what_to_do() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    let remove = ["account", "remove", APPID];
    for (name, value, args, told) in [
        ("WXSIGN_MASTER_KEY", "", &ADD[..], "openssl rand -hex 32"),
        ("WXSIGN_STORE", "memory:", &ADD, "PUT /v1/accounts/APPID"),
        ("WXSIGN_UPSTREAM", &nobody(), &ADD, "unchecked"),
        ("WXSIGN_LOG", "info", &remove, "was added at run time"),
    ] {
        let place = place_with(&wechat, name, value);
        let ran = place.run(args, APP_SECRET).await;
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{name} {ran:?}");
        assert!(ran.stderr.contains(told), "{name} {}", ran.stderr);
    }
    let ran = place.run(&ADD, "").await;
    assert!(ran.stderr.contains("the AppSecret is empty"), "{ran:?}");
    let unchecked = [&ADD[..], &["--unchecked"]].concat();
    let offline = place_with(&wechat, "WXSIGN_UPSTREAM", &nobody());
    assert_eq!(offline.run(&unchecked, APP_SECRET).await.code, Some(0));
    let malformed = place_with(&wechat, "WXSIGN_MASTER_KEY", APP_SECRET);
    let ran = malformed.run(&["account", "list"], "").await;
    assert_eq!(ran.code, Some(78), "{ran:?}");
    assert!(ran.stderr.contains("64 hexadecimal digits"), "{ran:?}");
    canaries::assert_none_in(&ran.stderr);
}

fn place_with(wechat: &WeChat, name: &str, value: &str) -> Place {
    place(wechat).with(name, value)
}
