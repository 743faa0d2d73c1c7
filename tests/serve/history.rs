//! What happened, as the command line shows it, and copies of the database.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;
use wxsign::credential::Kind;
use wxsign::simulator::{Fault, FaultRule};

use crate::canaries::APP_SECRET;
use crate::harness::{APPID, Place, Ran, WeChat, Wxsign, eventually};

const OTHER: &str = "wxfedcba9876543210";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn place(wechat: &WeChat) -> Place {
    let place = Place::new(&wechat.url).with_database();
    place.with("WXSIGN_MASTER_KEY", KEY)
}

async fn stop(mut wxsign: Wxsign) {
    wxsign.signal(Signal::INT);
    assert_eq!(wxsign.exit_code().await, Some(0));
}

async fn ran(place: &Place, args: &[&str]) -> Ran {
    let ran = place.run(args, "").await;
    assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    ran
}

async fn refused(place: &Place, args: &[&str], why: &str) {
    let ran = place.run(args, "").await;
    assert_eq!(ran.code, Some(1), "{args:?}: {ran:?}");
    assert!(ran.stderr.contains(why), "{args:?}: {ran:?}");
    assert_eq!(ran.stdout, "");
}

/// What `wxsign events` shows, from the first to the last.
async fn events(place: &Place, args: &[&str]) -> Vec<Value> {
    let ran = ran(place, &[&["events", "--json"], args].concat()).await;
    let lines = ran.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn what_a_server_and_the_command_line_do_is_shown_from_the_first_to_the_last() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    let wxsign = place.serve().await;
    wxsign.signs().await;
    let renewed = eventually("it is written down", async || {
        let renewed = events(&place, &["--what", "renewal"]).await;
        (renewed.len() == 2).then_some(renewed)
    })
    .await;
    for (event, kind) in renewed.iter().zip(["access_token", "jsapi_ticket"]) {
        assert_eq!(event["what"], "renewal.done");
        assert_eq!(event["details"]["kind"], kind);
        assert_eq!(event["details"]["generation"], 1);
        assert_eq!(
            (&event["appid"], &event["actor"]),
            (&APPID.into(), &Value::Null)
        );
    }

    let add = [
        "account",
        "add",
        OTHER,
        "--unchecked",
        "--page-host",
        "h5.example.com",
    ];
    let added = place.run(&add, APP_SECRET).await;
    assert_eq!(added.code, Some(0), "{added:?}");
    ran(&place, &["client", "add", "shop", "--scope", "token"]).await;
    ran(&place, &["client", "rotate", "shop"]).await;
    ran(&place, &["account", "remove", OTHER]).await;
    let by_hand = events(&place, &["--text", "BY CLI"]).await;
    let names: Vec<_> = by_hand.iter().map(|event| &event["what"]).collect();
    let expected = [
        "account.added",
        "client.added",
        "client.rotated",
        "account.removed",
    ];
    assert_eq!(names, expected);
    assert_eq!(by_hand[0]["appid"], OTHER);
    assert_eq!(by_hand[1]["details"]["client"], "shop");
    assert_eq!(
        events(&place, &["--limit", "1", "--appid", OTHER]).await,
        [by_hand[3].clone()]
    );

    let text = ran(&place, &["events", "--what", "client"]).await.stdout;
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split_once("  ").unwrap().1)
        .collect();
    let expected = [
        "client.added       client shop added (by cli)",
        "client.rotated     client shop given a new key (by cli)",
    ];
    assert_eq!(lines, expected);
    stop(wxsign).await;
}

