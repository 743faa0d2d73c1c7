//! Whose request it is: the address of the peer or, behind a proxy that is trusted, the one that
//! the proxy names.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

/// What proxies name their clients with.
pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who asks, as far as the head of a request tells.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    /// The other end of the connection.
    pub(super) peer: IpAddr,
    pub(super) forwarded_for: ForwardedFor<'a>,
}

impl<'a> Caller<'a> {
    /// The one at the other end, or behind it, of a request with `headers`.
    pub(super) const fn of(peer: IpAddr, headers: &'a HeaderMap) -> Self {
        Self {
            peer,
            forwarded_for: ForwardedFor::Headers(headers),
        }
    }
}

/// The lines of `X-Forwarded-For`, however they were read.
#[derive(Clone, Copy)]
pub(super) enum ForwardedFor<'a> {
    Line(Option<&'a [u8]>),
    Headers(&'a HeaderMap),
}

impl<'a> ForwardedFor<'a> {
    fn last_first(self) -> impl Iterator<Item = &'a [u8]> {
        let (line, headers) = match self {
            Self::Line(line) => (line, None),
            Self::Headers(headers) => (None, Some(headers)),
        };
        let of_headers = headers.map(|headers| headers.get_all(X_FORWARDED_FOR).iter().rev());
        line.into_iter()
            .chain(of_headers.into_iter().flatten().map(HeaderValue::as_bytes))
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.last_first().next().is_none()
    }
}

impl<'a> From<&'a HeaderMap> for ForwardedFor<'a> {
    fn from(headers: &'a HeaderMap) -> Self {
        Self::Headers(headers)
    }
}

/// The address of the client behind `peer`.
///
/// `X-Forwarded-For` is read from the right, because each proxy adds on the right what it saw
/// itself: the first address that is not that of a trusted proxy is the client's, and what stands
/// to the left of it is the client's own invention.
pub(super) fn client_address<'a>(
    peer: IpAddr,
    forwarded_for: impl Into<ForwardedFor<'a>>,
    trusted: &[IpNet],
) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(&client) {
        return client;
    }
    let lists = forwarded_for.into().last_first();
    for entry in lists.flat_map(|list| list.rsplit(|byte| *byte == b',')) {
        let Some(address) = parse(entry) else {
            return client;
        };
        client = address;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// An address, also with a port behind it, as some proxies write it.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim();
    entry
        .parse()
        .or_else(|_| {
            entry
                .parse()
                .map(|with_port: std::net::SocketAddr| with_port.ip())
        })
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::laws;
    use super::*;
    use crate::laws::made_of;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for list in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(list).unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_is_who_it_is_whatever_it_says() {
        assert_eq!(client("203.0.113.9", &["1.1.1.1"]), "203.0.113.9");
        assert_eq!(client("::ffff:203.0.113.9", &["1.1.1.1"]), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_names_the_client_and_the_client_names_nobody() {
        assert_eq!(client("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"]),
            "203.0.113.9"
        );
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1", "203.0.113.9"]),
            "203.0.113.9"
        );
        assert_eq!(client("::1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
    }

    #[test]
    fn what_cannot_be_read_ends_the_list() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, ,10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    proptest! {
        #[test]
        fn a_client_is_who_the_nearest_stranger_says(
            peer in select(&["10.0.0.1", "203.0.113.9", "::1", "::ffff:10.0.0.1"]),
            lists in vec(made_of(&[
                "10.0.0.1", "10.0.0.2:80", "203.0.113.9", "2001:db8::1", "[::1]:80", ",", ", ", ",,",
                "unknown", "::ffff:10.0.0.3",
            ]), 0..3),
        ) {
            let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
            let lists: Vec<&[u8]> = lists.iter().map(String::as_bytes).collect();
            laws::client_address(peer.parse().unwrap(), &lists, &trusted);
        }
    }
}
