//! Without a ticket: what a page is told, what a balancer is told, and that it passes.

use std::time::Duration;

use wxsign::simulator::{Fault, FaultRule};

use crate::harness::{APPID, PAGE, Setup, is_problem, posted_signature, signature, until};
use crate::wire::Answer;

const TOKEN: &str = "/cgi-bin/token";
const TICKET: &str = "/cgi-bin/ticket/getticket";

fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn what_wechat_refuses_is_passed_on_with_what_to_do() {
    for (path, errcode, errmsg, remedy) in [
        (TOKEN, 40164, "not in whitelist", "IP"),
        (TOKEN, 40125, "invalid appsecret", "AppSecret"),
        (TOKEN, 40013, "invalid appid", "AppID"),
        (TICKET, 48001, "api unauthorized", ""),
        (TOKEN, 45009, "reach max api daily quota limit", ""),
    ] {
        let setup = Setup::new();
        let fault = FaultRule::new(Fault::Errcode(errcode)).on(path);
        setup.simulator.inject(fault);
        let server = setup.start().await;
        for request in [signature(PAGE), posted_signature(PAGE)] {
            let answer = server.ask(&request).await;
            is_problem(&answer, 503, "credential_unavailable", remedy);
            let problem = answer.json();
            assert_eq!(problem["errcode"], errcode);
            let told = problem["errmsg"].as_str().unwrap();
            assert!(told.contains(errmsg), "{told}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(&errcode.to_string()), "{detail}");
            assert!((1..=3600).contains(&retry_after(&answer)), "{answer:?}");
        }
        server.end().await;
    }
}

#[tokio::test]
async fn asking_again_does_not_call_wechat_again() {
    let setup = Setup::new();
    setup
        .simulator
        .inject(FaultRule::new(Fault::Errcode(40164)).on(TOKEN));
    let server = setup.start().await;
    for _ in 0..50 {
        assert_eq!(server.ask(&signature(PAGE)).await.status, 503);
    }
    assert_eq!((server.calls(TOKEN), server.calls(TICKET)), (1, 0));
    server.end().await;
}

#[tokio::test]
async fn a_bad_address_is_refused_as_such_even_without_a_ticket() {
    let setup = Setup::new();
    setup
        .simulator
        .inject(FaultRule::new(Fault::Errcode(40164)).on(TOKEN));
    let server = setup.start().await;
    for request in [
        signature("https://evil/"),
        posted_signature("https://evil/"),
    ] {
        let answer = server.ask(&request).await;
        is_problem(&answer, 403, "host_not_allowed", "page_hosts");
    }
    server.end().await;
}

#[tokio::test]
async fn it_recovers_without_a_restart() {
    let setup = Setup::new();
    setup
        .simulator
        .inject(FaultRule::new(Fault::Errcode(-1)).on(TOKEN).times(2));
    let server = setup.start().await;
    let answer = server.ask(&signature(PAGE)).await;
    is_problem(&answer, 503, "credential_unavailable", "errcode -1");
    assert!((1..=3).contains(&retry_after(&answer)), "{answer:?}");
    until("a signature", async || {
        let answer = server.ask(&signature(PAGE)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    server.becomes_ready().await;
    assert_eq!((server.calls(TOKEN), server.calls(TICKET)), (3, 1));
    server.end().await;
}

#[tokio::test]
async fn the_first_pages_wait_for_the_first_ticket() {
    let setup = Setup::new();
    let slow = Fault::Delay(Duration::from_millis(300));
    setup.simulator.inject(FaultRule::new(slow));
    let server = setup.start().await;
    let (get, post) = (signature(PAGE), posted_signature(PAGE));
    let (a, b, c) = tokio::join!(server.ask(&get), server.ask(&post), server.ask(&get));
    for answer in [a, b, c] {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!((server.calls(TOKEN), server.calls(TICKET)), (1, 1));
    server.end().await;
}

#[tokio::test]
async fn a_ticket_in_hand_hides_every_trouble_of_wechat() {
    let server = Setup::new().start_ready().await;
    server.simulator.inject(FaultRule::new(Fault::Unreachable));
    for _ in 0..20 {
        server.signs().await;
    }
    server.becomes_ready().await;
    server.end().await;
}

#[tokio::test]
async fn one_account_in_trouble_leaves_the_other_alone() {
    let other = "wxfedcba9876543210";
    let mut setup = Setup::new();
    setup.add_account(other);
    let mut fault = FaultRule::new(Fault::Errcode(40125));
    fault.appid = Some(other.parse().unwrap());
    setup.simulator.inject(fault);
    let server = setup.start_ready().await;
    let ask = async |appid: &str| {
        let target = format!("/jsapi/signature?url={PAGE}&appid={appid}");
        server.get(target).await
    };
    assert_eq!(ask(APPID).await.status, 200);
    assert_eq!(ask(other).await.status, 503);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200);
    let reason = ready.json()["reasons"][0].as_str().unwrap().to_owned();
    assert!(
        reason.contains(other) && reason.contains("40125"),
        "{reason}"
    );
    server.end().await;
}

#[tokio::test]
async fn readiness_follows_the_ticket_and_liveness_does_not() {
    let setup = Setup::new();
    let fault = FaultRule::new(Fault::Errcode(-1)).on(TOKEN);
    setup.simulator.inject(fault);
    let server = setup.start().await;
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 503);
    let told = ready.json();
    assert_eq!(told["status"], "unavailable");
    assert!(
        told["reasons"][0].as_str().unwrap().contains(APPID),
        "{told}"
    );
    assert_eq!(server.get("/livez").await.status, 200);

    server.simulator.clear_faults();
    server.becomes_ready().await;
    let ready = server.get("/readyz").await;
    assert_eq!(ready.text(), r#"{"status":"ready"}"#);

    server.shutdown.draining.cancel();
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reasons"][0], "the server is stopping");
    let alive = server.get("/livez").await;
    assert_eq!(alive.text(), r#"{"status":"alive"}"#);
    server.signs().await;
    server.end().await;
}
