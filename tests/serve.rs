//! `wxsign serve` as users run it: the real binary, real sockets, signals and exit codes.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "serve/accounts.rs"]
mod accounts;
#[path = "serve/audit.rs"]
mod audit;
#[path = "http/bare.rs"]
mod bare;
#[path = "serve/canaries.rs"]
mod canaries;
#[path = "serve/clients.rs"]
mod clients;
#[path = "serve/console.rs"]
mod console;
#[path = "serve/doctor.rs"]
mod doctor;
#[path = "serve/end.rs"]
mod end;
#[path = "serve/forwarding.rs"]
mod forwarding;
#[path = "serve/harness.rs"]
mod harness;
#[path = "serve/history.rs"]
mod history;
#[path = "serve/listening.rs"]
mod listening;
#[path = "serve/secrets.rs"]
mod secrets;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use rustix::process::Signal;
use serde_json::json;
use sha1::{Digest, Sha1};
use tokio::task::JoinSet;
use wxsign::credential::Kind;
use wxsign::simulator::{Fault, FaultRule};

use harness::{APPID, PAGE, Place, TICKET_PATH, TOKEN_PATH, WeChat, eventually, signature_target};

#[tokio::test]
async fn any_server_that_answers_the_two_classic_calls_will_do_and_no_file_is_needed() {
    let token = async |Query(query): Query<HashMap<String, String>>| {
        let expected = [
            ("grant_type", "client_credential"),
            ("appid", APPID),
            ("secret", canaries::APP_SECRET),
        ];
        assert!(expected.iter().all(|(name, value)| query[*name] == *value));
        r#"{"access_token":"plain-token","expires_in":7200}"#
    };
    let ticket = async |Query(query): Query<HashMap<String, String>>| {
        assert_eq!(
            (&*query["access_token"], &*query["type"]),
            ("plain-token", "jsapi")
        );
        r#"{"errcode":0,"errmsg":"ok","ticket":"plain-ticket","expires_in":7200}"#
    };
    let wechat = Router::new()
        .route(TOKEN_PATH, get(token))
        .route(TICKET_PATH, get(ticket));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, wechat).await });

    let wxsign = Place::new(&upstream).serve().await;
    let answer = wxsign.sign().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let config = &answer.json;
    let (nonce, timestamp) = (config["nonceStr"].as_str().unwrap(), &config["timestamp"]);
    assert!(timestamp.is_number());
    let text =
        format!("jsapi_ticket=plain-ticket&noncestr={nonce}&timestamp={timestamp}&url={PAGE}");
    let digest = Sha1::digest(text);
    let signature: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = json!({
        "appId": APPID, "timestamp": timestamp, "nonceStr": nonce, "signature": signature,
        "url": PAGE,
    });
    assert_eq!(*config, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_pages_at_a_cold_start_cost_one_token_and_one_ticket() {
    let wechat = WeChat::start().await;
    wechat.turn(|knobs| knobs.latency = Duration::from_millis(300));
    let wxsign = Arc::new(Place::new(&wechat.url).serve().await);
    let mut pages = JoinSet::new();
    for _ in 0..50 {
        let wxsign = Arc::clone(&wxsign);
        pages.spawn(async move { wxsign.sign().await });
    }
    for answer in pages.join_all().await {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(wechat.accepts(&answer.json), "{answer:?}");
    }
    assert_eq!(wechat.fetches(), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_hang_up_while_nothing_is_there_cost_one_token_and_one_ticket() {
    let wechat = WeChat::start().await;
    wechat.turn(|knobs| knobs.latency = Duration::from_secs(7));
    let place = Place::new(&wechat.url);
    let no_limit = "[limits]\nsignatures_per_address = 0\n";
    std::fs::write(place.path().join("wxsign.toml"), no_limit).unwrap();
    let wxsign = Arc::new(place.serve().await);
    eventually("the token is asked for", async || {
        (wechat.fetches() == (1, 0)).then_some(())
    })
    .await;
    // What is asked for from now on is answered at once.
    wechat.turn(|knobs| knobs.latency = Duration::ZERO);
    for _ in 0..10 {
        let mut clients = JoinSet::new();
        for _ in 0..100 {
            let wxsign = Arc::clone(&wxsign);
            clients.spawn(async move { drop(wxsign.ask(&signature_target()).await) });
        }
        clients.join_all().await;
    }
    let late = "the last one hung up too late to matter";
    assert_eq!(wechat.fetches(), (1, 0), "{late}");
    assert!(wechat.accepts(&wxsign.signs().await));
    assert_eq!(wechat.fetches(), (1, 1));
}

#[tokio::test]
async fn a_restart_on_the_same_database_asks_wechat_nothing() {
    for end in [Signal::INT, Signal::KILL] {
        let wechat = WeChat::start().await;
        let place = Place::new(&wechat.url).with_database();
        let mut first = place.serve().await;
        first.signs().await;
        first.signal(end);
        let code = first.exit_code().await;
        assert_eq!(code, (end == Signal::INT).then_some(0));
        let before = place.stored(Kind::JsapiTicket).await.credential.unwrap();
        assert_eq!(wechat.fetches(), (1, 1));

        let second = place.serve().await;
        let answer = second.sign().await;
        assert_eq!(answer.status, 200, "{end:?} {answer:?}");
        assert!(wechat.accepts(&answer.json), "{end:?}");
        assert_eq!(wechat.fetches(), (1, 1), "{end:?}");
        let after = place.stored(Kind::JsapiTicket).await.credential.unwrap();
        assert_eq!(after.value.fingerprint(), before.value.fingerprint());
        assert_eq!(after.generation, before.generation);
    }
}

#[tokio::test]
async fn while_wechat_is_down_pages_are_told_when_to_ask_again_and_served_when_it_is_back() {
    let wechat = WeChat::start().await;
    wechat.simulator.inject(FaultRule::new(Fault::BadGateway));
    let wxsign = Place::new(&wechat.url).serve().await;
    let answer = wxsign.sign().await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json["code"], "credential_unavailable");
    let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    assert_eq!(wxsign.get("/readyz").await.status, 503);
    assert_eq!(wxsign.get("/livez").await.status, 200);

    wechat.simulator.clear_faults();
    let config = wxsign.signs().await;
    assert!(wechat.accepts(&config));
    assert_eq!(wxsign.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_restart_does_not_forget_that_wechat_asked_for_a_pause() {
    let wechat = WeChat::start().await;
    wechat.turn(|knobs| knobs.ip_list = Some(Vec::new()));
    let place = Place::new(&wechat.url).with_database();
    for _ in 0..3 {
        let mut wxsign = place.serve().await;
        let answer = wxsign.sign().await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.json["errcode"], 40164, "{answer:?}");
        let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((240..=300).contains(&retry_after), "{retry_after}");
        wxsign.signal(Signal::KILL);
        wxsign.exit_code().await;
    }
    assert_eq!(wechat.fetches(), (1, 0));
}
