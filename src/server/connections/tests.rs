//! Real connections: how many one address may have, and how long they may do nothing.

use std::os::fd::AsFd;

use axum::body::Bytes;
use http_body_util::{BodyExt, Either, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::super::batched::READ_AT_ONCE;
use super::super::listener::Raw;
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::config::Limits;

const SIGNATURE: &str = "GET /jsapi/signature?url=u HTTP/1.1\r\nHost: a\r\n\r\n";
const OTHER: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
const POSTED: &str = "POST /jsapi/report HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";

/// Answers everything, signatures ahead of hyper; reports when they were read.
struct Hello;

impl Service for Hello {
    fn call(self: &Arc<Self>, request: Request<Incoming>, _: SocketAddr) -> Answer {
        let answer = Response::new(Either::Left(Full::from(Bytes::new())));
        if request.uri().path() != "/jsapi/report" {
            return Answer::Now(answer);
        }
        Answer::Later(Box::pin(async {
            request.into_body().collect().await.unwrap();
            answer
        }))
    }

    fn sign_ahead(&self, _: &Head<'_>, _: SocketAddr, _: &mut Date, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        true
    }
}

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Server {
    /// One where nobody may have more connections than `limits` say.
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let seats = Seats::exempting(Vec::new(), &limits);
        tokio::spawn(serve_seated(listener.into(), Hello, seats, stop.clone()));
        Self { address, stop }
    }

    /// A connection from an address of this machine.
    async fn connect_from(&self, ip: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(ip.parse().unwrap(), 0))
            .unwrap();
        socket.connect(self.address).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn is_answered(stream: &mut TcpStream, request: &str) -> bool {
    let mut said = [0; 1024];
    let answer = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read(&mut said).await
    };
    let answer = timeout(DRAIN_TIMEOUT, answer).await;
    answer
        .expect("an answer, or the end")
        .is_ok_and(|read| read > 0)
}

#[tokio::test]
async fn one_address_has_its_share_of_the_connections_and_no_more() {
    let limits = Limits {
        connections_per_address: 3,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect_from("127.0.0.2").await;
        assert!(is_answered(&mut stream, SIGNATURE).await);
        kept.push(stream);
    }
    let mut one_more = server.connect_from("127.0.0.2").await;
    assert!(!is_answered(&mut one_more, SIGNATURE).await);
    let mut other = server.connect_from("127.0.0.3").await;
    assert!(is_answered(&mut other, SIGNATURE).await);
    for stream in &mut kept {
        assert!(is_answered(stream, SIGNATURE).await);
    }
    kept.pop();
    let place = async {
        while !is_answered(&mut server.connect_from("127.0.0.2").await, SIGNATURE).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = timeout(DRAIN_TIMEOUT, place).await;
    found.expect("the place that was left");
}

/// Ten thousand that do nothing are to take some tens of megabytes.
#[tokio::test]
async fn what_waits_for_a_client_is_small() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _client = TcpStream::connect(address).await.unwrap();
    let accepted = Listener::from(listener).accept().await.unwrap();
    let seat = Seats::default().take(accepted.peer.ip()).unwrap();
    let connection = Connection::new(Arc::new(Hello), &accepted);
    let bytes = size_of_val(&connection.run(accepted, seat, CancellationToken::new()));
    assert!(bytes <= 2048, "{bytes}");
}

/// Both wake it, and it is woken once.
#[tokio::test]
async fn who_asks_while_the_server_stops_is_answered_and_sees_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    let accepted = Listener::from(listener).accept().await.unwrap();
    let Raw::Tcp(stream) = &accepted.stream else {
        unreachable!("it was accepted over TCP")
    };
    let heard = std::net::TcpStream::from(stream.as_fd().try_clone_to_owned().unwrap());
    let seat = Seats::default().take(accepted.peer.ip()).unwrap();
    let stop = CancellationToken::new();
    let connection = Connection::new(Arc::new(Hello), &accepted);
    let mut run = pin!(connection.run(accepted, seat, stop.clone()));
    tokio::select! {
        () = run.as_mut() => unreachable!("nobody has ended it"),
        answered = is_answered(&mut client, SIGNATURE) => assert!(answered),
    }
    client.write_all(SIGNATURE.as_bytes()).await.unwrap();
    let heard_by_runtime = async {
        while heard.peek(&mut [0]).is_err() {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
    };
    timeout(DRAIN_TIMEOUT, heard_by_runtime).await.unwrap();
    stop.cancel();
    let has_ended = poll_fn(|cx| Poll::Ready(run.as_mut().poll(cx).is_ready())).await;
    assert!(has_ended);
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
}

/// Says something in `parts`, none in one read with the next; whether the answer to it was written
/// ahead of hyper, which writes the date into it.
async fn is_answered_ahead(stream: &mut TcpStream, parts: &[&str]) -> bool {
    let mut said = Vec::new();
    for (left, part) in (0..parts.len()).rev().zip(parts) {
        stream.write_all(part.as_bytes()).await.unwrap();
        let answer = async {
            while !said.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0);
            }
        };
        let pause = Duration::from_millis(200);
        let waited = timeout(if left > 0 { pause } else { DRAIN_TIMEOUT }, answer).await;
        assert_eq!(waited.is_ok(), left == 0, "{parts:?}");
    }
    assert!(said.starts_with(b"HTTP/1.1 200 OK\r\n"), "{parts:?}");
    !said.windows(6).any(|part| part == b"\ndate:")
}

