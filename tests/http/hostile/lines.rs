//! Request lines.

use super::{Ends, GoesOn, Row, meets};

/// A request with this line.
fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: a\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn methods_are_known_or_not_allowed() {
    let long = |length: usize| line(&format!("{} /livez HTTP/1.1", "A".repeat(length)));
    let rows: Vec<Row> = vec![
        ("GET", line("GET /livez HTTP/1.1"), GoesOn(&[200])),
        ("HEAD", line("HEAD /livez HTTP/1.1"), GoesOn(&[200])),
        ("DELETE", line("DELETE /livez HTTP/1.1"), GoesOn(&[405])),
        ("TRACE", line("TRACE /livez HTTP/1.1"), GoesOn(&[405])),
        ("BREW", line("BREW /livez HTTP/1.1"), GoesOn(&[405])),
        (
            "in small letters",
            line("get /livez HTTP/1.1"),
            GoesOn(&[405]),
        ),
        (
            "with all that may be in one",
            line("A!#$%&'*+-.^_`|~9 /livez HTTP/1.1"),
            GoesOn(&[405]),
        ),
        ("of 100 letters", long(100), GoesOn(&[405])),
        ("of 10 KiB", long(10 * 1024), GoesOn(&[405])),
        ("of 200 KiB", long(200 * 1024), Ends(&[431])),
        ("none", line(" /livez HTTP/1.1"), Ends(&[400])),
        ("with a bracket", line("GE(T /livez HTTP/1.1"), Ends(&[400])),
        ("with NUL", line("GE\0T /livez HTTP/1.1"), Ends(&[400])),
        ("above ASCII", line("微 /livez HTTP/1.1"), Ends(&[400])),
    ];
    meets(rows).await;
}

#[tokio::test]
async fn targets_are_paths_or_whole_addresses() {
    let long = |length: usize| line(&format!("GET /{} HTTP/1.1", "a".repeat(length)));
    let rows: Vec<Row> = vec![
        (
            "a whole address",
            line("GET http://a/livez HTTP/1.1"),
            GoesOn(&[200]),
        ),
        (
            "one with https",
            line("GET https://a/livez HTTP/1.1"),
            GoesOn(&[200]),
        ),
        (
            "one of another host",
            line("GET http://evil.example/livez HTTP/1.1"),
            GoesOn(&[200]),
        ),
        (
            "one of another scheme",
            line("GET ftp://a/livez HTTP/1.1"),
            GoesOn(&[200]),
        ),
        (
            "one without a host",
            line("GET http:///livez HTTP/1.1"),
            Ends(&[400]),
        ),
        (
            "one with a user",
            line("GET http://user@a/livez HTTP/1.1"),
            GoesOn(&[200]),
        ),
        (
            "a host and a port",
            line("GET a:80 HTTP/1.1"),
            GoesOn(&[404]),
        ),
        ("CONNECT", line("CONNECT a:443 HTTP/1.1"), GoesOn(&[404])),
        (
            "CONNECT to a path",
            line("CONNECT /livez HTTP/1.1"),
            GoesOn(&[405]),
        ),
        ("OPTIONS *", line("OPTIONS * HTTP/1.1"), GoesOn(&[404])),
        ("GET *", line("GET * HTTP/1.1"), GoesOn(&[404])),
        ("no slash", line("GET livez HTTP/1.1"), GoesOn(&[404])),
        ("nothing", line("GET  HTTP/1.1"), Ends(&[400])),
        ("two slashes", line("GET //livez HTTP/1.1"), GoesOn(&[404])),
        (
            "a slash behind",
            line("GET /livez/ HTTP/1.1"),
            GoesOn(&[404]),
        ),
        (
            "dots",
            line("GET /static/../livez HTTP/1.1"),
            GoesOn(&[404]),
        ),
        (
            "dots in hexadecimal",
            line("GET /static/%2e%2e/livez HTTP/1.1"),
            GoesOn(&[404]),
        ),
        (
            "files of the machine",
            line("GET /static/..%2f..%2fetc%2fpasswd HTTP/1.1"),
            GoesOn(&[404]),
        ),
        (
            "NUL in hexadecimal",
            line("GET /static/%00 HTTP/1.1"),
            GoesOn(&[404]),
        ),
        (
            "no UTF-8 in hexadecimal",
            line("GET /static/%ff HTTP/1.1"),
            GoesOn(&[404]),
        ),
        (
            "a half byte",
            line("GET /static/% HTTP/1.1"),
            GoesOn(&[404]),
        ),
        ("a fragment", line("GET /livez#a HTTP/1.1"), GoesOn(&[200])),
        ("a backslash", line("GET \\livez HTTP/1.1"), Ends(&[400])),
        ("of 8 KiB", long(8 * 1024), GoesOn(&[404])),
        ("of 60 KiB", long(60 * 1024), GoesOn(&[404])),
        ("of 200 KiB", long(200 * 1024), Ends(&[431])),
    ];
    meets(rows).await;
}

#[tokio::test]
async fn versions_are_1_0_and_1_1() {
    let bare = |text: &str| text.as_bytes().to_vec();
    let rows: Vec<Row> = vec![
        ("1.0", line("GET /livez HTTP/1.0"), Ends(&[200])),
        (
            "1.0 without a host",
            bare("GET /livez HTTP/1.0\r\n\r\n"),
            Ends(&[200]),
        ),
        (
            "1.0 that stays",
            bare("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            GoesOn(&[200]),
        ),
        (
            "1.0 in chunks",
            bare("POST /jsapi/signature HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Ends(&[400]),
        ),
        ("0.9", bare("GET /livez\r\n"), Ends(&[400])),
        ("0.9 by name", line("GET /livez HTTP/0.9"), Ends(&[400])),
        ("1.2", line("GET /livez HTTP/1.2"), Ends(&[400])),
        ("2.0", line("GET /livez HTTP/2.0"), Ends(&[400])),
        ("of one digit", line("GET /livez HTTP/1"), Ends(&[400])),
        (
            "of three digits",
            line("GET /livez HTTP/1.10"),
            Ends(&[400]),
        ),
        ("leading zeros", line("GET /livez HTTP/01.1"), Ends(&[400])),
        (
            "in small letters",
            line("GET /livez http/1.1"),
            Ends(&[400]),
        ),
        ("another protocol", line("GET /livez ICY/1.1"), Ends(&[400])),
        (
            "a blank behind it",
            line("GET /livez HTTP/1.1 "),
            Ends(&[400]),
        ),
        (
            "two blanks before it",
            line("GET /livez  HTTP/1.1"),
            Ends(&[400]),
        ),
        (
            "a tab before it",
            line("GET /livez\tHTTP/1.1"),
            Ends(&[400]),
        ),
        (
            "a line end before all",
            bare("\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n"),
            GoesOn(&[200]),
        ),
        (
            "a blank before all",
            bare(" GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"),
            Ends(&[400]),
        ),
        (
            "line feeds for line ends",
            bare("GET /livez HTTP/1.1\nHost: a\n\n"),
            GoesOn(&[200]),
        ),
        (
            "carriage returns for line ends",
            bare("GET /livez HTTP/1.1\rHost: a\r\r"),
            Ends(&[400]),
        ),
    ];
    meets(rows).await;
}
