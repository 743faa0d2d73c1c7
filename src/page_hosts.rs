//! The hosts that an account may sign for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::page_url::{PageUrl, check_host, split_port};
use crate::sharded::Sharded;

/// The hosts of the pages that an account may sign for.
///
/// `example.com` stands for that host at the default port of http and https, `example.com:8443`
/// for that host at that port, `*.example.com` for every sub-domain (not for `example.com`
/// itself), `*` for every host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageHosts {
    /// As they are written, in lower case and sorted, with commas between. They are few, and of a
    /// hundred thousand accounts they are to take little room.
    listed: Arc<str>,
}

impl PageHosts {
    /// Adds a host as it is written in `page_hosts`.
    ///
    /// # Errors
    /// When the text is not one of the four forms.
    pub fn add(&mut self, pattern: &str) -> Result<(), InvalidPageHost> {
        let written = written(pattern).ok_or_else(|| InvalidPageHost(pattern.to_owned()))?;
        let mut listed: Vec<_> = self.each().collect();
        if let Err(place) = listed.binary_search(&written.as_str()) {
            listed.insert(place, &written);
            self.listed = listed.join(",").into();
        }
        Ok(())
    }

    fn each(&self) -> impl Iterator<Item = &str> {
        self.listed.split(',').filter(|listed| !listed.is_empty())
    }

    /// Whether no host is listed.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Whether every host is allowed.
    pub fn allows_all(&self) -> bool {
        self.each().any(|listed| listed == "*")
    }

    /// Whether the page at `url` may be signed for.
    pub fn allow(&self, url: &PageUrl<'_>) -> bool {
        self.each().any(|listed| stands_for(listed, url))
    }

    /// The hosts as they would be written in `page_hosts`, sorted.
    pub fn patterns(&self) -> Vec<String> {
        self.each().map(str::to_owned).collect()
    }
}

/// The hosts of the pages that any of many accounts may sign for.
#[derive(Clone, Debug, Default)]
pub struct AllPageHosts {
    /// How many accounts list each.
    listed: Sharded<Arc<str>, u32>,
}

impl AllPageHosts {
    /// Adds the hosts of an account. Where it lists one host, it shares it with others that do.
    pub fn add(&mut self, hosts: &mut PageHosts) {
        for host in hosts.each() {
            let (known, count) = match self.listed.get_key_value(host) {
                Some((known, count)) => (Arc::clone(known), *count),
                None if *hosts.listed == *host => (Arc::clone(&hosts.listed), 0),
                None => (host.into(), 0),
            };
            self.listed.insert(known, count + 1);
        }
        if let Some((same, _)) = self.listed.get_key_value(&*hosts.listed) {
            hosts.listed = Arc::clone(same);
        }
    }

    /// Takes the hosts of an account away that was added.
    pub fn remove(&mut self, hosts: &PageHosts) {
        for host in hosts.each() {
            match self.listed.get_key_value(host) {
                Some((known, count @ 2..)) => {
                    let (known, count) = (Arc::clone(known), *count);
                    self.listed.insert(known, count - 1)
                }
                _ => self.listed.remove(host),
            };
        }
    }

    /// Whether any account may sign for the page at `url`.
    pub fn allow(&self, url: &PageUrl<'_>) -> bool {
        let (host, mut text) = (url.host(), String::new());
        let mut lists = |before: &str, host: &str| {
            text.clear();
            text.extend([before, host]);
            let by_default = url.has_default_port() && self.listed.get(text.as_str()).is_some();
            by_default || {
                text += &format!(":{}", url.port());
                self.listed.get(text.as_str()).is_some()
            }
        };
        self.listed.get("*").is_some()
            || lists("", host)
            || (host.match_indices('.')).any(|(dot, _)| lists("*.", &host[dot + 1..]))
    }
}

/// The host as it is kept; `None` if it is none of the four forms.
fn written(pattern: &str) -> Option<String> {
    let lower = pattern.to_ascii_lowercase();
    if lower == "*" {
        return Some(lower);
    }
    let (before, rest) = match lower.strip_prefix("*.") {
        Some(parent) => ("*.", parent),
        None => ("", lower.as_str()),
    };
    let (host, port) = split_port(rest)?;
    check_host(host).ok()?;
    Some(match port {
        Some(port) => format!("{before}{host}:{port}"),
        None => format!("{before}{host}"),
    })
}

