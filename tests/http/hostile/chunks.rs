//! Bodies in chunks that do not add up.

use super::{Ends, GoesOn, HIDDEN, Row, meets, page, post};

/// A request with this body in chunks.
fn chunks(body: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\n", body)
}

/// One with a good body in one chunk, its size written as `size` is, with 25 for itself.
fn sized(size: &str) -> Vec<u8> {
    chunks(&format!("{size}\r\n{}\r\n0\r\n\r\n", page()))
}

#[tokio::test]
async fn a_size_is_hexadecimal_and_nothing_else() {
    let rows: Vec<Row> = vec![
        ("25", sized("25"), GoesOn(&[200])),
        ("leading zeros", sized("0000025"), GoesOn(&[200])),
        ("an extension", sized("25;a=b"), GoesOn(&[200])),
        (
            "an extension in quotes",
            sized("25;a=\"b;c\""),
            GoesOn(&[200]),
        ),
        ("a blank behind it", sized("25 "), GoesOn(&[200])),
        ("a blank before it", sized(" 25"), Ends(&[400])),
        ("nothing", sized(""), Ends(&[400])),
        ("below zero", sized("-25"), Ends(&[400])),
        ("a sign", sized("+25"), Ends(&[400])),
        ("0x", sized("0x25"), Ends(&[400])),
        ("no digits", sized("zz"), Ends(&[400])),
        ("digits and more", sized("25g"), Ends(&[400])),
        ("an underscore", sized("2_5"), Ends(&[400])),
        ("two numbers", sized("2 5"), Ends(&[400])),
        ("2^64", sized("10000000000000000"), Ends(&[400])),
        ("2^64 and 25", sized("10000000000000025"), Ends(&[400])),
        ("many zeros", sized(&"0".repeat(5000)), Ends(&[400])),
        (
            "an extension of 20 KiB",
            sized(&format!("25;{}", "a".repeat(20 * 1024))),
            Ends(&[400]),
        ),
        (
            "a line feed in an extension",
            sized("25;a\nb"),
            Ends(&[400]),
        ),
        (
            "a carriage return in an extension",
            sized("25;a\rb"),
            Ends(&[400]),
        ),
    ];
    meets(rows).await;
}

#[tokio::test]
async fn a_chunk_ends_where_it_says() {
    let body = page();
    let hidden = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let many = "a: b\r\n".repeat(200);
    let long = format!("a: {}\r\n", "b".repeat(100 * 1024));
    let trailed = |trailers: &str| chunks(&format!("25\r\n{body}\r\n0\r\n{trailers}\r\n"));
    let rows: Vec<Row> = vec![
        ("an empty body", chunks("0\r\n\r\n"), GoesOn(&[400])),
        ("a request in a chunk", chunks(&hidden), GoesOn(&[400])),
        (
            "more than it says",
            chunks(&format!("24\r\n{body}\r\n0\r\n\r\n")),
            Ends(&[400]),
        ),
        (
            "less than it says",
            chunks(&format!("26\r\n{body}\r\n0\r\n\r\n")),
            Ends(&[400]),
        ),
        (
            "no line end behind it",
            chunks(&format!("25\r\n{body}0\r\n\r\n")),
            Ends(&[400]),
        ),
        (
            "a line feed for line ends",
            chunks(&format!("25\n{body}\n0\n\n")),
            Ends(&[400]),
        ),
        (
            "a carriage return for line ends",
            chunks(&format!("25\r{body}\r0\r\r")),
            Ends(&[400]),
        ),
        ("trailers", trailed("a: b\r\nc: d\r\n"), GoesOn(&[200])),
        (
            "a length in the trailers",
            trailed("Content-Length: 5\r\n"),
            GoesOn(&[200]),
        ),
        (
            "a host in the trailers",
            trailed("Host: evil\r\n"),
            GoesOn(&[200]),
        ),
        (
            "a trailer that is none",
            trailed("no colon\r\n"),
            Ends(&[400]),
        ),
        ("NUL in a trailer", trailed("a: \0\r\n"), Ends(&[400])),
        ("200 trailers", trailed(&many), Ends(&[400])),
        ("a trailer of 100 KiB", trailed(&long), Ends(&[400])),
    ];
    meets(rows).await;
}
