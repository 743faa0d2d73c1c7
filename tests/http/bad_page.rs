//! Addresses that are no page's, or another host's than they seem: each is refused with one clear
//! word, by `GET` as by `POST`, and the server goes on.

use crate::harness::{PAGE, Setup, is_problem, posted_signature, signature};

/// Asks for each of `pages` and expects the same of all.
async fn refused(status: u16, code: &str, advice: &str, pages: &[&str]) {
    let server = Setup::new().start_ready().await;
    for page in pages {
        for request in [signature(page), posted_signature(page)] {
            is_problem(&server.ask(&request).await, status, code, advice);
        }
        server.signs().await;
    }
    server.end().await;
}

#[tokio::test]
async fn nothing_is_a_missing_url() {
    refused(400, "missing_url", "send location.href", &[""]).await;
}

#[tokio::test]
async fn only_a_fragment_is_no_address() {
    let pages = ["#", "#/route", "#https://ok.example.com/"];
    refused(400, "invalid_url", "send the whole address", &pages).await;
}

#[tokio::test]
async fn what_does_not_begin_with_http_and_a_host_is_no_page() {
    let pages = [
        "/page",
        "//ok.example.com/",
        "ok.example.com/",
        "https:ok.example.com",
        "https:/evil",
        "https:/ok.example.com/",
        "javascript:alert(1)",
        "javascript://ok.example.com/%0aalert(1)",
        "data:text/html,x",
        "ftp://ok.example.com/",
        "file:///etc/passwd",
        "HTTPS://ok.example.com/",
        "hTtPs://ok.example.com/",
        "https//ok.example.com/",
        "https%3A//ok.example.com/",
        "https:%2F%2Fok.example.com/",
        "blob:https://ok.example.com/1",
        "view-source:https://ok.example.com/",
        "ws://ok.example.com/",
        "http+unix://ok.example.com/",
        "httpss://ok.example.com/",
        "x-https://ok.example.com/",
        "null",
        "about:blank",
        "&#104;ttps://ok.example.com/",
    ];
    refused(400, "invalid_url", "must begin with http://", &pages).await;
    let pages = [
        "https:///page",
        "https://",
        "https://?ok.example.com",
        "https://:443/",
        "https://.ok.example.com/",
        "https://ok%2eexample.com/",
        "https://ok.example.com;evil/",
        "https://*.shop.example.com/",
        "http://[::1/",
        "http://[ok.example.com]/",
        "https://ok.example.com%00.evil/",
        "https://ok.example.com%2f.evil/",
        "https://evil%23.ok.example.com/",
        "https://ok.example.com,evil/",
        "https://ok.example.com&evil/",
        "https://ok.example.com|evil/",
        "https://(ok.example.com)/",
        "https://ok.example.com$/",
        "https://%6fk.example.com/",
        "https://ok.example.com!/",
        "https://'ok.example.com'/",
        "https://{ok.example.com}/",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:127.0.0.256]/",
        "http://[1::2::3]/",
        "http://]ok.example.com[/",
    ];
    refused(400, "invalid_url", "the url's host must be a name", &pages).await;
}

#[tokio::test]
async fn bytes_that_no_browser_reports_are_named() {
    for (byte, pages) in [
        (
            "0xe5",
            [
                "https://ok.example.com/微信",
                "https://微信.example.com/",
                "https://ok.example.com/?q=微",
            ],
        ),
        (
            "0x20",
            [
                "https://ok.example.com/a b",
                " https://ok.example.com/",
                "https://ok.example.com/ ",
            ],
        ),
        (
            "0x5c",
            [
                "https:/\\evil",
                "https://evil.example\\@ok.example.com/",
                "https://ok.example.com/a\\b",
            ],
        ),
        (
            "0x00",
            [
                "\0https://ok.example.com/",
                "https://ok.example.com\0.evil/",
                "https://ok.example.com/\0",
            ],
        ),
        (
            "0x0d",
            [
                "https://ok.example.com/\r\nSet-Cookie: a=b",
                "https://ok.example.com\r/",
                "\r",
            ],
        ),
        (
            "0x09",
            [
                "https://ok.example.com/\t",
                "ht\ttps://ok.example.com/",
                "\t",
            ],
        ),
        (
            "0x7f",
            [
                "https://ok.example.com/\x7f",
                "https://ok.example.com\x7f/",
                "\x7f",
            ],
        ),
    ] {
        let advice = format!(
            "the byte {byte}, which location.href never does: send what the browser reports"
        );
        refused(400, "invalid_url", &advice, &pages).await;
    }
}