/// Whether a host as it is written stands for that of `url`.
fn stands_for(listed: &str, url: &PageUrl<'_>) -> bool {
    if listed == "*" || listed == url.host() && url.has_default_port() {
        return true;
    }
    let (is_below, rest) = match listed.strip_prefix("*.") {
        Some(parent) => (true, parent),
        None => (false, listed),
    };
    let Some((host, port)) = split_port(rest) else {
        return false;
    };
    let is_its_port = port.map_or_else(|| url.has_default_port(), |port| port == url.port());
    is_its_port
        && if is_below {
            (url.host().strip_suffix(host)).is_some_and(|before| before.ends_with('.'))
        } else {
            url.host() == host
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::laws;

    fn hosts(list: &str) -> PageHosts {
        list.parse().unwrap()
    }

    fn allows(list: &str, url: &str) -> bool {
        hosts(list).allow(&PageUrl::parse(url).unwrap())
    }

    #[test]
    fn a_listed_host_is_allowed_and_its_look_alikes_are_not() {
        for url in [
            "https://ok.example.com",
            "http://ok.example.com/a",
            "https://ok.example.com:443/a",
            "http://ok.example.com:80?x",
        ] {
            assert!(allows("ok.example.com", url), "{url}");
        }
        for url in [
            "https://ok.example.com.evil/",
            "https://evil/ok.example.com",
            "https://evil?ok.example.com",
            "https://notok.example.com/",
            "https://example.com/",
            "https://a.ok.example.com/",
            "https://ok.example.com./",
            "https://ok.example.com:8443/",
            "https://ok.example.com:80/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://0x7f.1/",
            "http://[::1]/",
        ] {
            assert!(!allows("ok.example.com,127.0.0.1", url), "{url}");
        }
    }

    #[test]
    fn a_port_is_allowed_where_it_is_listed() {
        assert!(allows("h.example:8443", "https://h.example:8443/"));
        assert!(!allows("h.example:8443", "https://h.example/"));
        assert!(allows("h.example:443", "https://h.example/"));
        assert!(!allows("h.example:443", "http://h.example/"));
        assert!(allows("h.example,h.example:8443", "http://h.example/"));
        assert!(allows("[::1]:8080", "http://[::1]:8080/"));
    }

    #[test]
    fn a_star_stands_for_every_sub_domain_at_any_depth() {
        let list = "*.shop.example.com,*.dev.example.com:3000";
        for url in [
            "https://a.shop.example.com/",
            "https://a.b.shop.example.com/",
            "http://x.dev.example.com:3000/",
        ] {
            assert!(allows(list, url), "{url}");
        }
        for url in [
            "https://shop.example.com/",
            "https://ashop.example.com/",
            "https://shop.example.com.evil/",
            "https://x.dev.example.com/",
        ] {
            assert!(!allows(list, url), "{url}");
        }
        assert!(allows("*", "https://anything.example:12345/"));
    }

    #[test]
    fn entries_that_are_no_hosts_say_how_to_mend_them() {
        for (entry, advice) in [
            ("https://h5.example.com", "leave the scheme out"),
            ("h5.example.com/path", "leave the path out"),
            ("微信.example.com", "xn--"),
            ("*example.com", "*.example.com"),
            ("h5.*.com", "*.example.com"),
            ("h5.example.com:0", "example.com:8443"),
            ("h5.example.com:", "example.com:8443"),
            ("a b", "example.com"),
        ] {
            let error = PageHosts::default().add(entry).unwrap_err().to_string();
            assert!(error.contains(advice), "{entry}: {error}");
        }
    }

    #[test]
    fn the_list_reads_back_as_it_was_written() {
        let list = "*.shop.example.com,[::1]:8080,H5.example.com,h5.example.com:8443";
        let patterns = hosts(list).patterns();
        assert_eq!(patterns.join(","), list.to_ascii_lowercase());
        assert_eq!(hosts(&patterns.join(",")), hosts(list));
    }

    proptest! {
        #[test]
        fn a_page_is_allowed_by_an_entry_and_by_nothing_else(
            list in vec(
                prop_oneof![
                    15 => r"(\*\.)?(a\.)?[eE]xample\.com(:443|:8443)?",
                    1 => r"\*|\[::1\](:80)?",
                ],
                1..3,
            ),
            page in r"https?://(a\.){0,2}example\.com(:443|:8443)?/?|http://\[::1\]",
            anything in any::<String>(),
        ) {
            laws::page_hosts(&list.join(", "), &page);
            laws::page_hosts(&anything, &page);
        }
    }
}
