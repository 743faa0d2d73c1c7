//! HTTP/2 in the clear, on the same port.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{PAGE, Setup};

/// A few bytes of a request can stand for thousands of headers.
#[tokio::test]
async fn thousands_of_headers_are_not_kept() {
    let server = Setup::new().start_ready().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.unwrap();
    tokio::spawn(connection);
    for (count, status) in [
        (50, StatusCode::OK),
        (200, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    ] {
        let mut request = Request::get("http://wxsign/livez");
        for _ in 0..count {
            request = request.header("a", "");
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status);
    }
    server.end().await;
}

#[tokio::test]
async fn a_host_that_is_said_twice_is_said_alike() {
    let server = Setup::new().start_ready().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.unwrap();
    tokio::spawn(connection);
    for (target, hosts, status) in [
        ("http://wxsign/livez", &[][..], StatusCode::OK),
        ("http://wxsign:80/livez", &["WXSIGN:80"], StatusCode::OK),
        (
            "http://wxsign/livez",
            &["evil.example"],
            StatusCode::BAD_REQUEST,
        ),
        (
            "http://wxsign/livez",
            &["wxsign:80"],
            StatusCode::BAD_REQUEST,
        ),
        (
            "http://wxsign/livez",
            &["wxsign", "wxsign"],
            StatusCode::BAD_REQUEST,
        ),
        ("http://me@wxsign/livez", &[], StatusCode::BAD_REQUEST),
    ] {
        let request = (hosts.iter()).fold(Request::get(target), |request, host| {
            request.header("host", *host)
        });
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{target} {hosts:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let server = Setup::new().start_ready().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.unwrap();
    let connection = tokio::spawn(connection);
    let mut asked = JoinSet::new();
    for i in 0..500 {
        let mut sender = sender.clone();
        let page = format!("{PAGE}?i={i}");
        let encoded: String = form_urlencoded::byte_serialize(page.as_bytes()).collect();
        asked.spawn(async move {
            let request = Request::get(format!("http://wxsign/jsapi/signature?url={encoded}"));
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            sender.ready().await.unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let config: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(config["url"], page);
        });
    }
    while let Some(done) = asked.join_next().await {
        done.unwrap();
    }
    drop(sender);
    connection.await.unwrap().unwrap();
    server.end().await;
}
