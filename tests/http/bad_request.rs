//! Queries, bodies and lines that hold something else than the address of a page.

use crate::harness::{APPID, PAGE, Setup, is_problem, posted_signature, signature};
use crate::wire::{Connection, Request, encode_uri_component};

const ADDRESS: &str = "/jsapi/signature";

/// Sends each of `queries` and expects the same of all.
async fn refused_query(code: &str, advice: &str, queries: &[&str]) {
    let server = Setup::new().start_ready().await;
    let status = if code == "unknown_account" { 404 } else { 400 };
    for query in queries {
        let answer = server.get(format!("{ADDRESS}{query}")).await;
        is_problem(&answer, status, code, advice);
        server.signs().await;
    }
    server.end().await;
}

/// Sends each of `bodies` and expects the same of all.
async fn refused_body(status: u16, code: &str, advice: &str, bodies: &[&[u8]]) {
    let server = Setup::new().start_ready().await;
    for body in bodies {
        let answer = server.ask(&Request::post(ADDRESS, *body)).await;
        is_problem(&answer, status, code, advice);
        server.signs().await;
    }
    server.end().await;
}

#[tokio::test]
async fn a_query_without_a_url_is_told_what_to_send() {
    let queries = ["", "?", "?&", "?url", "?url=", "?URL=x", "?u%72l=x"];
    refused_query("missing_url", "send location.href", &queries).await;
}

#[tokio::test]
async fn what_is_given_twice_is_not_guessed_at() {
    let queries = [
        "?url=https://ok.example.com/&url=https://ok.example.com/",
        "?url=https://ok.example.com/&url=https://evil/",
        "?url=&url=https://ok.example.com/",
    ];
    refused_query("invalid_url", "url is given twice: give it once", &queries).await;
    let queries = ["?url=https://ok.example.com/&appid=a&appid=b"];
    refused_query("unknown_account", "appid is given twice", &queries).await;
    let body = br#"{"url": "https://ok.example.com/", "url": "https://ok.example.com/"}"#;
    refused_body(400, "invalid_body", "duplicate field `url`", &[body]).await;
}

#[tokio::test]
async fn an_ampersand_that_cuts_the_url_is_pointed_out() {
    let queries = [
        "?url=https://ok.example.com/?a=1&b=2",
        "?url=https://ok.example.com/?a=1&b",
        "?appid=wx0123456789abcdef&url=https://ok.example.com/?a=1&b=%",
    ];
    let advice =
        "cut at \"&b\", because it was not encoded: use encodeURIComponent(location.href.split";
    refused_query("invalid_url", advice, &queries).await;
}

#[tokio::test]
async fn broken_percent_encoding_is_not_guessed_at() {
    let advice = "a % without two hexadecimal digits behind it: encode the url with \
                  encodeURIComponent";
    let queries = [
        "?url=%",
        "?url=https://ok.example.com/100%",
        "?url=https://ok.example.com/%2",
        "?url=https://ok.example.com/%zz",
        "?url=https://ok.example.com/%+f",
    ];
    refused_query("invalid_url", advice, &queries).await;
    let queries = ["?url=https://ok.example.com/&appid=%"];
    refused_query("unknown_account", "check the appid", &queries).await;
    let queries = [
        "?url=https://ok.example.com/%ff",
        "?url=https://ok.example.com/%C0%AF",
        "?url=https://ok.example.com/%ED%A0%80",
    ];
    refused_query("invalid_url", "bytes that are not UTF-8", &queries).await;
}

#[tokio::test]
async fn raw_bytes_that_http_lets_pass_are_still_no_address() {
    let queries = ["?url=https://ok.example.com/微信"];
    refused_query("invalid_url", "the byte 0xe5", &queries).await;
    let queries = ["?url=https://ok.example.com/\\", "?url=https:/\\evil"];
    refused_query("invalid_url", "the byte 0x5c", &queries).await;
}

#[tokio::test]
async fn a_body_that_is_broken_is_shown_a_good_one() {
    let bodies: [&[u8]; 9] = [
        b"",
        b" \n",
        b"{",
        br#"{"url": "https://ok.example.com/""#,
        br#"{"url": "https://ok.example.com/"}}"#,
        br#"{"url": "https://ok.example.com/\ud800"}"#,
        b"{\"url\": \"https://ok.example.com/\n\"}",
        b"{\"url\": \"https://ok.example.com/\xff\"}",
        b"url=https%3A%2F%2Fok.example.com%2F",
    ];
    let advice = r#"send {"url": "https://…", "appid": "wx…"}, where appid may be left out"#;
    refused_body(400, "invalid_body", advice, &bodies).await;
}

#[tokio::test]
async fn a_body_of_the_wrong_type_is_shown_a_good_one() {
    let bodies: [&[u8]; 11] = [
        b"null",
        b"true",
        b"1",
        br#""https://ok.example.com/""#,
        b"[]",
        br#"["https://ok.example.com/", "wx0123456789abcdef"]"#,
        br#"[{"url": "https://ok.example.com/"}]"#,
        br#"{"url": 1}"#,
        br#"{"url": ["https://ok.example.com/"]}"#,
        br#"{"url": {}}"#,
        br#"{"url": "https://ok.example.com/", "appid": 1}"#,
    ];
    let advice = r#"send {"url": "https://…", "appid": "wx…"}, where appid may be left out"#;
    refused_body(400, "invalid_body", advice, &bodies).await;
}

