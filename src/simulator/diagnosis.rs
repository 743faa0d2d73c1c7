//! Why a signature is wrong: tries the classic mistakes and names the one that fits.
//!
//! A signature is made of a ticket, an address and a form (nonce, timestamp, order of keys,
//! hash). Each of the three may be wrong, and the first combination that gives the signature at
//! hand tells which: one mistake alone is tried before two together.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::mistake::Mistake;
use super::percent;
use super::preverify::{Pages, Preverify, without_fragment};
use super::sha1;
use super::state::{Account, State};
use crate::clock::Timestamp;

/// So many dead tickets of an account are tried.
const DEAD_TICKETS: usize = 16;

/// So many other values of each kind are tried.
const OTHER_KEYS: usize = 2;

/// So many places where a query may have been cut are tried, the first ones.
const CUTS: usize = 32;

/// A mistake, and the text that gives it away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Evidence(pub(super) Mistake, pub(super) Option<String>);

/// What might have been used as the ticket.
pub(super) struct Keys<'a> {
    right: Vec<Tried<&'a str>>,
    wrong: Vec<Tried<&'a str>>,
}

/// Something to try, and the mistake that it would be.
type Tried<T> = (Option<Mistake>, T);

impl<'a> Keys<'a> {
    pub(super) fn of(state: &'a State, account: &'a Account, now: Timestamp) -> Self {
        let (right, dead): (Vec<_>, Vec<_>) =
            account.jsapi.iter().partition(|ticket| ticket.lives(now));
        let cards = account.card.iter().take(OTHER_KEYS);
        let classic = account.classic.iter().take(OTHER_KEYS);
        let stable = account.stable.iter().take(OTHER_KEYS);
        let others = state
            .accounts
            .values()
            .filter(|other| other.app.appid != account.app.appid)
            .flat_map(|other| other.jsapi.iter().take(OTHER_KEYS));
        let dead = dead.into_iter().take(DEAD_TICKETS);
        let wrong = (dead.map(|ticket| (Mistake::StaleTicket, &ticket.value)))
            .chain(cards.map(|ticket| (Mistake::CardTicket, &ticket.value)))
            .chain(classic.map(|token| (Mistake::AccessTokenAsTicket, &token.value)))
            .chain(stable.map(|token| (Mistake::AccessTokenAsTicket, &token.value)))
            .chain(others.map(|ticket| (Mistake::OtherAppTicket, &ticket.value)));
        let right = right.iter().map(|ticket| &ticket.value);
        Self {
            right: right.map(|value| (None, value.expose())).collect(),
            wrong: wrong.map(|(m, value)| (Some(m), value.expose())).collect(),
        }
    }
}

/// The mistakes that give the signature at hand, or `Unknown`.
pub(super) fn find(
    ask: &Preverify,
    pages: &Pages<'_>,
    keys: &Keys<'_>,
    domains: &[String],
) -> Vec<Evidence> {
    let signature = ask.signature.to_ascii_lowercase();
    let right_urls: Vec<Tried<&str>> = pages.counted.iter().map(|url| (None, *url)).collect();
    let urls = wrong_urls(ask, pages, domains);
    let wrong_urls: Vec<Tried<&str>> = urls.iter().map(|(m, url)| (Some(*m), &**url)).collect();
    let right_form = [(None, Form::Right)];
    let wrong_forms = wrong_forms(ask);
    let Keys { right, wrong } = keys;

    let search = |keys: &[Tried<&str>], urls: &[Tried<&str>], forms: &[Tried<Form>]| {
        search(ask, &signature, keys, urls, forms)
    };
    let found = search(right, &right_urls, &right_form)
        .or_else(|| search(right, &wrong_urls, &right_form))
        .or_else(|| search(wrong, &right_urls, &right_form))
        .or_else(|| search(right, &right_urls, &wrong_forms))
        .or_else(|| search(right, &right_urls, &timestamps_in_milliseconds(ask)))
        .or_else(|| search(wrong, &wrong_urls, &right_form))
        .or_else(|| search(right, &wrong_urls, &wrong_forms))
        .or_else(|| search(wrong, &right_urls, &wrong_forms));
    let Some(mut found) = found else {
        return vec![Evidence(Mistake::Unknown, None)];
    };
    if signature != ask.signature {
        found.push(Evidence(Mistake::UpperCaseHex, None));
    }
    found
}

/// The mistakes of the first combination that gives the signature.
fn search(
    ask: &Preverify,
    signature: &str,
    keys: &[Tried<&str>],
    urls: &[Tried<&str>],
    forms: &[Tried<Form>],
) -> Option<Vec<Evidence>> {
    for (key_mistake, key) in keys {
        for (url_mistake, url) in urls {
            for (form_mistake, form) in forms {
                if form.signature(key, ask, url) == signature {
                    let key = key_mistake.map(|mistake| Evidence(mistake, None));
                    let url = url_mistake.map(|m| Evidence(m, Some((*url).to_owned())));
                    let form = form_mistake.map(|m| Evidence(m, form.evidence()));
                    return Some([key, url, form].into_iter().flatten().collect());
                }
            }
        }
    }
    None
}

