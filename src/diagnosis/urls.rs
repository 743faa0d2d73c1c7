//! The addresses that a page may have been signed with.

use std::collections::BTreeSet;

use super::{Case, Mistake, percent};

/// So many places where a query may have been cut are tried, the first ones.
const CUTS: usize = 32;

/// The page's addresses without their fragments.
pub(crate) struct Pages<'a> {
    /// Those that count.
    pub(crate) counted: Vec<&'a str>,
    /// Those that do not, and the mistake that it would be to sign them.
    pub(crate) others: Vec<(Mistake, &'a str)>,
}

pub(crate) fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

/// The wrong addresses that a page may have been signed with, the likelier ones first.
pub(crate) fn wrong_urls(case: &Case<'_>) -> Vec<(Mistake, String)> {
    let pages = case.pages;
    let mut urls = Vec::new();
    let given = case.urls.iter().chain(case.hints);
    urls.extend(
        given
            .filter(|url| url.contains('#') && pages.counted.contains(&without_fragment(url)))
            .map(|url| (Mistake::FragmentKept, url.clone())),
    );
    let others = pages.others.iter();
    urls.extend(others.map(|(mistake, url)| (*mistake, (*url).to_owned())));
    let hints: Vec<&str> = case
        .hints
        .iter()
        .map(|hint| without_fragment(hint))
        .collect();
    for page in &pages.counted {
        written_otherwise(page, &mut urls);
        if let Some(address) = Address::read(page) {
            moved(&address, case.hosts, &hints, &mut urls);
            elsewhere(&address, &hints, &mut urls);
        }
    }
    let mut seen: BTreeSet<String> = pages.counted.iter().map(|&url| url.to_owned()).collect();
    urls.retain(|(_, url)| seen.insert(url.clone()));
    urls
}

/// The same address, cut, encoded, decoded or escaped.
fn written_otherwise(page: &str, urls: &mut Vec<(Mistake, String)>) {
    for fragment in ["#", "#/", "#wechat_redirect"] {
        urls.push((Mistake::FragmentKept, format!("{page}{fragment}")));
    }
    let cuts = page.match_indices(['?', '&']).take(CUTS);
    urls.extend(cuts.map(|(at, _)| (Mistake::QueryCut, page[..at].to_owned())));
    for encoded in [
        percent::encode_component(page),
        percent::encode_uri(page),
        percent::encode_component(&percent::encode_component(page)),
    ] {
        urls.push((Mistake::UrlEncoded, encoded));
    }
    for decoded in [
        percent::decode(page),
        percent::decode(&page.replace('+', " ")),
    ] {
        urls.push((Mistake::UrlDecoded, decoded));
    }
    urls.push((Mistake::HtmlEscaped, page.replace('&', "&amp;")));
    for padded in [
        format!("{page}\n"),
        format!("{page} "),
        format!(" {page}"),
        format!("\"{page}\""),
    ] {
        urls.push((Mistake::UrlPadded, padded));
    }
    for nothing in ["", "undefined", "null"] {
        urls.push((Mistake::UrlMissing, nothing.to_owned()));
    }
}

/// The same page under another scheme, host or port.
fn moved(page: &Address<'_>, hosts: &[String], hints: &[&str], urls: &mut Vec<(Mistake, String)>) {
    let scheme = if page.scheme == "https" {
        "http"
    } else {
        "https"
    };
    for port in [page.port, None] {
        let other = Address {
            scheme,
            port,
            ..*page
        };
        urls.push((Mistake::SchemeDiffers, other.write()));
    }
    for port in [None, Some("80"), Some("443"), Some("8080"), Some("3000")] {
        urls.push((Mistake::PortDiffers, Address { port, ..*page }.write()));
    }
    let www = format!("www.{}", page.host);
    let hosts = hosts
        .iter()
        .map(String::as_str)
        .chain(["localhost", "127.0.0.1", &www])
        .chain(page.host.strip_prefix("www."))
        .chain(
            hints
                .iter()
                .filter_map(|hint| Some(Address::read(hint)?.host)),
        )
        .filter(|host| *host != page.host);
    for host in hosts {
        for port in [page.port, None] {
            let other = Address {
                host,
                port,
                ..*page
            };
            urls.push((Mistake::HostDiffers, other.write()));
        }
    }
}

/// Other pages of the same site, and those that were hinted at.
fn elsewhere(page: &Address<'_>, hints: &[&str], urls: &mut Vec<(Mistake, String)>) {
    let (path, query) = page
        .rest
        .split_at(page.rest.find('?').unwrap_or(page.rest.len()));
    let toggled = match path.strip_suffix('/') {
        Some(bare) => bare.to_owned(),
        None => format!("{path}/"),
    };
    let at = |rest: &str| Address { rest, ..*page }.write();
    urls.push((Mistake::TrailingSlash, at(&format!("{toggled}{query}"))));
    urls.push((Mistake::TrailingSlash, at(&format!("{path}{query}/"))));
    urls.push((Mistake::TrailingSlash, at(&toggled)));
    for (slash, _) in path.match_indices('/').take(CUTS) {
        urls.push((Mistake::OtherPage, at(&path[..=slash])));
        urls.push((Mistake::OtherPage, at(&path[..slash])));
    }
    urls.push((Mistake::OtherPage, at("/index.html")));
    urls.extend(hints.iter().filter_map(|hint| {
        let hinted = Address::read(hint)?;
        let mistake = if hinted.host != page.host {
            Mistake::HostDiffers
        } else if hinted.rest != page.rest {
            Mistake::OtherPage
        } else if hinted.scheme != page.scheme {
            Mistake::SchemeDiffers
        } else {
            Mistake::PortDiffers
        };
        Some((mistake, (*hint).to_owned()))
    }));
}

/// The parts of an address.
#[derive(Clone, Copy)]
pub(crate) struct Address<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: Option<&'a str>,
    /// Path and query.
    pub(crate) rest: &'a str,
}

impl<'a> Address<'a> {
    /// Takes an http or https address apart; `None` if it is neither.
    pub(crate) fn read(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        if scheme != "http" && scheme != "https" {
            return None;
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        Some(Self {
            scheme,
            host,
            port,
            rest,
        })
    }

    fn write(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}{}", self.scheme, self.host, self.rest)
    }
}
