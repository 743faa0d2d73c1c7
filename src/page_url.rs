//! The address of a page to be signed, and the hosts that an account may sign for.
//!
//! WeChat compares the signature with the address of the page as the browser holds it, byte for
//! byte up to the first `#` (JS-SDK manual, appendix 1,
//! <https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>). So a URL is read
//! here only to be checked: what is signed is the text that came in, never a form of it that was
//! written anew.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// The longest URL that is accepted, in bytes, its fragment included.
pub const MAX_URL_BYTES: usize = 2048;

/// The URL of a page, checked, and cut at the first `#`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageUrl<'a> {
    text: &'a str,
    host: &'a str,
    port: Option<u16>,
    https: bool,
}

impl<'a> PageUrl<'a> {
    /// Checks `text` and cuts it at the first `#`; not a byte of the rest is changed.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &'a str) -> Result<Self, UrlFault> {
        if text.is_empty() {
            return Err(UrlFault::Empty);
        }
        if text.len() > MAX_URL_BYTES {
            return Err(UrlFault::TooLong);
        }
        let text = text.split('#').next().unwrap_or_default();
        if text.is_empty() {
            return Err(UrlFault::OnlyFragment);
        }
        if let Some(byte) = text
            .bytes()
            .find(|byte| !(0x21..=0x7e).contains(byte) || *byte == b'\\')
        {
            return Err(UrlFault::Byte(byte));
        }
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(UrlFault::Scheme),
        };
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        if authority.contains('@') {
            return Err(UrlFault::UserInfo);
        }
        let (host, port) = split_port(authority).ok_or(UrlFault::Port)?;
        check_host(host)?;
        Ok(Self {
            text,
            host,
            port,
            https,
        })
    }

    /// The text to sign.
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// The host, without its port; an IPv6 address keeps its brackets.
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// The port, given or that of the scheme.
    pub const fn port(&self) -> u16 {
        match (self.port, self.https) {
            (Some(port), _) => port,
            (None, true) => 443,
            (None, false) => 80,
        }
    }

    /// Whether the port is the scheme's own.
    pub const fn has_default_port(&self) -> bool {
        self.port() == if self.https { 443 } else { 80 }
    }

    /// Whether the text is an origin as browsers send it: scheme, host and port, no more.
    pub fn is_origin(&self) -> bool {
        let scheme = if self.https {
            "https://".len()
        } else {
            "http://".len()
        };
        !self.text[scheme..].contains(['/', '?'])
    }

    /// How the host would be listed in `page_hosts`: with its port only where the port is not
    /// the scheme's own.
    pub fn listed_as(&self) -> String {
        if self.has_default_port() {
            self.host.to_owned()
        } else {
            format!("{}:{}", self.host, self.port())
        }
    }
}

/// Why a text is not the URL of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlFault {
    /// Nothing there.
    #[error("the url is empty: send location.href.split('#')[0], encoded with encodeURIComponent")]
    Empty,
    /// Longer than [`MAX_URL_BYTES`].
    #[error("the url is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// Nothing in front of the `#`.
    #[error("the url holds only a fragment: send the whole address, location.href")]
    OnlyFragment,
    /// A byte that no browser reports in an address.
    #[error(
        "the url holds the byte 0x{0:02x}, which location.href never does: send what the \
         browser reports (percent-encoded), encoded once more with encodeURIComponent"
    )]
    Byte(u8),
    /// Not `http://` or `https://`.
    #[error("the url must begin with http:// or https:// in lower case, as location.href does")]
    Scheme,
    /// `user@host`.
    #[error("the url holds user information (an @ before the path), which no page address does")]
    UserInfo,
    /// Not a port from 1 to 65535 as browsers write it.
    #[error("the url's port must be a number from 1 to 65535 without leading zeros")]
    Port,
    /// Not a host as browsers write it.
    #[error(
        "the url's host must be a name of letters, digits, dots and hyphens (an international \
         one in its xn-- form), or an IP address"
    )]
    Host,
    /// A capital in the host.
    #[error(
        "the url's host holds capital letters, but browsers report it in lower case and so \
         WeChat would refuse the signature: send location.href as it is"
    )]
    UpperCaseHost,
}

/// The hosts of the pages that an account may sign for.
///
/// `example.com` stands for that host at the default port of http and https, `example.com:8443`
/// for that host at that port, `*.example.com` for every sub-domain (not for `example.com`
/// itself), `*` for every host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageHosts {
    any: bool,
    exact: HashMap<Box<str>, Vec<Option<u16>>>,
    below: HashMap<Box<str>, Vec<Option<u16>>>,
}

