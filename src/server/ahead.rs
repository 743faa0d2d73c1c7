//! Answers signatures from the bytes of a connection, ahead of hyper.
//!
//! To read a request for a signature and to write its answer takes less time than a library of
//! all of HTTP needs to get ready for it. So requests just as pages and proxies send them are
//! answered here, all that came together at once, by the same rules as everywhere
//! (`jsapi::sign_now`). Whatever differs from them in the least is left to hyper. The head is read
//! by hyper's own parser, so that the two agree on where a request ends.

use std::mem::MaybeUninit;
use std::time::{Duration, UNIX_EPOCH};

use http::{Response, Uri};
use httparse::{Error, Header, Request, Status};

use super::front::{MAX_HEADERS, is_plain_host};
use super::patience::Activity;
use crate::clock::Timestamp;
use crate::signer::Decimal;

/// What is to be done about the bytes that were not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// They are the beginning of a request, if anything.
    Wait,
    /// So many are one whole request, of whose body some may still have to come. It is hyper's;
    /// what follows is looked at again.
    One(usize),
    /// They are hyper's, and so is all that follows.
    Rest,
    /// They are no request, and nothing can be told of what follows.
    Refuse(Refusal),
}

/// The most that a request line and its headers take up. The longest page URL, with each byte
/// percent-encoded, is 6 KiB.
pub(super) const MOST_HEAD: usize = 64 * 1024;

/// Why bytes are no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// They are not HTTP.
    Unreadable,
    /// It has more headers than [`MAX_HEADERS`].
    TooManyHeaders,
    /// Its head takes up more than [`MOST_HEAD`].
    HeadTooLong,
}

/// The head of a request for a signature.
#[derive(Default, Debug)]
pub struct Head<'a> {
    pub(super) query: &'a str,
    pub(super) origin: Option<&'a [u8]>,
    pub(super) referer: Option<&'a [u8]>,
    pub(super) request_id: Option<&'a [u8]>,
    pub(super) forwarded_for: Option<&'a [u8]>,
}

/// Has the requests that `bytes` begin with answered, as far as they are for signatures and
/// `answer` does so; says how many bytes they were, with the empty lines before the next one.
pub(super) fn take(
    bytes: &[u8],
    activity: &Activity,
    mut answer: impl FnMut(&Head<'_>) -> bool,
) -> (usize, Next) {
    let mut taken = empty_lines(bytes);
    while taken < bytes.len() {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(&bytes[taken..], &mut headers) {
            Ok(Status::Complete(length)) if length <= MOST_HEAD => length,
            Ok(Status::Complete(_)) => return (taken, Next::Refuse(Refusal::HeadTooLong)),
            Ok(Status::Partial) => return (taken, Next::Wait),
            Err(Error::TooManyHeaders) => {
                return (taken, Next::Refuse(Refusal::TooManyHeaders));
            }
            Err(_) => return (taken, Next::Refuse(Refusal::Unreadable)),
        };
        let asked = match Asked::by(&request) {
            Asked::Signature(head) if answer(&head) => {
                activity.answered();
                taken += length;
                taken += empty_lines(&bytes[taken..]);
                continue;
            }
            asked => asked,
        };
        return match asked {
            _ if !has_target(&request) => (taken, Next::Refuse(Refusal::Unreadable)),
            Asked::Signature(_) | Asked::Other => (taken, Next::One(length)),
            Asked::Posted(body) => (taken, Next::One(length + body)),
            Asked::More => (taken, Next::Rest),
        };
    }
    (taken, Next::Wait)
}

/// The length of the empty lines at the beginning, which may stand before a request
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-2.2>). Were they kept until there is one, they
/// would be read again and again.
fn empty_lines(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some(behind) = (rest.strip_prefix(b"\n")).or_else(|| rest.strip_prefix(b"\r\n")) {
        rest = behind;
    }
    bytes.len() - rest.len()
}

/// What a request asks for.
enum Asked<'a> {
    /// A signature, in the plainest way.
    Signature(Head<'a>),
    /// Something else, in the head alone.
    Other,
    /// Something else, in the head and a body of so many bytes.
    Posted(usize),
    /// Something that goes beyond that: another protocol, the end of the connection, a body whose
    /// end takes more to be told.
    More,
}

