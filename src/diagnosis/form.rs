//! How a signature is made of its parts, rightly and wrongly.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::{Case, Mistake, Tried};

/// How a signature is made of its parts.
pub(crate) enum Form {
    Right,
    Nonce(String),
    Timestamp(String),
    Order([usize; 4]),
    Names([&'static str; 4]),
    /// With this at the end.
    Ended(&'static str),
    Sha256,
}

const NAMES: [&str; 4] = ["jsapi_ticket", "noncestr", "timestamp", "url"];

impl Form {
    /// The signature of an address with a ticket, nonce and timestamp.
    pub(crate) fn signature(&self, ticket: &str, case: &Case<'_>, url: &str) -> String {
        let string1 = self.string1(ticket, case, url);
        match self {
            Self::Sha256 => {
                let digest = Sha256::digest(string1);
                digest.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            _ => (case.sha1)(string1.as_bytes()),
        }
    }

    /// What is hashed.
    pub(super) fn string1(&self, ticket: &str, case: &Case<'_>, url: &str) -> String {
        let (nonce, timestamp) = (case.nonce, case.timestamp);
        match self {
            Self::Right | Self::Sha256 => string1(NAMES, [ticket, nonce, timestamp, url]),
            Self::Nonce(nonce) => string1(NAMES, [ticket, nonce, timestamp, url]),
            Self::Timestamp(timestamp) => string1(NAMES, [ticket, nonce, timestamp, url]),
            Self::Names(names) => string1(*names, [ticket, nonce, timestamp, url]),
            Self::Ended(end) => string1(NAMES, [ticket, nonce, timestamp, url]) + end,
            Self::Order(order) => {
                let values = [ticket, nonce, timestamp, url];
                string1(order.map(|i| NAMES[i]), order.map(|i| values[i]))
            }
        }
    }

    /// The nonce and the timestamp, where nothing else is unlike the right form.
    pub(super) fn plain<'a>(&'a self, case: &Case<'a>) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Right => Some((case.nonce, case.timestamp)),
            Self::Nonce(nonce) => Some((nonce, case.timestamp)),
            Self::Timestamp(timestamp) => Some((case.nonce, timestamp)),
            Self::Order(_) | Self::Names(_) | Self::Ended(_) | Self::Sha256 => None,
        }
    }

    pub(super) fn evidence(&self) -> Option<String> {
        match self {
            Self::Nonce(text) | Self::Timestamp(text) => Some(text.clone()),
            Self::Order(order) => Some(order.map(|i| NAMES[i]).join(", ")),
            Self::Names(names) => Some(names.join(", ")),
            Self::Ended(end) => Some(end.escape_debug().to_string()),
            Self::Right | Self::Sha256 => None,
        }
    }
}

fn string1([a, b, c, d]: [&str; 4], [ticket, nonce, timestamp, url]: [&str; 4]) -> String {
    format!("{a}={ticket}&{b}={nonce}&{c}={timestamp}&{d}={url}")
}

/// The wrong forms, but for the thousand timestamps in milliseconds.
pub(crate) fn wrong_forms(case: &Case<'_>) -> Vec<Tried<Form>> {
    let mut forms = vec![(Mistake::Sha256, Form::Sha256)];
    if case.timestamp.len() > 10 && case.timestamp.is_char_boundary(10) {
        let seconds = Form::Timestamp(case.timestamp[..10].to_owned());
        forms.push((Mistake::TimestampMilliseconds, seconds));
    }
    let nonces = [
        case.nonce.to_ascii_lowercase(),
        case.nonce.to_ascii_uppercase(),
        String::new(),
        "undefined".to_owned(),
        "null".to_owned(),
    ];
    let hinted = case.hints.iter().filter(|hint| !hint.contains("://"));
    forms.extend(
        nonces
            .into_iter()
            .chain(hinted.cloned())
            .filter(|nonce| *nonce != case.nonce)
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
    for end in ["\n", "\r\n", "&", " "] {
        forms.push((Mistake::TrailingText, Form::Ended(end)));
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

pub(super) fn in_milliseconds(case: &Case<'_>) -> Vec<Tried<Form>> {
    (0..1000)
        .map(|millis| Form::Timestamp(format!("{}{millis:03}", case.timestamp)))
        .map(|form| (Some(Mistake::TimestampMilliseconds), form))
        .collect()
}
