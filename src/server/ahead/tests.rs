//! What is answered ahead, and what is whose.

use super::*;

fn next(text: &str) -> (usize, Next, Vec<String>) {
    let mut asked = Vec::new();
    let (taken, next) = take(text.as_bytes(), &Activity::new(), |head| {
        asked.push(head.query.to_owned());
        head.query != "no"
    });
    (taken, next, asked)
}

const PLAIN: &str = "GET /jsapi/signature?url=u HTTP/1.1\r\nHost: a:80\r\n\r\n";

#[test]
fn signatures_are_taken_together_up_to_what_is_something_else() {
    let kept_alive = PLAIN.replace("\r\n\r\n", "\r\nconnection: Keep-Alive\r\n\r\n");
    let both = format!("{PLAIN}{kept_alive}");
    assert_eq!(
        next(&both),
        (both.len(), Next::Wait, vec!["url=u".to_owned(); 2])
    );
    let (head, begun) = ("GET /demo HTTP/1.1\r\nHost: a\r\n\r\n", "GET /js");
    for (rest, expected) in [
        (begun, Next::Wait),
        (head, Next::One(head.len())),
        ("what is that", Next::Refuse(Refusal::Unreadable)),
    ] {
        let (taken, next, asked) = next(&format!("{PLAIN}{rest}"));
        assert_eq!(
            (taken, next, asked.len()),
            (PLAIN.len(), expected, 1),
            "{rest}"
        );
    }
    let refused = PLAIN.replace("url=u", "no");
    assert_eq!(
        next(&refused),
        (0, Next::One(refused.len()), vec!["no".to_owned()])
    );
}

#[test]
fn what_differs_from_a_plain_request_is_left_to_hyper() {
    let with = |line: &str| PLAIN.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
    for text in [
        with("Content-Length: 0"),
        with("Transfer-Encoding: chunked"),
        with("Expect: 100-continue"),
        with("Upgrade: h2c"),
        with("Connection: close"),
        with("Connection: keep-alive, te"),
        PLAIN.replace("HTTP/1.1", "HTTP/1.0"),
        PLAIN.replace("GET /jsapi/signature?url=u", "CONNECT a:80"),
    ] {
        assert_eq!(next(&text), (0, Next::Rest, Vec::new()), "{text}");
    }
    for text in [
        with("Host: b"),
        with("Origin: a\r\nOrigin: b"),
        with("X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2"),
        PLAIN.replace("Host: a:80", "Host: a/b"),
        PLAIN.replace("Host: a:80\r\n", ""),
        PLAIN.replace("GET", "HEAD"),
        PLAIN.replace("GET", "OPTIONS"),
        PLAIN.replace("GET", "DELETE"),
        PLAIN.replace("GET", "POST"),
        PLAIN.replace("GET", "get"),
        PLAIN.replace("=u", "=#"),
        PLAIN.replace("signature", "signatures"),
        PLAIN.replace("/jsapi", "http://a/jsapi"),
    ] {
        assert_eq!(
            next(&text),
            (0, Next::One(text.len()), Vec::new()),
            "{text}"
        );
    }
}

#[test]
fn empty_lines_before_a_request_are_forgotten() {
    for (empty, taken) in [("\r\n", 2), ("\n\r\n\n\r", 4), ("\r", 0)] {
        assert_eq!(next(empty), (taken, Next::Wait, Vec::new()));
    }
    let (lines, other) = ("\r\n".repeat(30_000), "GET /demo HTTP/1.1\r\n\r\n");
    let (taken, then, asked) = next(&format!("{lines}{PLAIN}\n{other}"));
    assert_eq!(taken, lines.len() + PLAIN.len() + 1);
    assert_eq!((then, asked.len()), (Next::One(other.len()), 1));
}

#[test]
fn a_head_has_64_kib_and_no_more() {
    let empty = PLAIN.replace("\r\n\r\n", "\r\na: \r\n\r\n").len();
    let with = |length: usize| {
        let line = format!("\r\na: {}\r\n\r\n", "a".repeat(length - empty));
        PLAIN.replace("\r\n\r\n", &line)
    };
    let (longest, too_long) = (with(64 * 1024), with(64 * 1024 + 1));
    assert_eq!(
        next(&longest),
        (longest.len(), Next::Wait, vec!["url=u".to_owned()])
    );
    let refused = Next::Refuse(Refusal::HeadTooLong);
    assert_eq!(next(&too_long), (0, refused, Vec::new()));
}

/// hyper's headers are asked for the first of several.
#[test]
fn of_two_pages_that_refer_to_it_the_first_counts() {
    let line = "\r\nReferer: a\r\nReferer: b\r\n\r\n";
    let text = PLAIN.replace("\r\n\r\n", line);
    let mut referer = Vec::new();
    take(text.as_bytes(), &Activity::new(), |head| {
        referer.extend_from_slice(head.referer.unwrap_or_default());
        true
    });
    assert_eq!(referer, b"a");
}

#[test]
fn a_body_is_left_to_hyper_with_its_head() {
    let head = "POST /jsapi/report HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let whole = format!("{head}a\r\n\r\n");
    for text in [head.to_owned(), whole.clone(), format!("{whole}{PLAIN}")] {
        assert_eq!(next(&text), (0, Next::One(whole.len()), Vec::new()));
    }
    for text in [
        whole.replace(": 5", ": +5"),
        whole.replace(": 5", ": 5, 5"),
        whole.replace(": 5", ": 100000"),
        whole.replace(": 5", ":"),
        whole.replace(": 5", ": 5\r\nContent-Length: 5"),
        whole.replace(": 5", ": 5\r\nTransfer-Encoding: chunked"),
        whole.replace(": 5", ": 5\r\nExpect: 100-continue"),
        whole.replace("HTTP/1.1", "HTTP/1.0"),
        whole.replace("POST", "GET"),
    ] {
        assert_eq!(next(&text), (0, Next::Rest, Vec::new()), "{text}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let crowded = PLAIN.replace("\r\n\r\n", &format!("{}\r\n", "\r\na: b".repeat(100)));
    for (text, why) in [
        (PLAIN.replace("Host:", "Host :"), Refusal::Unreadable),
        (PLAIN.replace("HTTP/1.1", "HTTP/3"), Refusal::Unreadable),
        (PLAIN.replace("=u", "=<"), Refusal::Unreadable),
        (
            PLAIN.replace("/jsapi", "http:///jsapi"),
            Refusal::Unreadable,
        ),
        (crowded, Refusal::TooManyHeaders),
    ] {
        assert_eq!(next(&text), (0, Next::Refuse(why), Vec::new()), "{text}");
    }
}

#[test]
fn the_end_of_a_head_is_found_wherever_it_is_split() {
    for whole in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\na: b\n\n"] {
        for looked in 0..whole.len() {
            assert!(may_end(whole.as_bytes(), looked), "{looked}");
            assert!(!may_end(&whole.as_bytes()[..looked], 0), "{looked}");
        }
    }
}

#[test]
fn a_date_is_that_of_its_second() {
    let mut date = Date::default();
    for (second, expected) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (i64::MAX / 1000, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let found = date.at(Timestamp::from_secs(second));
        assert_eq!(std::str::from_utf8(found).unwrap(), expected);
    }
}
