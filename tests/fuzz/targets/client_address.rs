//! The trusted proxies, the address of the peer, and lines of X-Forwarded-For.
#![no_main]

use std::net::IpAddr;

use ipnet::IpNet;
use wxsign_fuzz::{split, text};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (trusted, rest) = split(input);
    let (peer, lists) = split(rest);
    let net = |net: &str| {
        net.parse()
            .ok()
            .or_else(|| Some(IpNet::from(net.parse::<IpAddr>().ok()?)))
    };
    let trusted: Vec<IpNet> = text(trusted)
        .split(',')
        .filter_map(|text| net(text.trim()))
        .collect();
    if let Ok(peer) = text(peer).parse() {
        let lists: Vec<&[u8]> = lists.split(|byte| *byte == b'\n').collect();
        wxsign::server::laws::client_address(peer, &lists, &trusted);
    }
});
