//! SDKs that take this server for WeChat: what it costs when they fetch a token again, which is
//! what they do when WeChat refuses theirs.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use wxsign::client::Scope;
use wxsign::simulator::{Fault, FaultRule};

use crate::back_ends::{PROBE, read, revoke, setup};
use crate::dropin::{STABLE, TICKET, TOKEN, as_wechat_does, fetch, fetch_stable};
use crate::harness::{APPID, Server, Setup, uptime};
use crate::wire::Request;

/// The ways in which an SDK fetches a token again.
fn again() -> [Request; 3] {
    [
        fetch(APPID, "shop"),
        fetch_stable(APPID, "shop", false),
        fetch_stable(APPID, "shop", true),
    ]
}

async fn fetched(server: &Server, request: &Request) -> Value {
    let body = as_wechat_does(&server.ask(request).await);
    body["access_token"].clone()
}

/// How often WeChat was asked about the token, and how often for one.
fn costs(server: &Server) -> (u64, u64) {
    let fetches = server.calls(TOKEN) + server.calls(STABLE);
    (server.calls(PROBE), fetches)
}

#[tokio::test]
async fn a_token_that_lives_is_asked_about_once_and_not_replaced() {
    for again in again() {
        let server = setup().await.start_ready().await;
        let first = fetched(&server, &fetch(APPID, "shop")).await;
        assert_eq!(costs(&server), (0, 0), "it was at hand");
        for _ in 0..3 {
            assert_eq!(fetched(&server, &again).await, first);
            assert_eq!(costs(&server), (1, 0));
        }
        server.end().await;
    }
}

#[tokio::test]
async fn a_token_that_is_dead_is_replaced_for_who_fetches_again() {
    for again in again() {
        let server = setup().await.start_ready().await;
        let dead = fetched(&server, &fetch(APPID, "shop")).await;
        revoke(&server);
        let renewed = fetched(&server, &again).await;
        assert_ne!(renewed, dead);
        let token = renewed.as_str().unwrap();
        assert!(server.simulator.token_is_accepted(&server.appid, token));
        assert_eq!(costs(&server), (1, 1));

        // Another process of the back end, or its cache, may hold the former one for a while.
        for token in [&dead, &renewed] {
            let token = token.as_str().unwrap();
            let target = format!("{TICKET}?access_token={token}&type=jsapi");
            let ticket = as_wechat_does(&server.get(target).await);
            assert_eq!(ticket["errcode"], 0, "{ticket}");
        }
        server.end().await;
    }
}

#[tokio::test]
async fn who_forces_a_token_though_it_has_none_does_no_more_than_report() {
    let server = setup().await.start_ready().await;
    let forced = fetch_stable(APPID, "shop", true);
    let token = fetched(&server, &forced).await;
    assert_eq!(
        token,
        server
            .simulator
            .newest_token(&server.appid)
            .unwrap()
            .expose()
    );
    assert_eq!(costs(&server), (1, 0));
    server.end().await;
}

/// Sends each of `requests` at once; what each is given.
async fn fetched_at_once(server: &Server, requests: &[Request]) -> Vec<Value> {
    let mut fetches = JoinSet::new();
    for request in requests {
        let (mut connection, request) = (server.connect().await, request.clone());
        fetches.spawn(async move {
            let body = as_wechat_does(&connection.ask(&request).await);
            body["access_token"].clone()
        });
    }
    fetches.join_all().await
}

#[tokio::test]
async fn fifty_sdks_that_fetch_a_dead_token_again_share_one_question_and_one_fetch() {
    let mut setup = Setup::new();
    let names: Vec<_> = (0..50).map(|i| format!("shop-{i}")).collect();
    for name in &names {
        setup.add_client(name, &[Scope::Token]);
    }
    setup.has_tokens().await;
    let requests: Vec<_> = names.iter().map(|name| fetch(APPID, name)).collect();
    let server = setup.start_ready().await;
    fetched_at_once(&server, &requests).await;
    revoke(&server);
    let renewed = fetched_at_once(&server, &requests).await;
    all_have_the_newest(&server, &renewed);
    assert_eq!(costs(&server), (1, 1));
    server.end().await;
}

#[tokio::test]
async fn so_do_fifty_processes_with_one_key() {
    let server = setup().await.start_ready().await;
    let requests = vec![fetch(APPID, "shop"); 50];
    fetched(&server, &requests[0]).await;
    revoke(&server);
    // All of them are there before there is a new token: a process that comes when another one
    // has that already seems to complain of the new one.
    let slow = FaultRule::new(Fault::Delay(Duration::from_secs(2)));
    server.simulator.inject(slow.on(PROBE));
    let renewed = fetched_at_once(&server, &requests).await;
    all_have_the_newest(&server, &renewed);
    assert_eq!(costs(&server), (1, 1));
    server.end().await;
}

fn all_have_the_newest(server: &Server, tokens: &[Value]) {
    let newest = server.simulator.newest_token(&server.appid).unwrap();
    for token in tokens {
        assert_eq!(token, newest.expose());
    }
}

#[tokio::test]
async fn while_wechat_is_silent_an_sdk_gets_the_token_at_hand_in_five_seconds() {
    let server = setup().await.start_ready().await;
    let first = fetched(&server, &fetch(APPID, "shop")).await;
    server.simulator.inject(FaultRule::new(Fault::Hang));
    let asked = async {
        let begun = uptime();
        let second = fetched(&server, &fetch(APPID, "shop")).await;
        (second, uptime() - begun)
    };
    let reads = async {
        let begun = uptime();
        for _ in 0..20 {
            let answer = server.ask(&read(APPID, "").of("shop")).await;
            assert_eq!(answer.json()["access_token"], first);
        }
        uptime() - begun
    };
    let ((second, waited), read_in) = tokio::join!(asked, reads);
    assert_eq!(second, first);
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    assert!(read_in < waited, "{read_in:?} for twenty reads");
    assert_eq!(costs(&server), (1, 0));
    server.end().await;
}
