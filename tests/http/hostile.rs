//! Requests that try to be read in two ways, or not at all, row by row.
//!
//! Behind each of them comes, in the same breath, a good request. Either the connection goes on
//! and that one is answered as what it is, or the connection ends and it is not answered at all.
//! What a row hides inside of a body ([`HIDDEN`]) is never answered: whoever sits in front of
//! wxsign took it for a part of the body.

mod bodies;
mod chunks;
mod heads;
mod lengths;
mod lines;

use crate::harness::{PAGE, Server, Setup, signature};

/// A request that must stay a part of the body that it stands in.
const HIDDEN: &str =
    "GET /jsapi/signature?url=https://ok.example.com/hidden HTTP/1.1\r\nHost: a\r\n\r\n";

/// What comes of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Answers with these statuses, and the connection goes on.
    GoesOn(&'static [u16]),
    /// Answers with these statuses, and the connection ends.
    Ends(&'static [u16]),
}

use Fate::{Ends, GoesOn};

/// What a row is called, what is sent, and what comes of it.
type Row = (&'static str, Vec<u8>, Fate);

/// Sends each row and holds what comes back against what is expected.
async fn meets(rows: Vec<Row>) {
    let server = Setup::new().start_ready().await;
    let mut wrong = Vec::new();
    for (name, bytes, expected) in rows {
        let found = fate(&server, name, &bytes).await;
        if found != format!("{expected:?}") {
            wrong.push(format!("{name}: {found} instead of {expected:?}"));
        }
        server.signs().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.end().await;
}

/// What comes of `bytes`, written as a [`Fate`] is.
async fn fate(server: &Server, name: &str, bytes: &[u8]) -> String {
    let next = format!("{PAGE}?next");
    let mut connection = server.connect().await;
    connection
        .send(&[bytes, &signature(&next).bytes()].concat())
        .await;
    let mut statuses = Vec::new();
    loop {
        let with_body = !statuses.is_empty() || !bytes.starts_with(b"HEAD");
        let Some(answer) = connection.next_answer(with_body).await else {
            return format!("Ends({statuses:?})");
        };
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!said.contains("example.com/hidden"), "{name}: {said}");
        if answer.status == 200 && said.contains(&next) {
            return format!("GoesOn({statuses:?})");
        }
        statuses.push(answer.status.as_u16());
    }
}

/// A request without a body.
fn get(headers: &str) -> Vec<u8> {
    format!("GET /livez HTTP/1.1\r\nHost: a\r\n{headers}\r\n").into_bytes()
}

/// A request with a body, which the headers must speak of.
fn post(headers: &str, body: &str) -> Vec<u8> {
    let head = format!("POST /jsapi/signature HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The body of a request that is answered.
fn page() -> String {
    format!(r#"{{"url":"{PAGE}"}}"#)
}
