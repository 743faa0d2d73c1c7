//! Headers.

use super::{Ends, GoesOn, HIDDEN, Row, get, meets, page, post};

fn raw(request: &[u8]) -> Vec<u8> {
    request.to_vec()
}

#[tokio::test]
async fn what_is_no_header_is_refused() {
    let rows: Vec<Row> = vec![
        ("a good one", get("X-A: b\r\n"), GoesOn(&[200])),
        ("no value", get("X-A:\r\n"), GoesOn(&[200])),
        (
            "bytes above ASCII in a value",
            raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: \xff\xe5\r\n\r\n"),
            GoesOn(&[200]),
        ),
        ("a tab in a value", get("X-A: a\tb\r\n"), GoesOn(&[200])),
        ("a folded line", get("X-A: a\r\n b\r\n"), Ends(&[400])),
        (
            "a folded first line",
            raw(b"GET /livez HTTP/1.1\r\n Host: a\r\n\r\n"),
            Ends(&[400]),
        ),
        ("a blank before the colon", get("X-A : b\r\n"), Ends(&[400])),
        ("a tab before the colon", get("X-A\t: b\r\n"), Ends(&[400])),
        ("a blank in a name", get("X A: b\r\n"), Ends(&[400])),
        ("no name", get(": b\r\n"), Ends(&[400])),
        ("no colon", get("X-A\r\n"), Ends(&[400])),
        ("brackets in a name", get("X(A): b\r\n"), Ends(&[400])),
        ("quotes in a name", get("\"X\": b\r\n"), Ends(&[400])),
        ("a slash in a name", get("X/A: b\r\n"), Ends(&[400])),
        ("a name above ASCII", get("X-微: b\r\n"), Ends(&[400])),
        ("NUL in a name", get("X\0A: b\r\n"), Ends(&[400])),
        (
            "a control byte in a name",
            get("X\x01A: b\r\n"),
            Ends(&[400]),
        ),
        ("NUL in a value", get("X-A: a\0b\r\n"), Ends(&[400])),
        ("a bell in a value", get("X-A: a\x07b\r\n"), Ends(&[400])),
        (
            "an escape in a value",
            get("X-A: a\x1b[31mb\r\n"),
            Ends(&[400]),
        ),
        ("DEL in a value", get("X-A: a\x7fb\r\n"), Ends(&[400])),
        (
            "a carriage return in a value",
            get("X-A: a\rb\r\n"),
            Ends(&[400]),
        ),
        (
            "a carriage return in front of a request",
            get(&format!("X-A: a\r\r{HIDDEN}")),
            Ends(&[400]),
        ),
        ("100 headers", get(&"X: a\r\n".repeat(99)), GoesOn(&[200])),
        ("101 headers", get(&"X: a\r\n".repeat(100)), Ends(&[431])),
        (
            "10000 headers",
            get(&"X: a\r\n".repeat(10_000)),
            Ends(&[431]),
        ),
        (
            "a value of 32 KiB",
            get(&format!("X: {}\r\n", "a".repeat(32 * 1024))),
            GoesOn(&[200]),
        ),
        (
            "a value of 128 KiB",
            get(&format!("X: {}\r\n", "a".repeat(128 * 1024))),
            Ends(&[431]),
        ),
        (
            "a name of 128 KiB",
            get(&format!("{}: a\r\n", "a".repeat(128 * 1024))),
            Ends(&[431]),
        ),
    ];
    meets(rows).await;
}

/// Nothing that is answered depends on it, as long as there is one.
#[tokio::test]
async fn whatever_host_it_is_for_it_is_answered_alike() {
    let with = |host: &str| format!("GET /livez HTTP/1.1\r\n{host}\r\n").into_bytes();
    let rows: Vec<Row> = vec![
        ("a name", with("Host: wxsign.example\r\n"), GoesOn(&[200])),
        (
            "a name and a port",
            with("Host: wxsign.example:8080\r\n"),
            GoesOn(&[200]),
        ),
        ("an address", with("Host: [::1]:8080\r\n"), GoesOn(&[200])),
        ("nothing in it", with("Host:\r\n"), GoesOn(&[200])),
        ("none", with(""), GoesOn(&[400])),
        ("two", with("Host: a\r\nHost: b\r\n"), GoesOn(&[400])),
        (
            "the same twice",
            with("Host: a\r\nHost: a\r\n"),
            GoesOn(&[400]),
        ),
        ("a list", with("Host: a, b\r\n"), GoesOn(&[400])),
        ("a blank in it", with("Host: a b\r\n"), GoesOn(&[400])),
        ("user information", with("Host: user@a\r\n"), GoesOn(&[400])),
        ("a path", with("Host: a/b\r\n"), GoesOn(&[400])),
        ("a port that is none", with("Host: a:b\r\n"), GoesOn(&[200])),
        (
            "a port above all",
            with("Host: a:99999\r\n"),
            GoesOn(&[200]),
        ),
        ("half an address", with("Host: [::1\r\n"), GoesOn(&[200])),
        ("a byte above ASCII", with("Host: 微信\r\n"), GoesOn(&[400])),
    ];
    meets(rows).await;
}

#[tokio::test]
async fn what_a_connection_is_asked_to_become_it_stays_one_of_http() {
    let body = page();
    let length = format!("Content-Length: {}\r\n", body.len());
    let with = |headers: &str| post(&format!("{length}{headers}"), &body);
    let rows: Vec<Row> = vec![
        ("close", get("Connection: close\r\n"), Ends(&[200])),
        (
            "close among others",
            get("Connection: keep-alive, Close\r\n"),
            Ends(&[200]),
        ),
        (
            "keep-alive",
            get("Connection: keep-alive\r\n"),
            GoesOn(&[200]),
        ),
        (
            "a length that is to be hidden",
            with("Connection: Content-Length\r\n"),
            GoesOn(&[200]),
        ),
        (
            "websocket",
            get(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            ),
            GoesOn(&[200]),
        ),
        (
            "h2c",
            get(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            ),
            GoesOn(&[200]),
        ),
        (
            "TLS",
            get("Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"),
            GoesOn(&[200]),
        ),
        (
            "a body that waits to be asked for",
            with("Expect: 100-continue\r\n"),
            GoesOn(&[100, 200]),
        ),
        (
            "an expectation that nobody knows",
            with("Expect: 200-ok\r\n"),
            GoesOn(&[200]),
        ),
        (
            "two expectations",
            with("Expect: 100-continue\r\nExpect: x\r\n"),
            GoesOn(&[200]),
        ),
        (
            "trailers that are wanted",
            get("TE: trailers\r\n"),
            GoesOn(&[200]),
        ),
        (
            "another method",
            get("X-HTTP-Method-Override: DELETE\r\n"),
            GoesOn(&[200]),
        ),
        (
            "another address",
            get("X-Original-URL: /v1/accounts\r\nX-Rewrite-URL: /v1/accounts\r\n"),
            GoesOn(&[200]),
        ),
        (
            "ranges",
            get("Range: bytes=0-0,1-1,2-2,3-3\r\n"),
            GoesOn(&[200]),
        ),
    ];
    meets(rows).await;
}