#[tokio::test]
async fn a_body_without_a_url_is_told_what_to_send() {
    let bodies: [&[u8]; 3] = [b"{}", br#"{"url": null}"#, br#"{"URL": "x"}"#];
    refused_body(400, "missing_url", "send location.href", &bodies).await;
}

#[tokio::test]
async fn a_body_nested_ten_thousand_deep_does_not_overflow_the_stack() {
    let open = "[".repeat(10_000);
    let deep = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
    let broken = [
        open.clone(),
        format!("{{\"url\": {open}"),
        format!("{{\"other\": {open}"),
        format!("{{\"url\": {deep}}}"),
        "{\"url\":".repeat(2_000),
        "{\"other\":".repeat(1_600),
    ];
    let broken: Vec<&[u8]> = broken.iter().map(String::as_bytes).collect();
    refused_body(400, "invalid_body", "send {\"url\"", &broken).await;
    // What is not known is passed over, at any depth.
    let unknown = format!("{{\"other\": {deep}}}");
    refused_body(400, "missing_url", "", &[unknown.as_bytes()]).await;
    let closed = format!("{open}{}", "]".repeat(10_000));
    refused_body(413, "body_too_large", "", &[closed.as_bytes()]).await;
}

#[tokio::test]
async fn a_body_above_16_kib_is_too_large_whether_it_says_so_or_not() {
    let body = format!("{{\"url\": \"{PAGE}\"}}{}", " ".repeat(16 * 1024));
    refused_body(413, "body_too_large", "16384 bytes", &[body.as_bytes()]).await;
    let server = Setup::new().start_ready().await;
    let head = Request::new("POST", ADDRESS).with("Transfer-Encoding", "chunked");
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let mut connection = server.connect().await;
    connection.send(&head.bytes()).await;
    connection.send(chunk.as_bytes()).await;
    let answer = connection.answer(true).await;
    is_problem(&answer, 413, "body_too_large", "16384 bytes");
    server.end().await;
}

#[tokio::test]
async fn a_mebibyte_is_not_read_to_its_end() {
    let server = Setup::new().start_ready().await;
    let page = format!("{PAGE}?{}", "a".repeat(1 << 20));
    for request in [signature(&page), posted_signature(&page)] {
        let mut connection = server.connect().await;
        connection.send(&request.bytes()).await;
        // The answer may be lost where the server hangs up on what still comes.
        if let Some(answer) = connection.next_answer(true).await {
            let status = answer.status.as_u16();
            assert!([413, 414, 431].contains(&status), "{answer:?}");
        }
        server.signs().await;
    }
    server.end().await;
}

#[tokio::test]
async fn an_account_that_is_not_there_is_said_to_be_unknown() {
    let server = Setup::new().start_ready().await;
    for appid in [
        "wx0000000000000000",
        "",
        "WX0123456789ABCDEF",
        "微信",
        "../x",
    ] {
        let encoded = encode_uri_component(appid);
        let target = format!("{ADDRESS}?url={PAGE}&appid={encoded}");
        let body = serde_json::json!({ "url": PAGE, "appid": appid });
        for request in [
            Request::get(target),
            Request::post(ADDRESS, body.to_string()),
        ] {
            let answer = server.ask(&request).await;
            is_problem(&answer, 404, "unknown_account", "check the appid");
        }
        server.signs().await;
    }
    server.end().await;
}

#[tokio::test]
async fn with_two_accounts_a_page_must_say_which() {
    let mut setup = Setup::new();
    setup.add_account("wxfedcba9876543210");
    let server = setup.start_ready().await;
    for request in [signature(PAGE), posted_signature(PAGE)] {
        let answer = server.ask(&request).await;
        is_problem(&answer, 404, "unknown_account", "which one with appid=");
    }
    let named = format!("{ADDRESS}?url={PAGE}&appid={APPID}");
    assert_eq!(server.get(named).await.status, 200);
    server.end().await;
}

/// It never reaches the routes: the connection says 400 and ends.
#[tokio::test]
async fn what_is_not_http_ends_its_connection_and_no_other() {
    let server = Setup::new().start_ready().await;
    let mut bystander = server.connect().await;
    for bytes in [
        b"GET /jsapi/signature?url=https://ok.example.com/a b HTTP/1.1\r\n\r\n".as_slice(),
        b"GET /jsapi/signature?url=https://ok.example.com/\x01 HTTP/1.1\r\n\r\n",
        b"GET /jsapi/signature?url=https://ok.example.com/\0 HTTP/1.1\r\n\r\n",
        b"GET /jsapi/signature?url=https://ok.example.com/\x7f HTTP/1.1\r\n\r\n",
        b"GET /jsapi/signature?url=https://ok.example.com/\xff HTTP/1.1\r\n\r\n",
        b"GET /jsapi/signature?url=https://ok.example.com/<a> HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/3.0\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /jsapi/signature HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /livez HTTP/1.1\r\nX: a\0b\r\n\r\n",
    ] {
        let shown = String::from_utf8_lossy(bytes);
        let mut connection = Connection::open(server.address).await;
        connection.send(bytes).await;
        let answer = connection.next_answer(true).await;
        let answer = answer.unwrap_or_else(|| panic!("no answer to {shown}"));
        assert_eq!(answer.status, 400, "{shown}");
        assert!(connection.next_answer(true).await.is_none(), "{shown}");
        let answer = bystander.ask(&signature(PAGE)).await;
        assert_eq!(answer.status, 200, "{shown}");
    }
    server.end().await;
}
