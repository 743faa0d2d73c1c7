//! How long a body is, said twice, wrongly or in two languages.

use super::{Ends, GoesOn, HIDDEN, Row, get, meets, page, post};

/// A request with the body of a page, LEN bytes of it.
fn sized(headers: &str) -> Vec<u8> {
    let body = page();
    post(&headers.replace("LEN", &body.len().to_string()), &body)
}

/// The same in one chunk.
fn chunked(headers: &str) -> Vec<u8> {
    let body = page();
    post(headers, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
}

#[tokio::test]
async fn one_length_is_believed_and_no_two() {
    let rows: Vec<Row> = vec![
        (
            "one length",
            sized("Content-Length: LEN\r\n"),
            GoesOn(&[200]),
        ),
        ("no length and no body", post("", ""), GoesOn(&[400])),
        (
            "blanks around it",
            sized("Content-Length: \t LEN \t\r\n"),
            GoesOn(&[200]),
        ),
        (
            "leading zeros",
            sized("Content-Length: 000LEN\r\n"),
            GoesOn(&[200]),
        ),
        (
            "the same twice",
            sized("Content-Length: LEN\r\nContent-Length: LEN\r\n"),
            GoesOn(&[200]),
        ),
        (
            "two lengths",
            sized("Content-Length: LEN\r\nContent-Length: 3\r\n"),
            Ends(&[400]),
        ),
        (
            "the shorter first",
            sized("Content-Length: 3\r\nContent-Length: LEN\r\n"),
            Ends(&[400]),
        ),
        (
            "the same in a list",
            sized("Content-Length: LEN, LEN\r\n"),
            Ends(&[400]),
        ),
        (
            "two in a list",
            sized("Content-Length: LEN, 3\r\n"),
            Ends(&[400]),
        ),
        ("a sign", sized("Content-Length: +LEN\r\n"), Ends(&[400])),
        ("below zero", sized("Content-Length: -1\r\n"), Ends(&[400])),
        (
            "hexadecimal",
            sized("Content-Length: 0x25\r\n"),
            Ends(&[400]),
        ),
        (
            "a fraction",
            sized("Content-Length: 37.0\r\n"),
            Ends(&[400]),
        ),
        (
            "an exponent",
            sized("Content-Length: 37e0\r\n"),
            Ends(&[400]),
        ),
        ("nothing", sized("Content-Length:\r\n"), Ends(&[400])),
        ("two words", sized("Content-Length: 3 7\r\n"), Ends(&[400])),
        (
            "a parameter",
            sized("Content-Length: 37;a\r\n"),
            Ends(&[400]),
        ),
        (
            "Arabic digits",
            sized("Content-Length: \u{663}\u{667}\r\n"),
            Ends(&[400]),
        ),
        (
            "2^64",
            sized("Content-Length: 18446744073709551616\r\n"),
            Ends(&[400]),
        ),
        (
            "2^64 - 1",
            sized("Content-Length: 18446744073709551615\r\n"),
            Ends(&[431]),
        ),
        (
            "a request in the body of a GET",
            get_with(HIDDEN),
            GoesOn(&[200]),
        ),
        (
            "HEAD with a request in its body",
            head_with(HIDDEN),
            GoesOn(&[200]),
        ),
        (
            "OPTIONS with a request in its body",
            method_with("OPTIONS", HIDDEN),
            GoesOn(&[204]),
        ),
        (
            "DELETE with a request in its body",
            method_with("DELETE", HIDDEN),
            GoesOn(&[405]),
        ),
        (
            "BREW with a request in its body",
            method_with("BREW", HIDDEN),
            GoesOn(&[405]),
        ),
        (
            "a request in a body that is refused",
            method_with("POST", HIDDEN),
            GoesOn(&[400]),
        ),
    ];
    meets(rows).await;
}

fn get_with(body: &str) -> Vec<u8> {
    let head = get(&format!("Content-Length: {}\r\n", body.len()));
    [&head, body.as_bytes()].concat()
}

fn head_with(body: &str) -> Vec<u8> {
    let request = String::from_utf8(get_with(body)).unwrap();
    request.replacen("GET", "HEAD", 1).into_bytes()
}

fn method_with(method: &str, body: &str) -> Vec<u8> {
    let request = post(&format!("Content-Length: {}\r\n", body.len()), body);
    let request = String::from_utf8(request).unwrap();
    request.replacen("POST", method, 1).into_bytes()
}

#[tokio::test]
async fn a_length_and_chunks_are_no_two_requests() {
    let hidden = format!("0\r\n\r\n{HIDDEN}");
    let both = |first: &str, second: &str| {
        let headers = format!("{first}\r\n{second}\r\n");
        chunked(&headers.replace("LEN", &hidden.len().to_string()))
    };
    let (length, chunks) = ("Content-Length: LEN", "Transfer-Encoding: chunked");
    let rows: Vec<Row> = vec![
        (
            "chunks",
            chunked("Transfer-Encoding: chunked\r\n"),
            GoesOn(&[200]),
        ),
        (
            "in capitals",
            chunked("TRANSFER-ENCODING: CHUNKED\r\n"),
            GoesOn(&[200]),
        ),
        ("a length, then chunks", both(length, chunks), Ends(&[200])),
        ("chunks, then a length", both(chunks, length), Ends(&[200])),
        (
            "a bad length beside chunks",
            both("Content-Length: x", chunks),
            Ends(&[400]),
        ),
        (
            "chunks twice",
            chunked("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            GoesOn(&[200]),
        ),
        (
            "chunks in chunks",
            chunked("Transfer-Encoding: chunked, chunked\r\n"),
            GoesOn(&[200]),
        ),
        (
            "chunks, then identity",
            chunked("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
            Ends(&[400]),
        ),
        (
            "identity",
            chunked("Transfer-Encoding: identity\r\n"),
            Ends(&[400]),
        ),
        ("gzip", chunked("Transfer-Encoding: gzip\r\n"), Ends(&[400])),
        (
            "gzip in chunks",
            chunked("Transfer-Encoding: gzip, chunked\r\n"),
            GoesOn(&[200]),
        ),
        (
            "chunks in gzip",
            chunked("Transfer-Encoding: chunked, gzip\r\n"),
            Ends(&[400]),
        ),
        (
            "an unknown coding",
            chunked("Transfer-Encoding: xchunked\r\n"),
            Ends(&[400]),
        ),
        (
            "a parameter of chunks",
            chunked("Transfer-Encoding: chunked;q=1\r\n"),
            Ends(&[400]),
        ),
        (
            "chunks in quotes",
            chunked("Transfer-Encoding: \"chunked\"\r\n"),
            Ends(&[400]),
        ),
        ("no coding", chunked("Transfer-Encoding:\r\n"), Ends(&[400])),
        (
            "a comma before it",
            chunked("Transfer-Encoding: ,chunked\r\n"),
            GoesOn(&[200]),
        ),
        (
            "a vertical tab before it",
            chunked("Transfer-Encoding: \x0bchunked\r\n"),
            Ends(&[400]),
        ),
        (
            "a blank before the colon",
            chunked("Transfer-Encoding : chunked\r\n"),
            Ends(&[400]),
        ),
        (
            "a folded line",
            chunked("Transfer-Encoding:\r\n chunked\r\n"),
            Ends(&[400]),
        ),
        (
            "an underscore for the hyphen",
            chunked("Transfer_Encoding: chunked\r\n"),
            Ends(&[400, 400]),
        ),
    ];
    meets(rows).await;
}
