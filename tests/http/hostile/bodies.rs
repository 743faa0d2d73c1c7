//! Bodies that are no page's JSON, or are it in disguise.

use super::{GoesOn, Row, meets, page, post};
use crate::harness::PAGE;

fn body(body: &str) -> Vec<u8> {
    typed("application/json", body)
}

fn typed(content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    post(
        &format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\n"),
        body,
    )
}

fn bytes(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = post(&format!("{headers}Content-Length: {}\r\n", body.len()), "");
    [&head, body].concat()
}

#[tokio::test]
async fn a_body_is_judged_by_what_it_holds() {
    let wide: Vec<u8> = page().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56\x2a\x2d\xca\x51\xb2\x52\x02\x00";
    let number = format!(r#"{{"url":"{PAGE}","n":{}}}"#, "9".repeat(400));
    let member = format!(r#"{{"{}":1,"url":"{PAGE}"}}"#, "a".repeat(8000));
    let many = format!(r#"{{{}"url":"{PAGE}"}}"#, r#""a":1,"#.repeat(2000));
    let rows: Vec<Row> = vec![
        ("as text", typed("text/plain", &page()), GoesOn(&[200])),
        (
            "as a form that is JSON",
            typed("application/x-www-form-urlencoded", &page()),
            GoesOn(&[200]),
        ),
        (
            "as something of several parts",
            typed("multipart/form-data; boundary=a", &page()),
            GoesOn(&[200]),
        ),
        ("as nothing", bytes("", page().as_bytes()), GoesOn(&[200])),
        (
            "as two things",
            bytes(
                "Content-Type: a/b\r\nContent-Type: c/d\r\n",
                page().as_bytes(),
            ),
            GoesOn(&[200]),
        ),
        (
            "a form",
            typed(
                "application/x-www-form-urlencoded",
                "url=https%3A%2F%2Fok.example.com",
            ),
            GoesOn(&[400]),
        ),
        (
            "gzip",
            bytes("Content-Encoding: gzip\r\n", gzip),
            GoesOn(&[400]),
        ),
        (
            "gzip that nobody speaks of",
            bytes("", gzip),
            GoesOn(&[400]),
        ),
        (
            "plain text that is said to be gzip",
            bytes("Content-Encoding: gzip\r\n", page().as_bytes()),
            GoesOn(&[200]),
        ),
        ("UTF-16", bytes("", &wide), GoesOn(&[400])),
        (
            "a byte order mark",
            body(&format!("\u{feff}{}", page())),
            GoesOn(&[400]),
        ),
        (
            "half a pair of surrogates",
            body(r#"{"url":"https://ok.example.com/\ud83d"}"#),
            GoesOn(&[400]),
        ),
        (
            "a pair in the wrong order",
            body(r#"{"url":"https://ok.example.com/\ude00\ud83d"}"#),
            GoesOn(&[400]),
        ),
        (
            "a letter in six",
            body(r#"{"\u0075rl":"https://ok.example.com/page"}"#),
            GoesOn(&[200]),
        ),
        (
            "NUL in six",
            body(r#"{"url":"https://ok.example.com/\u0000"}"#),
            GoesOn(&[400]),
        ),
        ("a number for the url", body(r#"{"url":1}"#), GoesOn(&[400])),
        (
            "a list for the url",
            body(r#"{"url":["https://ok.example.com/page"]}"#),
            GoesOn(&[400]),
        ),
        (
            "truth for the appid",
            body(&format!(r#"{{"url":"{PAGE}","appid":true}}"#)),
            GoesOn(&[400]),
        ),
        (
            "the url twice",
            body(&format!(r#"{{"url":"{PAGE}","url":"https://evil/"}}"#)),
            GoesOn(&[400]),
        ),
        (
            "the url twice, once in six",
            body(&format!(r#"{{"url":"{PAGE}","\u0075rl":"https://evil/"}}"#)),
            GoesOn(&[400]),
        ),
        (
            "the appid twice",
            body(&format!(r#"{{"url":"{PAGE}","appid":"a","appid":"b"}}"#)),
            GoesOn(&[400]),
        ),
        (
            "something unknown twice",
            body(&format!(r#"{{"url":"{PAGE}","a":1,"a":2}}"#)),
            GoesOn(&[200]),
        ),
        ("a number of 400 digits", body(&number), GoesOn(&[200])),
        ("a name of 8 KB", body(&member), GoesOn(&[200])),
        ("2000 members", body(&many), GoesOn(&[200])),
        (
            "what prototypes are made of",
            body(&format!(r#"{{"__proto__":{{"url":"a"}},"url":"{PAGE}"}}"#)),
            GoesOn(&[200]),
        ),
        (
            "a comment",
            body(&format!(r#"{{"url":"{PAGE}"/**/}}"#)),
            GoesOn(&[400]),
        ),
        (
            "a comma too many",
            body(&format!(r#"{{"url":"{PAGE}",}}"#)),
            GoesOn(&[400]),
        ),
        (
            "single quotes",
            body(&format!("{{'url':'{PAGE}'}}")),
            GoesOn(&[400]),
        ),
        (
            "not a number",
            body(&format!(r#"{{"url":"{PAGE}","n":NaN}}"#)),
            GoesOn(&[400]),
        ),
        (
            "two objects",
            body(&format!("{0}{0}", page())),
            GoesOn(&[400]),
        ),
        (
            "blanks around it",
            body(&format!(" \r\n\t{}\n ", page())),
            GoesOn(&[200]),
        ),
        (
            "a form feed around it",
            body(&format!("\x0c{}", page())),
            GoesOn(&[400]),
        ),
    ];
    meets(rows).await;
}
