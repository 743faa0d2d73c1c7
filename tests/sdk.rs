//! Real SDKs, unmodified, whose API host is wxsign and whose AppSecret is a client key.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "sdk/back_end.rs"]
mod back_end;
#[path = "serve/canaries.rs"]
mod canaries;
#[path = "serve/harness.rs"]
#[expect(dead_code, reason = "what the tests of `serve` use besides")]
mod harness;

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use wxsign::credential::Kind;
use wxsign::simulator::Action;
use wxsign::store::{Key, Sqlite, Store, Tell};

use back_end::{BackEnd, Sdk};
use harness::{PAGE, Place, WeChat, Wxsign, appid};

#[tokio::test]
async fn sdks_get_the_one_token_and_sign_with_the_one_ticket() {
    let wechat = WeChat::start().await;
    let (place, keys) = place_for_back_ends(&wechat.url);
    let wxsign = place.serve().await;
    for (sdk, key) in Sdk::ALL.iter().zip(&keys) {
        let back_end = BackEnd::start(*sdk, &wxsign, key);
        let answer = back_end.answer(&format!("sign {PAGE}")).await;
        assert!(wechat.accepts(&answer["config"]), "{sdk:?} {answer}");
        back_end.end().await;
    }
    assert!(wechat.accepts(&wxsign.signs().await));
    assert_eq!(wechat.fetches(), (1, 1));
}

#[tokio::test]
async fn a_hundred_calls_with_a_dead_token_all_succeed_and_cost_one_token() {
    let wechat = WeChat::start().await;
    let (place, keys) = place_for_back_ends(&wechat.url);
    let wxsign = serve_with_older_token(&place).await;
    let [npm, pypi] = [0, 1].map(|at| BackEnd::start(Sdk::ALL[at], &wxsign, &keys[at]));
    for back_end in [&npm, &pypi] {
        assert_eq!(back_end.answer("token").await, json!({ "errcode": 0 }));
    }
    assert_eq!(wechat.fetches().0, 1);
    wechat
        .simulator
        .act(&appid(), Action::RevokeTokens)
        .unwrap();

    let (from_npm, from_pypi) = tokio::join!(npm.answer("call 50"), pypi.answer("call 50"));
    let all_succeeded = json!({ "ended": { "0": 50 } });
    assert_eq!([&from_npm, &from_pypi], [&all_succeeded; 2]);
    assert_eq!(wechat.fetches().0, 2);
}

#[tokio::test]
async fn a_wrong_client_key_is_a_wrong_app_secret_and_the_sdk_ends() {
    let wechat = WeChat::start().await;
    let (place, _) = place_for_back_ends(&wechat.url);
    let wxsign = place.serve().await;
    wxsign.signs().await;
    for sdk in Sdk::ALL {
        let back_end = BackEnd::start(sdk, &wxsign, "wxk_of_another_server_0123456789abcdef");
        let answer = back_end.answer("token").await;
        assert_eq!(answer["errcode"], 40125, "{sdk:?} {answer}");
        let errmsg = answer["errmsg"].as_str().unwrap();
        assert!(errmsg.starts_with("invalid appsecret"), "{sdk:?} {answer}");
        back_end.end().await;
    }
    assert_eq!(wechat.fetches(), (1, 1));
}

/// A place whose server knows a back end for each SDK, and their keys.
fn place_for_back_ends(upstream: &str) -> (Place, [String; 2]) {
    let place = Place::new(upstream).with_database();
    let [(npm, block), (pypi, another)] = ["npm", "pypi"].map(new_key);
    let blocks = format!("{block}\n{another}");
    std::fs::write(place.path().join("wxsign.toml"), blocks).unwrap();
    (place, [npm, pypi])
}

/// What `wxsign key new` makes: a key and its block of the configuration.
fn new_key(name: &str) -> (String, String) {
    let scopes = ["token", "ticket", "report", "proxy"];
    let made = Command::new(env!("CARGO_BIN_EXE_wxsign"))
        .args(["key", "new", name])
        .args(scopes.iter().flat_map(|scope| ["--scope", scope]))
        .output()
        .unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let (key, block) = made.split_once("\n\n").expect("a key and its block");
    (key.to_owned(), block.to_owned())
}

/// Starts a server that fetched its token two minutes ago: one that WeChat rejects is replaced at
/// once, but not within a minute of the fetch that brought it.
async fn serve_with_older_token(place: &Place) -> Wxsign {
    let mut first = place.serve().await;
    first.signs().await;
    first.signal(Signal::INT);
    first.exit_code().await;

    let store = Store::new(Sqlite::open(&place.path().join("wxsign.db")).unwrap());
    let key = Key {
        appid: appid(),
        kind: Kind::AccessToken,
    };
    let (mut record, version) = store.load(&key).await.unwrap();
    let token = record.credential.as_mut().unwrap();
    for time in [
        &mut token.first_seen,
        &mut token.confirmed_at,
        &mut token.expires_at,
        &mut token.claimed_until,
    ] {
        *time = time.before(Duration::from_secs(120));
    }
    let swapped = store.swap(&key, version, &record, Tell::Nobody).await;
    assert!(swapped.unwrap().is_some());
    place.serve().await
}