impl PageHosts {
    /// Adds a host as it is written in `page_hosts`.
    ///
    /// # Errors
    /// When the text is not one of the four forms.
    pub fn add(&mut self, pattern: &str) -> Result<(), InvalidPageHost> {
        if pattern == "*" {
            self.any = true;
            return Ok(());
        }
        let invalid = || InvalidPageHost(pattern.to_owned());
        let lower = pattern.to_ascii_lowercase();
        let (lower, map) = match lower.strip_prefix("*.") {
            Some(parent) => (parent, &mut self.below),
            None => (lower.as_str(), &mut self.exact),
        };
        let (host, port) = split_port(lower).ok_or_else(invalid)?;
        check_host(host).map_err(|_| invalid())?;
        let ports = map.entry(host.into()).or_default();
        if !ports.contains(&port) {
            ports.push(port);
        }
        Ok(())
    }

    /// Adds all the hosts of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.any |= other.any;
        for (mine, theirs) in [
            (&mut self.exact, &other.exact),
            (&mut self.below, &other.below),
        ] {
            for (host, ports) in theirs {
                mine.entry(host.clone()).or_default().extend(ports);
            }
        }
    }

    /// Whether no host is listed.
    pub fn is_empty(&self) -> bool {
        !self.any && self.exact.is_empty() && self.below.is_empty()
    }

    /// Whether every host is allowed.
    pub const fn allows_all(&self) -> bool {
        self.any
    }

    /// Whether the page at `url` may be signed for.
    pub fn allow(&self, url: &PageUrl<'_>) -> bool {
        let port_is_listed = |ports: &Vec<Option<u16>>| {
            ports.iter().any(|port| match port {
                Some(port) => *port == url.port(),
                None => url.has_default_port(),
            })
        };
        self.any
            || self.exact.get(url.host).is_some_and(port_is_listed)
            || url.host.match_indices('.').any(|(dot, _)| {
                self.below
                    .get(&url.host[dot + 1..])
                    .is_some_and(port_is_listed)
            })
    }

    /// The hosts as they would be written in `page_hosts`, sorted.
    pub fn patterns(&self) -> Vec<String> {
        let listed = |prefix: &'static str, map: &HashMap<Box<str>, Vec<Option<u16>>>| {
            map.iter()
                .flat_map(move |(host, ports)| {
                    ports.iter().map(move |port| match port {
                        Some(port) => format!("{prefix}{host}:{port}"),
                        None => format!("{prefix}{host}"),
                    })
                })
                .collect::<Vec<_>>()
        };
        let mut all = listed("", &self.exact);
        all.extend(listed("*.", &self.below));
        all.extend(self.any.then(|| "*".to_owned()));
        all.sort();
        all
    }
}

impl FromStr for PageHosts {
    type Err = InvalidPageHost;

    /// Reads a list with commas, as `WXSIGN_PAGE_HOSTS` holds it.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let mut hosts = Self::default();
        for pattern in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            hosts.add(pattern)?;
        }
        Ok(hosts)
    }
}

/// An entry of `page_hosts` that is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidPageHost(String);

impl fmt::Display for InvalidPageHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a page host: ", self.0)?;
        f.write_str(if self.0.contains("://") {
            "leave the scheme out"
        } else if self.0.contains('/') {
            "leave the path out"
        } else if !self.0.is_ascii() {
            "write an international name in its xn-- form"
        } else {
            "write example.com, example.com:8443, *.example.com or *"
        })
    }
}

impl std::error::Error for InvalidPageHost {}

/// Splits `host[:port]`; `None` when what follows the host is not a port.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    // The colons of an IPv6 address stand inside its brackets.
    let after_host = authority.find(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority[after_host..].find(':') else {
        return Some((authority, None));
    };
    let (host, digits) = (
        &authority[..after_host + colon],
        &authority[after_host + colon + 1..],
    );
    let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    let port = digits.parse().ok().filter(|_| canonical)?;
    Some((host, Some(port)))
}

fn check_host(host: &str) -> Result<(), UrlFault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let well_formed = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.starts_with('.') && host.bytes().all(plain),
    };
    if !well_formed {
        Err(UrlFault::Host)
    } else if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Err(UrlFault::UpperCaseHost)
    } else {
        Ok(())
    }
}