/// How a signature is made of its parts.
pub(super) enum Form {
    Right,
    Nonce(String),
    Timestamp(String),
    Order([usize; 4]),
    Names([&'static str; 4]),
    Sha256,
}

const NAMES: [&str; 4] = ["jsapi_ticket", "noncestr", "timestamp", "url"];

impl Form {
    /// The signature of an address with a ticket, nonce and timestamp.
    pub(super) fn signature(&self, ticket: &str, ask: &Preverify, url: &str) -> String {
        let (nonce, timestamp) = (&ask.nonce_str, &ask.timestamp);
        let string1 = match self {
            Self::Right | Self::Sha256 => string1(NAMES, [ticket, nonce, timestamp, url]),
            Self::Nonce(nonce) => string1(NAMES, [ticket, nonce, timestamp, url]),
            Self::Timestamp(timestamp) => string1(NAMES, [ticket, nonce, timestamp, url]),
            Self::Names(names) => string1(*names, [ticket, nonce, timestamp, url]),
            Self::Order(order) => {
                let values = [ticket, nonce, timestamp, url];
                string1(order.map(|i| NAMES[i]), order.map(|i| values[i]))
            }
        };
        match self {
            Self::Sha256 => {
                let digest = Sha256::digest(string1);
                digest.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            _ => sha1::hex(string1.as_bytes()),
        }
    }

    fn evidence(&self) -> Option<String> {
        match self {
            Self::Nonce(text) | Self::Timestamp(text) => Some(text.clone()),
            Self::Order(order) => Some(order.map(|i| NAMES[i]).join(", ")),
            Self::Names(names) => Some(names.join(", ")),
            Self::Right | Self::Sha256 => None,
        }
    }
}

fn string1([a, b, c, d]: [&str; 4], [ticket, nonce, timestamp, url]: [&str; 4]) -> String {
    format!("{a}={ticket}&{b}={nonce}&{c}={timestamp}&{d}={url}")
}

/// The wrong forms, but for the thousand timestamps in milliseconds.
pub(super) fn wrong_forms(ask: &Preverify) -> Vec<Tried<Form>> {
    let mut forms = vec![(Mistake::Sha256, Form::Sha256)];
    if ask.timestamp.len() > 10 && ask.timestamp.is_char_boundary(10) {
        let seconds = Form::Timestamp(ask.timestamp[..10].to_owned());
        forms.push((Mistake::TimestampMilliseconds, seconds));
    }
    let nonces = [
        ask.nonce_str.to_ascii_lowercase(),
        ask.nonce_str.to_ascii_uppercase(),
        String::new(),
        "undefined".to_owned(),
        "null".to_owned(),
    ];
    let hinted = ask.hints.iter().filter(|hint| !hint.contains("://"));
    forms.extend(
        nonces
            .into_iter()
            .chain(hinted.cloned())
            .filter(|nonce| *nonce != ask.nonce_str)
            .map(|nonce| (Mistake::NonceDiffers, Form::Nonce(nonce))),
    );
    for names in [
        ["jsapi_ticket", "nonceStr", "timestamp", "url"],
        ["jsapi_ticket", "nonceStr", "timeStamp", "url"],
        ["jsapi_ticket", "noncestr", "timeStamp", "url"],
        ["jsapiTicket", "nonceStr", "timestamp", "url"],
        ["ticket", "noncestr", "timestamp", "url"],
    ] {
        forms.push((Mistake::WrongKeyName, Form::Names(names)));
    }
    let orders = orders().map(|order| (Mistake::WrongKeyOrder, Form::Order(order)));
    forms
        .into_iter()
        .chain(orders)
        .map(|(mistake, form)| (Some(mistake), form))
        .collect()
}

/// All orders of the four keys but the right one.
fn orders() -> impl Iterator<Item = [usize; 4]> {
    (0..256_usize)
        .map(|n| [n >> 6 & 3, n >> 4 & 3, n >> 2 & 3, n & 3])
        .filter(|order| order.iter().collect::<BTreeSet<_>>().len() == 4)
        .filter(|order| *order != [0, 1, 2, 3])
}

fn timestamps_in_milliseconds(ask: &Preverify) -> Vec<Tried<Form>> {
    (0..1000)
        .map(|millis| Form::Timestamp(format!("{}{millis:03}", ask.timestamp)))
        .map(|form| (Some(Mistake::TimestampMilliseconds), form))
        .collect()
}

/// The wrong addresses that a page may have been signed with, the likelier ones first.
pub(super) fn wrong_urls(
    ask: &Preverify,
    pages: &Pages<'_>,
    domains: &[String],
) -> Vec<(Mistake, String)> {
    let mut urls = Vec::new();
    let given = ask.urls.iter().chain(&ask.hints);
    urls.extend(
        given
            .filter(|url| url.contains('#') && pages.counted.contains(&without_fragment(url)))
            .map(|url| (Mistake::FragmentKept, url.clone())),
    );
    urls.extend(pages.other.map(|(mistake, url)| (mistake, url.to_owned())));
    let hints: Vec<&str> = ask
        .hints
        .iter()
        .map(|hint| without_fragment(hint))
        .collect();
    for page in &pages.counted {
        written_otherwise(page, &mut urls);
        if let Some(address) = Address::read(page) {
            moved(&address, domains, &hints, &mut urls);
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
}

/// The same page under another scheme, host or port.
fn moved(
    page: &Address<'_>,
    domains: &[String],
    hints: &[&str],
    urls: &mut Vec<(Mistake, String)>,
) {
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
    let hosts = domains
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
pub(super) struct Address<'a> {
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    pub(super) port: Option<&'a str>,
    /// Path and query.
    pub(super) rest: &'a str,
}

impl<'a> Address<'a> {
    /// Takes an http or https address apart; `None` if it is neither.
    pub(super) fn read(url: &'a str) -> Option<Self> {
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
