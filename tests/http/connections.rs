//! Many requests on one connection, slow and vanishing clients, and the end of the server.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wxsign::simulator::{Fault, FaultRule};

use crate::harness::{PAGE, Setup, is_problem, posted_signature, signature, until};
use crate::wire::{Connection, PATIENCE, Request};

const TOKEN: &str = "/cgi-bin/token";
const TICKET: &str = "/cgi-bin/ticket/getticket";

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = Setup::new().start_ready().await;
    let mut connection = server.connect().await;
    for _ in 0..10 {
        assert_eq!(connection.ask(&signature(PAGE)).await.status, 200);
        assert_eq!(connection.ask(&posted_signature(PAGE)).await.status, 200);
        assert_eq!(connection.ask(&signature("#")).await.status, 400);
        assert_eq!(connection.ask(&Request::get("/livez")).await.status, 200);
    }
    server.end().await;
}

#[tokio::test]
async fn a_hundred_pipelined_requests_are_answered_in_their_order() {
    let server = Setup::new().start_ready().await;
    let page = |i: usize| format!("{PAGE}?i={i}");
    let request = |i: usize| match i % 3 {
        0 => posted_signature(&page(i)),
        _ => signature(&page(i)),
    };
    let all: Vec<u8> = (0..100).flat_map(|i| request(i).bytes()).collect();
    let mut connection = server.connect().await;
    connection.send(&all).await;
    for i in 0..100 {
        let answer = connection.answer(true).await;
        assert_eq!(answer.json()["url"], page(i));
    }
    server.end().await;
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_rest_of_the_next_request() {
    let server = Setup::new().start_ready().await;
    let next = signature(PAGE).bytes();
    let (begin, rest) = next.split_at(20);
    for request in [signature(PAGE), posted_signature(PAGE), signature("#")] {
        let mut connection = server.connect().await;
        connection.send(&[&request.bytes(), begin].concat()).await;
        let answer = connection.answer(true).await;
        assert!([200, 400].contains(&answer.status.as_u16()), "{answer:?}");
        connection.send(rest).await;
        assert_eq!(connection.answer(true).await.json()["url"], PAGE);
    }
    server.end().await;
}

/// The plainest requests are read without hyper; one that wants the connection closed is not.
#[tokio::test]
async fn an_answer_is_the_same_whoever_has_read_the_request() {
    let server = Setup::new().start_ready().await;
    let allowed = ("Origin", "https://ok.example.com");
    let rows: [(&str, &[(&str, &str)]); 9] = [
        (PAGE, &[allowed]),
        (PAGE, &[("Origin", "https://foreign.example.com")]),
        (
            "https://ok.example.com/\"a\"#b",
            &[("x-request-id", "a.b-c")],
        ),
        (PAGE, &[("x-request-id", "not plain")]),
        (PAGE, &[("X-Forwarded-For", "192.0.2.1, 192.0.2.2")]),
        ("https://foreign.example.com/", &[allowed]),
        ("ok.example.com", &[("Origin", "null")]),
        ("", &[("Origin", "https://ok.example.com/")]),
        (&"a".repeat(3000), &[]),
    ];
    for (page, headers) in rows {
        let request = (headers.iter()).fold(signature(page), |request, (name, value)| {
            request.with(name, value)
        });
        let told = async |request: &Request| {
            let mut connection = server.connect().await;
            let answer = connection.ask(request).await;
            let mut body = answer.json();
            for by_chance in ["nonceStr", "timestamp", "signature", "request_id"] {
                body.as_object_mut().unwrap().remove(by_chance);
            }
            let mut headers = answer.headers;
            for by_chance in ["connection", "date"] {
                headers.remove(by_chance);
            }
            let id = headers.remove("x-request-id").unwrap();
            (answer.status, headers, body, id.len())
        };
        let closing = request.clone().with("Connection", "close");
        assert_eq!(told(&request).await, told(&closing).await, "{page}");
    }
    server.end().await;
}

/// Some clients send one that no length counts (<https://www.rfc-editor.org/rfc/rfc9112#section-2.2>).
#[tokio::test]
async fn an_empty_line_behind_a_body_delays_nothing() {
    let server = Setup::new().start_ready().await;
    let mut connection = server.connect().await;
    for _ in 0..2 {
        let request = posted_signature(PAGE).bytes();
        connection
            .send(&[&request, b"\r\n".as_slice()].concat())
            .await;
        assert_eq!(connection.answer(true).await.status, 200);
    }
    server.end().await;
}

#[tokio::test]
async fn what_is_no_request_is_told_so_behind_the_answers_before_it_and_then_all_ends() {
    let server = Setup::new().start_ready().await;
    for (before, status) in [(signature(PAGE), 200), (Request::get("/livez"), 200)] {
        let mut connection = server.connect().await;
        let refused = b"GET /livez HTTP/1.1\r\nno header\r\n\r\n";
        let all = [&before.bytes(), &refused[..], &signature(PAGE).bytes()].concat();
        connection.send(&all).await;
        assert_eq!(connection.answer(true).await.status, status);
        let answer = connection.answer(true).await;
        is_problem(&answer, 400, "invalid_request", "look for line breaks");
        assert_eq!(answer.header("connection"), "close");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(connection.next_answer(true).await.is_none());
    }
    server.end().await;
}

#[tokio::test]
async fn one_who_sends_and_never_reads_is_held_back() {
    let server = Setup::new().start_ready().await;
    let requests = signature("#").bytes().repeat(1000);
    let mut connection = server.connect().await;
    let mut megabytes = 0.0;
    let second = Duration::from_secs(1);
    while let Ok(()) = timeout(second, connection.send(&requests)).await {
        megabytes += requests.len() as f64 / 1e6;
        // More than the buffers of the sockets hold on both sides.
        assert!(megabytes < 32.0, "all of it was taken");
    }
    server.signs().await;
    drop(connection);
    server.end().await;
}

#[tokio::test]
async fn a_client_that_is_slow_holds_up_nobody_else() {
    let server = Setup::new().start_ready().await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut connection = server.connect().await;
        connection.send(b"GET /jsapi/signature?url=https").await;
        slow.push(connection);
    }
    let mut half = server.connect().await;
    let posted = posted_signature(PAGE).bytes();
    half.send(&posted[..posted.len() - 5]).await;
    for _ in 0..20 {
        server.signs().await;
    }
    half.send(&posted[posted.len() - 5..]).await;
    assert_eq!(half.answer(true).await.status, 200);
    drop(slow);
    server.end().await;
}

