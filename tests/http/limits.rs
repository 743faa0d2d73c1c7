//! How often one caller may ask.

use std::time::Duration;

use wxsign::simulator::{Fault, FaultRule};

use crate::harness::{PAGE, Server, Setup, is_problem, posted_signature, signature};
use crate::wire::{Answer, Request};

/// More than a limit of one a second lets through at once.
const FLOOD: usize = 40;

/// A server behind a proxy on this machine, which gives each address one signature a second.
fn behind_a_proxy() -> Setup {
    let mut setup = Setup::new();
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    setup.config.limits.signatures_per_address = 1;
    setup
}

/// Asks on behalf of the addresses in `forwarded` until it is refused, if ever.
async fn flood(server: &Server, request: &Request, forwarded: impl Fn(usize) -> String) -> Answer {
    for i in 0..FLOOD {
        let request = request.clone().with("X-Forwarded-For", &forwarded(i));
        let answer = server.ask(&request).await;
        if answer.status != 200 {
            return answer;
        }
    }
    panic!("{FLOOD} requests went through");
}

fn is_rate_limited(answer: &Answer) {
    is_problem(answer, 429, "rate_limited", "the time in Retry-After");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
}

async fn signs_for(server: &Server, client: &str) {
    let request = signature(PAGE).with("X-Forwarded-For", client);
    assert_eq!(server.ask(&request).await.status, 200, "{client}");
}

#[tokio::test]
async fn an_address_that_asks_too_often_waits_and_others_go_on() {
    let server = behind_a_proxy().start_ready().await;
    for (client, request) in [
        ("203.0.113.1", signature(PAGE)),
        ("203.0.113.2", posted_signature(PAGE)),
        ("2001:db8::1", signature(PAGE)),
    ] {
        let refused = flood(&server, &request, |_| client.to_owned()).await;
        is_rate_limited(&refused);
    }
    signs_for(&server, "203.0.113.3").await;
    signs_for(&server, "2001:db8:0:1::1").await;
    server.end().await;
}

#[tokio::test]
async fn requests_that_are_refused_count_as_well() {
    let server = behind_a_proxy().start_ready().await;
    let twice = "/jsapi/signature?url=a&url=b";
    for (client, request) in [
        ("203.0.113.1", signature("https://evil/")),
        ("203.0.113.2", posted_signature("")),
        ("203.0.113.3", Request::get("/jsapi/signature?url=%")),
        ("203.0.113.4", Request::get(twice)),
        ("203.0.113.5", Request::new("HEAD", twice)),
        (
            "203.0.113.6",
            Request::get(twice).with("Connection", "keep-alive, te"),
        ),
        ("203.0.113.7", Request::post("/jsapi/signature", "x")),
        ("203.0.113.8", Request::post("/jsapi/report", "x")),
        ("203.0.113.9", Request::get("/jsapi/agent-signature?url=%")),
        ("203.0.113.10", Request::get("/jsapi/card-sign?cardId=p")),
    ] {
        let request = request.with("X-Forwarded-For", client);
        let mut statuses = Vec::new();
        for _ in 0..FLOOD {
            statuses.push(server.ask(&request).await.status.as_u16());
        }
        assert!(statuses.contains(&429), "{client}: {statuses:?}");
        assert!(!statuses.contains(&200), "{client}: {statuses:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn one_that_has_to_wait_or_is_odd_counts_once() {
    let mut setup = behind_a_proxy();
    setup.demo = true;
    let slow = Fault::Delay(Duration::from_millis(300));
    setup
        .simulator
        .inject(FaultRule::new(slow).on("/cgi-bin/token"));
    let server = setup.start().await;
    let odd = signature(&format!("{PAGE}?a=1&amp;b=2"));
    for (client, request) in [("203.0.113.1", signature(PAGE)), ("203.0.113.2", odd)] {
        let request = request.with("X-Forwarded-For", client);
        // As many as five seconds are worth.
        for _ in 0..5 {
            assert_eq!(server.ask(&request).await.status, 200, "{client}");
        }
        is_rate_limited(&flood(&server, &request, |_| client.to_owned()).await);
    }
    server.end().await;
}

#[tokio::test]
async fn head_counts_as_well() {
    let server = behind_a_proxy().start_ready().await;
    let target = format!("/jsapi/signature?url={PAGE}");
    let head = Request::new("HEAD", target);
    let refused = flood(&server, &head, |_| "203.0.113.1".to_owned()).await;
    assert_eq!(refused.status, 429);
    server.end().await;
}

#[tokio::test]
async fn what_a_client_adds_on_the_left_does_not_make_it_another() {
    let server = behind_a_proxy().start_ready().await;
    let spoofed = |i: usize| format!("198.51.100.{i}, 203.0.113.1");
    is_rate_limited(&flood(&server, &signature(PAGE), spoofed).await);
    let nonsense = |i: usize| format!("nobody-{i},203.0.113.2, 127.0.0.2");
    is_rate_limited(&flood(&server, &signature(PAGE), nonsense).await);
    signs_for(&server, "198.51.100.1").await;
    server.end().await;
}

#[tokio::test]
async fn an_ipv6_network_is_one_client() {
    let server = behind_a_proxy().start_ready().await;
    let hopping = |i: usize| format!("2001:db8::{i:x}");
    is_rate_limited(&flood(&server, &signature(PAGE), hopping).await);
    server.end().await;
}

#[tokio::test]
async fn a_program_on_this_machine_is_never_limited() {
    let server = behind_a_proxy().start_ready().await;
    let mut connection = server.connect().await;
    for _ in 0..FLOOD {
        assert_eq!(connection.ask(&signature(PAGE)).await.status, 200);
    }
    server.end().await;
}

#[tokio::test]
async fn nobody_is_believed_who_is_not_a_trusted_proxy() {
    let mut setup = behind_a_proxy();
    setup.config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let server = setup.start_ready().await;
    for _ in 0..FLOOD {
        signs_for(&server, "203.0.113.1").await;
    }
    server.end().await;
}

#[tokio::test]
async fn an_account_has_a_limit_of_its_own_that_only_good_requests_use_up() {
    let other = "wxfedcba9876543210";
    let mut setup = Setup::new();
    setup.add_account(other);
    setup.config.limits.signatures_per_account = 1;
    let server = setup.start_ready().await;
    let of = |appid: &str, page: &str| {
        Request::get(format!("/jsapi/signature?appid={appid}&url={page}"))
    };
    for _ in 0..FLOOD {
        let refused = server
            .ask(&of(crate::harness::APPID, "https://evil/"))
            .await;
        assert_eq!(refused.status, 403);
    }
    let here = of(crate::harness::APPID, PAGE);
    is_rate_limited(&flood(&server, &here, |i| format!("203.0.113.{i}")).await);
    assert_eq!(server.ask(&of(other, PAGE)).await.status, 200);
    server.end().await;
}
