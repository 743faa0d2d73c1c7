//! Back ends that wait for the next token.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use wxsign::simulator::Action;

use crate::back_ends::{PROBE, TOKEN, read, report, revoke, setup};
use crate::harness::{APPID, PAGE, Server, signature, uptime};
use crate::wire::{Answer, Connection};

/// Longer than any test takes.
const FOR_A_NEWER_ONE: &str = "?wait=60&generation=1";

/// Begins to wait for a newer token than the first.
async fn wait_for_a_newer_one(server: &Server) -> Connection {
    let mut connection = server.connect().await;
    let request = read(APPID, FOR_A_NEWER_ONE).of("shop");
    connection.send(&request.bytes()).await;
    connection
}

fn token(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_newer_token_is_told_within_a_tenth_of_a_second() {
    let others = [
        "wx0000000000000001",
        "wx0000000000000002",
        "wx0000000000000003",
    ];
    let mut setup = setup().await;
    for appid in others {
        setup.add_account(appid);
    }
    setup.has_tokens().await;
    let server = setup.start_ready().await;
    let mut lags = Vec::new();
    for appid in others.into_iter().chain([APPID]) {
        let ask = async |query| {
            let mut connection = server.connect().await;
            token(&connection.ask(&read(appid, query).of("shop")).await)
        };
        let first = ask("").await;
        let waits = async {
            let told = ask(FOR_A_NEWER_ONE).await;
            (told, uptime())
        };
        // What someone reads who asks all the time is what could have been told.
        let watches = async {
            let mut connection = server.connect().await;
            let request = read(appid, "").of("shop");
            while token(&connection.ask(&request).await)["generation"] == 1 {}
            uptime()
        };
        let renews = async {
            let action = Action::RevokeTokens;
            server
                .simulator
                .act(&appid.parse().unwrap(), action)
                .unwrap();
            server.ask(&report(appid, &first).of("shop")).await
        };
        let ((told, heard), seen, renewed) = tokio::join!(waits, watches, renews);
        assert_eq!(renewed.json()["result"], "renewed");
        assert_eq!(told["generation"], 2);
        assert_eq!(told["access_token"], renewed.json()["access_token"]);
        lags.push(heard.saturating_sub(seen));
    }
    // Where the machine has other things to do, one of them may come late for that alone: the
    // median says what the server does.
    lags.sort();
    let median = lags[lags.len() / 2];
    assert!(median < Duration::from_millis(100), "{lags:?}");
    server.end().await;
}

#[tokio::test]
async fn without_a_newer_token_the_one_at_hand_is_told_in_the_end() {
    let server = setup().await.start_ready().await;
    for (query, seconds) in [
        ("?wait=1&generation=1", 1),
        ("?wait=0&generation=1", 0),
        ("?wait=60&generation=0", 0),
    ] {
        let begun = uptime();
        let told = token(&server.ask(&read(APPID, query).of("shop")).await);
        let (waited, least) = (uptime() - begun, Duration::from_secs(seconds));
        assert_eq!(told["generation"], 1, "{query}");
        assert!(
            waited >= least && waited < least + Duration::from_secs(30),
            "{waited:?}"
        );
    }
    server.end().await;
}

#[tokio::test]
async fn who_waits_is_let_go_when_the_server_stops() {
    let server = setup().await.start_ready().await;
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(wait_for_a_newer_one(&server).await);
    }
    // Those before it have come in by now.
    server.signs().await;
    let stopped = uptime();
    server.shutdown.draining.cancel();
    for mut connection in waiting {
        assert_eq!(token(&connection.answer(true).await)["generation"], 1);
    }
    // Who comes later does not wait either.
    let mut late = wait_for_a_newer_one(&server).await;
    assert_eq!(token(&late.answer(true).await)["generation"], 1);
    assert!(
        uptime() - stopped < Duration::from_secs(30),
        "{:?}",
        uptime() - stopped
    );
    server.end().await;
}

#[tokio::test]
async fn a_thousand_who_wait_keep_no_page_from_being_signed() {
    let limit = getrlimit(Resource::Nofile);
    let most = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most).unwrap();
    let server = setup().await.start_ready().await;
    let first = token(&server.ask(&read(APPID, "").of("shop")).await);
    let mut pages = server.connect().await;
    let signs_a_hundred = async |pages: &mut Connection| {
        let begun = uptime();
        for _ in 0..100 {
            assert_eq!(pages.ask(&signature(PAGE)).await.status, 200);
        }
        uptime() - begun
    };
    let alone = signs_a_hundred(&mut pages).await;
    let mut waiting = Vec::new();
    for _ in 0..1000 {
        waiting.push(wait_for_a_newer_one(&server).await);
    }
    let beside = signs_a_hundred(&mut pages).await;
    // Ten times as long is no more than a busy machine explains.
    let limit = alone * 10 + Duration::from_secs(1);
    assert!(beside < limit, "{beside:?} beside them, {alone:?} without");

    revoke(&server);
    let renewed = server.ask(&report(APPID, &first).of("shop")).await;
    for mut connection in waiting {
        let told = token(&connection.answer(true).await);
        assert_eq!(told["access_token"], renewed.json()["access_token"]);
    }
    assert_eq!((server.calls(PROBE), server.calls(TOKEN)), (1, 1));
    server.end().await;
}
