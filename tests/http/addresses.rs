//! Whose request it is, row by row: what stands in `X-Forwarded-For` behind a trusted proxy.
//!
//! One who has asked too often is refused, and so shows whom a request is counted for.

use crate::harness::{PAGE, Server, Setup, signature};
use crate::wire::Request;

/// More than a limit of one a second lets through at once.
const FLOOD: usize = 40;

/// Lines of `X-Forwarded-For`, and who is meant; nobody but the proxy itself if it is nobody.
type Row = (&'static [&'static str], Option<&'static str>);

fn request(lists: &[&str]) -> Request {
    let lists = lists.iter();
    lists.fold(signature(PAGE), |request, list| {
        request.with("X-Forwarded-For", list)
    })
}

async fn is_refused(server: &Server, request: &Request) -> bool {
    server.ask(request).await.status == 429
}

/// Asks until it is refused; `false` if that never happens.
async fn floods(server: &Server, request: &Request) -> bool {
    for _ in 0..FLOOD {
        if is_refused(server, request).await {
            return true;
        }
    }
    false
}

async fn counted(rows: &[Row]) {
    let mut setup = Setup::new();
    let trusted = [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "2001:db8:ffff::/48",
        "192.0.2.7/32",
    ];
    setup.config.trusted_proxies = trusted.map(|net| net.parse().unwrap()).to_vec();
    setup.config.limits.signatures_per_address = 1;
    let server = setup.start_ready().await;
    for (lists, client) in rows {
        let asked = request(lists);
        let Some(client) = client else {
            assert!(!floods(&server, &asked).await, "{lists:?} is somebody");
            continue;
        };
        // A second may pass in between, and with it the refusal.
        let mut refused = false;
        for _ in 0..3 {
            assert!(floods(&server, &request(&[client])).await, "{client}");
            refused = refused || is_refused(&server, &asked).await;
        }
        assert!(refused, "{lists:?} is not {client}");
    }
    server.end().await;
}

#[tokio::test]
async fn the_nearest_stranger_is_the_client() {
    counted(&[
        (&["203.0.113.1"], Some("203.0.113.1")),
        (&[" 203.0.113.2 "], Some("203.0.113.2")),
        (&["203.0.113.3:4711"], Some("203.0.113.3")),
        (&["203.0.113.4, 10.0.0.1"], Some("203.0.113.4")),
        (
            &["203.0.113.5,10.0.0.1,127.0.0.9,192.0.2.7"],
            Some("203.0.113.5"),
        ),
        (&["203.0.113.6", "10.0.0.1"], Some("203.0.113.6")),
        (
            &["203.0.113.7,10.0.0.1", "10.0.0.2, 10.0.0.3:80"],
            Some("203.0.113.7"),
        ),
        (&["::ffff:203.0.113.8"], Some("203.0.113.8")),
        (&["[::ffff:203.0.113.9]:80"], Some("203.0.113.9")),
        (&["203.0.113.10, ::ffff:10.0.0.1"], Some("203.0.113.10")),
        (&["2001:db8::1"], Some("2001:db8::1")),
        (&["[2001:db8:1::1]:443"], Some("2001:db8:1::1")),
        (&["2001:DB8:2:0:0:0:0:1"], Some("2001:db8:2::1")),
        (&["2001:db8:3::1, 2001:db8:ffff::2"], Some("2001:db8:3::1")),
        (&["192.0.2.8, 192.0.2.7"], Some("192.0.2.8")),
        (&["11.0.0.1, 10.255.255.255"], Some("11.0.0.1")),
    ])
    .await;
}

#[tokio::test]
async fn what_a_client_invents_is_not_listened_to() {
    counted(&[
        (&["198.51.100.1, 203.0.113.1"], Some("203.0.113.1")),
        (&["10.0.0.1, 203.0.113.2"], Some("203.0.113.2")),
        (&["127.0.0.1, 203.0.113.3"], Some("203.0.113.3")),
        (&["198.51.100.1", "203.0.113.4"], Some("203.0.113.4")),
        (&["198.51.100.1,203.0.113.5,10.0.0.1"], Some("203.0.113.5")),
        (&["unknown, 203.0.113.6"], Some("203.0.113.6")),
        (&[",,,203.0.113.7"], Some("203.0.113.7")),
        (&["\"198.51.100.1\", 203.0.113.8"], Some("203.0.113.8")),
        (
            &["198.51.100.1 203.0.113.9,203.0.113.9"],
            Some("203.0.113.9"),
        ),
        (&["<script>, 203.0.113.10"], Some("203.0.113.10")),
    ])
    .await;
}

#[tokio::test]
async fn what_no_proxy_writes_names_nobody() {
    counted(&[
        (&[""], None),
        (&[" , "], None),
        (&["unknown"], None),
        (&["_hidden"], None),
        (&["203.0.113.1,"], None),
        (&["203.0.113.1, unknown"], None),
        (&["203.0.113.1 10.0.0.1"], None),
        (&["203.0.113.1;10.0.0.1"], None),
        (&["\"203.0.113.1\""], None),
        (&["for=203.0.113.1"], None),
        (&["[203.0.113.1]"], None),
        (&["203.0.113.1:99999"], None),
        (&["203.0.113.1/32"], None),
        (&["203.0.113.001"], None),
        (&["203.0.113"], None),
        (&["3405803777"], None),
        (&["0xcb007101"], None),
        (&["203.0.113.256"], None),
        (&["[2001:db8::1"], None),
        (&["[2001:db8::1]"], None),
        (&["2001:db8::1::2"], None),
        (&["fe80::1%eth0"], None),
        (&["2001:db8::g"], None),
        (&["localhost"], None),
        (&["２０３.0.113.1"], None),
    ])
    .await;
}