#[tokio::test]
async fn a_client_that_vanishes_takes_nothing_with_it() {
    let setup = Setup::new();
    let slow = Fault::Delay(Duration::from_millis(300));
    setup.simulator.inject(FaultRule::new(slow).on(TOKEN));
    let server = setup.start().await;
    for request in [signature(PAGE), posted_signature(PAGE)] {
        let whole = request.bytes();
        for sent in [0, 10, whole.len() - 1, whole.len()] {
            let mut connection = server.connect().await;
            connection.send(&whole[..sent]).await;
            drop(connection);
        }
    }
    server.signs().await;
    assert_eq!((server.calls(TOKEN), server.calls(TICKET)), (1, 1));
    server.end().await;
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_its_body_is_told_to() {
    let server = Setup::new().start_ready().await;
    let whole = posted_signature(PAGE)
        .with("Expect", "100-continue")
        .bytes();
    let end_of_head = whole.len() - format!(r#"{{"url":"{PAGE}"}}"#).len();
    let mut connection = server.connect().await;
    connection.send(&whole[..end_of_head]).await;
    assert_eq!(connection.answer(false).await.status, 100);
    connection.send(&whole[end_of_head..]).await;
    assert_eq!(connection.answer(true).await.status, 200);
    server.end().await;
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_not_waited_for() {
    let server = Setup::new().start_ready().await;
    for target in ["/jsapi/signature", "/jsapi/report"] {
        let mut connection = server.connect().await;
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\n");
        connection.send(head.as_bytes()).await;
        let answer = connection.answer(true).await;
        is_problem(&answer, 413, "body_too_large", "16384 bytes");
    }
    server.end().await;
}

#[tokio::test]
async fn who_has_said_all_is_still_answered() {
    let server = Setup::new().start_ready().await;
    for count in [1, 10] {
        for request in [
            signature(PAGE),
            Request::get("/livez"),
            posted_signature(PAGE),
        ] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let requests = request.bytes().repeat(count);
            stream.write_all(&requests).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut said = String::new();
            let read = timeout(PATIENCE, stream.read_to_string(&mut said)).await;
            read.expect("an end").unwrap();
            assert_eq!(said.matches("HTTP/1.1 200 OK").count(), count, "{said}");
        }
    }
    server.end().await;
}

async fn is_served(connection: &mut Connection) -> bool {
    connection.send(&Request::get("/livez").bytes()).await;
    connection.next_answer(true).await.is_some()
}

#[tokio::test]
async fn there_are_as_many_connections_as_may_be() {
    let mut setup = Setup::new();
    setup.config.limits.connections = 3;
    let server = setup.start_ready().await;
    let mut kept = Vec::new();
    until("three connections", async || {
        let mut connection = server.connect().await;
        let alive = is_served(&mut connection).await;
        kept.extend(alive.then_some(connection));
        (kept.len() == 3).then_some(())
    })
    .await;
    let mut one_more = server.connect().await;
    assert!(!is_served(&mut one_more).await);
    for connection in &mut kept {
        assert_eq!(connection.ask(&signature(PAGE)).await.status, 200);
    }
    kept.pop();
    until("the place that was left", async || {
        let mut connection = server.connect().await;
        is_served(&mut connection).await.then_some(())
    })
    .await;
    drop(kept);
    server.end().await;
}

#[tokio::test]
async fn while_draining_requests_are_still_answered() {
    let server = Setup::new().start_ready().await;
    let mut kept = server.connect().await;
    assert_eq!(kept.ask(&signature(PAGE)).await.status, 200);
    server.shutdown.draining.cancel();
    assert_eq!(kept.ask(&signature(PAGE)).await.status, 200);
    server.signs().await;
    server.end().await;
}

#[tokio::test]
async fn the_end_lets_a_running_request_end_and_takes_no_more() {
    let setup = Setup::new();
    let slow = Fault::Delay(Duration::from_millis(500));
    setup.simulator.inject(FaultRule::new(slow).on(TICKET));
    let server = setup.start().await;
    let mut idle = server.connect().await;
    assert_eq!(idle.ask(&Request::get("/livez")).await.status, 200);
    let mut waiting = server.connect().await;
    waiting.send(&signature(PAGE).bytes()).await;
    until("the call for the ticket", async || {
        (server.calls(TICKET) > 0).then_some(())
    })
    .await;
    server.shutdown.draining.cancel();
    server.shutdown.closing.cancel();
    assert!(idle.next_answer(true).await.is_none(), "it was idle");
    let answer = waiting.answer(true).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(waiting.next_answer(true).await.is_none(), "that was all");
    until("a closed door", async || {
        let refused = TcpStream::connect(server.address).await;
        refused.is_err().then_some(())
    })
    .await;
    server.end().await;
}

#[tokio::test]
async fn the_end_does_not_wait_for_clients_that_say_nothing() {
    let server = Setup::new().start_ready().await;
    let idle: Vec<Connection> = vec![server.connect().await, server.connect().await];
    server.signs().await;
    server.end().await;
    drop(idle);
}

#[tokio::test]
async fn one_who_waits_for_a_ticket_that_is_not_fetched_any_more_is_told_so() {
    let setup = Setup::new();
    let slow = Fault::Delay(Duration::from_millis(300));
    setup.simulator.inject(FaultRule::new(slow).on(TOKEN));
    let server = setup.start().await;
    let mut waiting = server.connect().await;
    waiting.send(&signature(PAGE).bytes()).await;
    until("the call for the token", async || {
        (server.calls(TOKEN) > 0).then_some(())
    })
    .await;
    server.shutdown.draining.cancel();
    let answer = waiting.answer(true).await;
    is_problem(&answer, 503, "credential_unavailable", "ask again");
    assert_eq!((server.calls(TOKEN), server.calls(TICKET)), (1, 0));
    server.end().await;
}
