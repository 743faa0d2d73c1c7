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

use back_end::{BackEnd, Sdk};
use harness::{PAGE, Place, WeChat};

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