#[tokio::test]
async fn a_request_that_is_hypers_leaves_the_next_one_to_be_answered_ahead() {
    let server = Server::start(Limits::default()).await;
    let options = "OPTIONS /jsapi/report HTTP/1.1\r\nHost: a\r\n\r\n";
    let (head, body) = POSTED.split_at(POSTED.len() - 2);
    let (begun, last) = POSTED.split_at(POSTED.len() - 1);
    let (first, rest) = SIGNATURE.split_at(10);
    let (with_first, whole) = (format!("{body}{first}"), SIGNATURE);
    for (before, next) in [
        (&[OTHER][..], whole),
        (&[options], whole),
        (&[POSTED], whole),
        (&[head, body], whole),
        (&[begun, last], whole),
        (&[head, &with_first], rest),
    ] {
        let mut stream = server.connect_from("127.0.0.1").await;
        assert!(!is_answered_ahead(&mut stream, before).await, "{before:?}");
        let ahead = is_answered_ahead(&mut stream, &[next]).await;
        assert!(ahead, "{before:?}");
    }
}

/// Nobody reads the body here.
#[tokio::test]
async fn who_is_told_that_the_connection_closes_sees_it_close() {
    let server = Server::start(Limits::default()).await;
    let mut stream = server.connect_from("127.0.0.1").await;
    let (cookie, body) = ("a".repeat(7000), "b".repeat(7000));
    let begin = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7000\r\nCookie: {cookie}");
    stream.write_all(begin.as_bytes()).await.unwrap();
    // Not in one read with what follows.
    let pause = Duration::from_millis(200);
    assert!(timeout(pause, stream.peek(&mut [0])).await.is_err());
    let rest = format!("\r\n\r\n{body}");
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let ended = timeout(Duration::from_secs(3), stream.read_to_end(&mut said)).await;
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    assert_eq!(said.contains("connection: close"), ended.is_ok(), "{said}");
}

/// Who has the end of a connection announced while it still sends a body is to learn why, and not
/// that nobody listens any more.
#[tokio::test]
async fn who_still_sends_a_body_that_nobody_reads_is_heard_out() {
    let server = Server::start(Limits::default()).await;
    let mut stream = server.connect_from("127.0.0.1").await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0);
    }
    assert_eq!(stream.read_buf(&mut said).await.unwrap(), 0, "the end");
    for _ in 0..10 {
        stream.write_all(&[b'a'; 2000]).await.unwrap();
    }
}

/// How many seconds it takes until the server ends a connection on which nothing more is said.
async fn seconds_to_end(stream: &mut TcpStream) -> u64 {
    let clock = Clock::following_tokio(Timestamp::from_secs(0));
    let begun = clock.moment().boot;
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    (clock.moment().boot - begun).as_secs()
}

#[tokio::test]
async fn a_connection_that_does_nothing_goes_after_its_time() {
    let server = Server::start(Limits::default()).await;
    for (answered, begun, expected) in [
        (Some(SIGNATURE), "", 75..=81),
        (Some(OTHER), "", 75..=81),
        (Some(POSTED), "", 75..=81),
        (Some(SIGNATURE), "GET /js", 10..=16),
        (Some(OTHER), "GET /js", 10..=16),
        (Some(POSTED), "GET /js", 10..=16),
        (None, "GET /js", 9..=16),
        (None, "", 9..=11),
    ] {
        let mut stream = server.connect_from("127.0.0.1").await;
        if let Some(request) = answered {
            assert!(is_answered(&mut stream, request).await);
        }
        stream.write_all(begun.as_bytes()).await.unwrap();
        // Not before all that was said has come: paused time does not wait for sockets.
        let pause = Duration::from_millis(200);
        assert!(timeout(pause, stream.peek(&mut [0])).await.is_err());
        tokio::time::pause();
        let seconds = seconds_to_end(&mut stream).await;
        tokio::time::resume();
        assert!(
            expected.contains(&seconds),
            "{answered:?} {begun:?}: {seconds}"
        );
    }
}

/// A task may do so much at a turn, and no timer begins when it has done it.
#[tokio::test]
async fn a_connection_that_was_busy_for_a_whole_turn_goes_after_its_time_too() {
    let server = Server::start(Limits::default()).await;
    for count in 120..=135 {
        let mut stream = server.connect_from("127.0.0.1").await;
        let (mut said, last) = (OTHER.repeat(count), OTHER.trim_end());
        let rest = READ_AT_ONCE - said.len() - last.len() - "\r\nA: \r\n\r\n".len();
        said += &format!("{last}\r\nA: {}\r\n\r\n", "a".repeat(rest));
        assert_eq!(said.len(), READ_AT_ONCE);
        said += SIGNATURE;
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answers = Vec::new();
        while !answers.ends_with(b"\ncontent-length: 0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut answers).await.unwrap(), 0);
        }
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(100)).await;
        tokio::time::resume();
        let ended = timeout(DRAIN_TIMEOUT, stream.read_to_end(&mut answers)).await;
        assert!(ended.is_ok(), "{count}");
    }
}

#[tokio::test]
async fn where_connections_are_scarce_who_does_nothing_goes_sooner() {
    let limits = Limits {
        connections: 4,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = server.connect_from("127.0.0.1").await;
        assert!(is_answered(&mut stream, SIGNATURE).await);
        idle.push(stream);
    }
    tokio::time::pause();
    let seconds = seconds_to_end(&mut idle[0]).await;
    assert!((5..=11).contains(&seconds), "{seconds}");
}