impl<'a> Asked<'a> {
    fn by(request: &Request<'_, 'a>) -> Self {
        let (mut head, mut hosts, mut is_plain) = (Head::default(), 0, true);
        let mut body = None;
        for Header { name, value } in request.headers.iter() {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            match name.len() {
                4 if is("host") => {
                    hosts += 1;
                    is_plain &= is_plain_host(value);
                }
                6 if is("origin") => is_plain &= head.origin.replace(value).is_none(),
                12 if is("x-request-id") => is_plain &= head.request_id.replace(value).is_none(),
                15 if is("x-forwarded-for") => {
                    is_plain &= head.forwarded_for.replace(value).is_none();
                }
                10 if is("connection") && !value.eq_ignore_ascii_case(b"keep-alive") => {
                    return Self::More;
                }
                7 if is("referer") => head.referer = head.referer.or(Some(value)),
                6 if is("expect") => return Self::More,
                7 if is("upgrade") => return Self::More,
                14 if is("content-length") => match plain_length(value) {
                    Some(length) if body.is_none() => body = Some(length),
                    _ => return Self::More,
                },
                17 if is("transfer-encoding") => return Self::More,
                _ => {}
            }
        }
        match (request.method, request.version, body) {
            (Some("GET"), Some(1), None) => {}
            (Some(method), Some(1), None) if method != "CONNECT" => return Self::Other,
            (Some("POST" | "PUT"), Some(1), Some(body)) => return Self::Posted(body),
            _ => return Self::More,
        }
        let query = request.path.and_then(query_of_signature);
        match query.filter(|_| is_plain && hosts == 1) {
            Some(query) => Self::Signature(Head { query, ..head }),
            None => Self::Other,
        }
    }
}

/// The length of a body, where nobody can read it in another way.
fn plain_length(value: &[u8]) -> Option<usize> {
    let is_plain = value.len() <= 5 && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value)
        .ok()
        .filter(|_| is_plain)?
        .parse()
        .ok()
}

/// Whether hyper can make something of the target.
fn has_target(request: &Request<'_, '_>) -> bool {
    let target = request.path.map(Uri::try_from);
    target.is_some_and(|target| target.is_ok())
}

/// The query of a request target, if it is the signatures' and holds nothing that the `http` crate
/// would refuse.
fn query_of_signature(target: &str) -> Option<&str> {
    const ALLOWED: [bool; 256] = {
        let mut allowed = [false; 256];
        let mut byte = 0;
        while byte < allowed.len() {
            allowed[byte] = matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x3f..=0x7e);
            byte += 1;
        }
        allowed
    };
    let query = target.strip_prefix("/jsapi/signature?")?;
    let all_allowed = query.bytes().all(|byte| ALLOWED[usize::from(byte)]);
    all_allowed.then_some(query)
}

/// Whether the head of a request may end in `bytes`, where it did not in the first `looked` ones.
pub(super) fn may_end(bytes: &[u8], looked: usize) -> bool {
    let fresh = &bytes[looked.saturating_sub(3)..];
    let ends = |at: &[u8]| at.starts_with(b"\n\n") || at.starts_with(b"\n\r\n");
    (0..fresh.len()).any(|at| ends(&fresh[at..]))
}

/// Writes an answer as hyper would.
pub(super) fn write(response: &Response<Vec<u8>>, date: &[u8], out: &mut Vec<u8>) {
    let status = response.status();
    write_all(out, &[b"HTTP/1.1 ", status.as_str().as_bytes(), b" "]);
    write_all(
        out,
        &[
            status.canonical_reason().unwrap_or_default().as_bytes(),
            b"\r\n",
        ],
    );
    write_headers(response.headers(), out);
    write_end(response.body().len(), date, out);
    out.extend_from_slice(response.body());
}

/// Writes headers as hyper would.
pub(super) fn write_headers(headers: &http::HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        write_all(
            out,
            &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"],
        );
    }
}

/// Writes what ends the head of every answer.
pub(super) fn write_end(length: usize, date: &[u8], out: &mut Vec<u8>) {
    let length = Decimal::new(i64::try_from(length).unwrap_or(i64::MAX));
    write_all(
        out,
        &[
            b"content-length: ",
            length.as_ref(),
            b"\r\ndate: ",
            date,
            b"\r\n\r\n",
        ],
    );
}

/// Appends all the parts.
pub(super) fn write_all(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The date of answers: written once a second
/// (<https://www.rfc-editor.org/rfc/rfc9110#name-date>).
#[derive(Default)]
pub struct Date {
    second: i64,
    text: String,
}

impl Date {
    /// The last second that has four digits in its year.
    const LAST: i64 = 253_402_300_799;

    /// The date at `now`.
    pub(super) fn at(&mut self, now: Timestamp) -> &[u8] {
        let second = now.as_secs().clamp(0, Self::LAST);
        if second != self.second || self.text.is_empty() {
            let since_epoch = Duration::from_secs(second.unsigned_abs());
            self.second = second;
            self.text = httpdate::fmt_http_date(UNIX_EPOCH + since_epoch);
        }
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests;