#[tokio::test]
async fn who_follows_sees_a_failure_as_it_begins() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    wechat
        .simulator
        .inject(FaultRule::new(Fault::Errcode(40164)));
    let wxsign = place.serve().await;
    let mut following = place.start_verb(&["events", "--follow", "--what", "renewal.failed"]);
    following.prints("access_token not renewed").await;
    stop(wxsign).await;
    following.signal(Signal::TERM);
    assert_eq!(following.exit_code().await, None);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_copy_made_while_the_server_runs_is_put_back_and_tokens_are_fetched_anew() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    let wxsign = place.serve().await;
    wxsign.signs().await;
    ran(&place, &["client", "add", "before", "--scope", "token"]).await;

    let copied = ran(&place, &["backup", "copy.db"]).await;
    assert_eq!(copied.stdout, "copied wxsign.db to copy.db\n");
    assert_eq!(mode(&place.path().join("copy.db")), 0o600);
    assert!(!place.path().join("copy.db-wal").exists());
    refused(&place, &["backup", "copy.db"], "copy.db is there already").await;
    refused(&place, &["backup", "no/such/copy.db"], "No such file").await;
    refused(
        &place,
        &["restore", "copy.db"],
        "a server or another program has it open",
    )
    .await;

    ran(&place, &["client", "add", "after", "--scope", "token"]).await;
    stop(wxsign).await;
    fs::write(
        place.path().join("text"),
        "this is no database, it is a text",
    )
    .unwrap();
    refused(&place, &["restore", "text"], "not a database").await;
    refused(&place, &["restore", "none.db"], "none.db cannot be read").await;

    let restored = ran(&place, &["restore", "copy.db"]).await;
    assert_eq!(restored.stdout, "restored wxsign.db from copy.db\n");
    let (_, replaced) = restored.stderr.split_once("that was there is ").unwrap();
    let (replaced, _) = replaced.split_once(' ').unwrap();
    let replaced = place.path().join(replaced);
    assert!(replaced.exists(), "{}", replaced.display());
    assert_eq!(mode(&place.path().join("wxsign.db")), 0o600);
    assert!(place.stored(Kind::AccessToken).await.credential.is_none());
    let clients = ran(&place, &["client", "list"]).await.stdout;
    assert!(
        clients.contains("before") && !clients.contains("after"),
        "{clients}"
    );

    let fetched = wechat.fetches().0;
    let wxsign = place.serve().await;
    assert!(wechat.accepts(&wxsign.signs().await));
    assert_eq!(wechat.fetches().0, fetched + 1);
    stop(wxsign).await;
}

#[tokio::test]
async fn what_is_newer_or_elsewhere_is_not_restored() {
    let wechat = WeChat::start().await;
    let mut place = place(&wechat);
    stop(place.serve().await).await;
    ran(&place, &["backup", "copy.db"]).await;
    let copy = rusqlite::Connection::open(place.path().join("copy.db")).unwrap();
    copy.pragma_update(None, "user_version", 99).unwrap();
    drop(copy);
    refused(&place, &["restore", "copy.db"], "layout 99").await;

    place.set("WXSIGN_STORE", "memory:");
    refused(&place, &["backup", "other.db"], "nothing to copy").await;
    place.set("WXSIGN_STORE", "redis://localhost");
    refused(&place, &["backup", "other.db"], "redis-cli --rdb").await;
    place.set("WXSIGN_STORE", "postgres://localhost/w");
    refused(&place, &["restore", "copy.db"], "pg_restore").await;
    assert!(!place.path().join("other.db").exists());
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_invented_and_where_it_was_looked_for_is_said() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    let path = place.path().join("wxsign.db");
    for args in [
        &["events"][..],
        &["client", "list"],
        &["client", "add", "shop", "--scope", "token"],
        &["account", "list"],
        &["account", "remove", APPID],
        &["backup", "copy.db"],
    ] {
        refused(&place, args, "no database ").await;
        refused(&place, args, "wxsign.db (store: WXSIGN_STORE)").await;
        refused(&place, args, "--store sqlite:PATH").await;
    }
    let args = ["console", "password"];
    let ran = place.run(&args, "four words and more\n").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("no database "), "{ran:?}");
    assert!(!path.exists());

    let args = [
        "account",
        "add",
        OTHER,
        "--page-host",
        "h5.example.com",
        "--unchecked",
    ];
    let ran = place.run(&args, APP_SECRET).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("Made the database "), "{ran:?}");
    assert!(path.exists());
    let again = place.run(&args, APP_SECRET).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(!again.stderr.contains("Made the database"), "{again:?}");
}

#[tokio::test]
async fn a_database_of_a_former_layout_is_changed_by_the_server_alone() {
    let wechat = WeChat::start().await;
    let place = place(&wechat);
    let path = place.path().join("wxsign.db");
    let former = rusqlite::Connection::open(&path).unwrap();
    former
        .execute_batch(
            "CREATE TABLE record (
                 appid TEXT NOT NULL, kind TEXT NOT NULL, version BLOB NOT NULL,
                 record BLOB NOT NULL, PRIMARY KEY (appid, kind)
             ) STRICT, WITHOUT ROWID;
             PRAGMA application_id = 0x77787367; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(former);
    let before = fs::read(&path).unwrap();
    for args in [&["events"][..], &["account", "list"], &["client", "list"]] {
        refused(&place, args, "layout 1").await;
        refused(&place, args, "start the server with this version first").await;
    }
    let ran = place.run(&["doctor"], "").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("start the server with this version"),
        "{ran:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(!place.path().join("wxsign.db.layout-1").exists());

    stop(place.serve().await).await;
    self::ran(&place, &["events"]).await;
    assert!(place.path().join("wxsign.db.layout-1").exists());
}