#[tokio::test]
async fn user_information_hides_no_host() {
    let pages = [
        "https://user:password@ok.example.com/",
        "https://ok.example.com@evil",
        "https://ok.example.com:443@evil/",
        "https://ok.example.com@ok.example.com/",
        "https://@ok.example.com/",
        "https://evil@ok.example.com/",
        "https://:@ok.example.com/",
        "https://ok.example.com:443@ok.example.com:443/",
        "https://ok.example.com%40@evil/",
        "https://a@b@ok.example.com/",
        "https://[::1]@ok.example.com/",
        "https://ok.example.com&@evil/",
    ];
    refused(400, "invalid_url", "user information (an @", &pages).await;
}

#[tokio::test]
async fn a_host_that_looks_like_a_listed_one_is_not_it() {
    for (host, page) in [
        ("ok.example.com.evil", "https://ok.example.com.evil"),
        ("evil", "https://evil/ok.example.com"),
        ("evil", "https://evil?ok.example.com"),
        ("evil", "https://evil#ok.example.com"),
        ("notok.example.com", "https://notok.example.com/"),
        ("a.ok.example.com", "https://a.ok.example.com/"),
        ("example.com", "https://example.com/"),
        ("shop.example.com", "https://shop.example.com/"),
        ("ok.example.com.", "https://ok.example.com./"),
        ("ok.example.com:22", "https://ok.example.com:22/"),
        ("ok.example.com:80", "https://ok.example.com:80/"),
        ("ok.example.com:443", "http://ok.example.com:443/"),
        ("ok.example.com:8444", "https://ok.example.com:8444/"),
        ("ok.example.com_", "https://ok.example.com_/"),
        ("ok-example.com", "https://ok-example.com/"),
        ("okexample.com", "https://okexample.com/"),
        ("ok..example.com", "https://ok..example.com/"),
        ("ok.example.com..", "https://ok.example.com../"),
        ("ok.example.co", "https://ok.example.co/"),
        ("shop.example.com.evil", "https://shop.example.com.evil/"),
        ("ashop.example.com", "https://ashop.example.com/"),
        ("a.shop.example.com.", "https://a.shop.example.com./"),
        (
            "a.shop.example.com:8443",
            "https://a.shop.example.com:8443/",
        ),
        (
            "xn--ok-example-com-0n1k",
            "https://xn--ok-example-com-0n1k/",
        ),
        ("localhost", "https://localhost/@ok.example.com"),
        ("evil", "https://evil/#@ok.example.com/"),
        ("evil", "https://evil/?@ok.example.com/"),
    ] {
        let advice = format!(
            "{host} is not among the page_hosts of this account: if the page is yours, add \
             \"{host}\" there"
        );
        refused(403, "host_not_allowed", &advice, &[page]).await;
    }
}

#[tokio::test]
async fn a_host_in_capitals_is_not_what_browsers_report() {
    let pages = ["https://OK.example.com/", "https://ok.example.COM:8443/"];
    refused(400, "invalid_url", "send location.href as it is", &pages).await;
}

#[tokio::test]
async fn addresses_in_numbers_are_hosts_like_others() {
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "0x7f000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0",
        "127.1",
        "0x7f.0x0.0x0.0x1",
        "017700000001",
        "4294967295",
        "[::]",
        "[64:ff9b::127.0.0.1]",
        "169.254.169.254",
        "255.255.255.255",
    ] {
        let advice = format!("add \"{host}\" there");
        let page = format!("http://{host}/");
        refused(403, "host_not_allowed", &advice, &[&page]).await;
    }
}

#[tokio::test]
async fn a_port_is_a_number_from_1_to_65535() {
    let pages = [
        "https://ok.example.com:0/",
        "https://ok.example.com:65536/",
        "https://ok.example.com:99999999999999999999/",
        "https://ok.example.com:-1/",
        "https://ok.example.com:+443/",
        "https://ok.example.com:0443/",
        "https://ok.example.com:443a/",
        "https://ok.example.com:443:443/",
        "https://ok.example.com:/",
        "http://::1/",
        "https://ok.example.com:0x1bb/",
        "https://ok.example.com:443.0/",
        "https://ok.example.com:%34%34%33/",
        "https://ok.example.com:443;/",
        "https://[::1]:/",
        "https://[::1]:0/",
        "https://ok.example.com::443/",
    ];
    refused(400, "invalid_url", "a number from 1 to 65535", &pages).await;
}

#[tokio::test]
async fn a_url_of_2049_bytes_is_too_long() {
    let page = format!("{PAGE}?{}", "a".repeat(2049 - PAGE.len() - 1));
    assert_eq!(page.len(), 2049);
    refused(400, "invalid_url", "longer than 2048 bytes", &[&page]).await;
}
