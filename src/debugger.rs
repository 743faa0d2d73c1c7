//! Why WeChat says "invalid signature": takes a `wx.config`, or WeCom's `wx.agentConfig`, as it was
//! pasted, makes its signature
//! anew, rightly and with every classic mistake, and says which one it was made with.
//!
//! It is pure: what the account's tickets are is given to it ([`Known`]). A ticket goes into
//! hashes and nowhere else; where a signed string is shown, `…` stands for it. The right signature
//! is not shown either: who may debug may not sign.

mod ask;
mod fault;
mod outcome;
mod pasted;
mod read;
mod spans;
#[cfg(test)]
mod tests;
mod words;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

pub use ask::Ask;
pub use fault::{Fault, ReadFault};
pub use pasted::Pasted;
pub use spans::{Span, SpanKind};

use outcome::Outcome;
use words::in_words;

use crate::account::AppId;
use crate::credential::Secret;
use crate::diagnosis::lint::{Lint, lint};
use crate::diagnosis::sdk_errors::{self, SdkError};
use crate::diagnosis::{
    self, Address, Case, Diagnosis, Evidence, Found, Key, Keys, Mistake, Pages, TICKET,
    without_fragment,
};
use crate::signer::Signer;

/// What is known of the account, and of others beside it.
#[derive(Default)]
pub struct Known {
    /// The account that the `wx.config` names, if it is known.
    pub account: Option<KnownAccount>,
    /// Others, with whose tickets it may have been signed.
    pub others: Vec<(AppId, Signer)>,
}

/// What is known of an account; of a corporation at WeCom, what is known of its apps together.
#[derive(Default)]
pub struct KnownAccount {
    /// The tickets that are right, none while there is none: the jsapi_ticket, one of each app, or
    /// for `wx.agentConfig` that of the app.
    pub tickets: Vec<Secret>,
    /// What signs with tickets that are not the right one, and what is wrong about each: the
    /// ticket before, those for other purposes, and in the demo those that the simulator has.
    pub wrong: Vec<(Mistake, Signer)>,
    /// The access_tokens.
    pub tokens: Vec<Secret>,
    /// Hosts that it has pages on.
    pub hosts: Vec<String>,
}

/// What came out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// Whether WeChat accepts the `wx.config`.
    pub verdict: Verdict,
    /// The same in a sentence, in English.
    pub summary_en: &'static str,
    /// The same in Chinese.
    pub summary_zh: &'static str,
    /// What is wrong; nothing when nothing is.
    pub mistakes: Vec<Diagnosis>,
    /// What was signed, with `…` for the ticket and what differs marked; nothing when that was
    /// not found out.
    pub signed: Vec<Span>,
    /// What WeChat signs.
    pub expected: Vec<Span>,
    /// What `errMsg` means.
    pub sdk_error: Option<&'static SdkError>,
    /// What is odd about the page's address.
    pub lints: Vec<Lint>,
}

/// Whether WeChat accepts a `wx.config`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// It cannot be told.
    Unknown,
}

/// Finds out what is wrong with a `wx.config`.
pub fn examine(ask: &Ask, pasted: &Pasted, known: &Known) -> Report {
    let pages = ask.pages();
    let account = known.account.as_ref();
    let urls = ask.all_urls();
    let case = Case {
        nonce: &pasted.nonce_str,
        timestamp: &pasted.timestamp,
        signature: &pasted.signature,
        pages: &pages,
        urls: &urls,
        hints: &pasted.texts,
        hosts: account.map_or(&[], |account| &account.hosts),
        sha1: sha1_hex,
    };
    let mut mistakes = of_parameters(ask, pasted);
    if account.is_none() && !pasted.app_id.is_empty() {
        let named = Some(pasted.named_account());
        mistakes.push(Evidence(Mistake::UnknownAppid, named));
    }
    mistakes.extend(of_domain(ask, &pages));
    let can_search = pasted.can_be_signed();
    let found = can_search
        .then(|| diagnosis::find(&case, &keys(known)))
        .flatten();
    let signature_fits = found.is_some();
    let string1 = found.as_ref().map(|found| found.string1.clone());
    match found {
        Some(Found { mistakes: more, .. }) => {
            if more.is_empty() {
                mistakes.extend(of_other_page(ask, pasted));
            }
            mistakes.extend(more);
        }
        None if can_search && is_md5(&pasted.signature) => {
            mistakes.push(Evidence(Mistake::Md5, None));
        }
        None => {}
    }
    for found in &mut mistakes {
        if found.0 == Mistake::FormerTicket && is_refused(ask) {
            found.0 = Mistake::StaleTicket;
        }
    }
    let has_ticket = account.is_some_and(|account| !account.tickets.is_empty());
    let outcome = match (mistakes.is_empty(), signature_fits) {
        (true, true) => right(ask),
        _ if mistakes.iter().any(|found| is_surely_refused(found.0)) => Outcome::Wrong,
        _ if account.is_none() && signature_fits => Outcome::Wrong,
        _ if account.is_none() => Outcome::UnknownAccount,
        _ if signature_fits && is_accepted(ask) => Outcome::FormerAndAccepted,
        _ if signature_fits => Outcome::Former,
        _ if !has_ticket => Outcome::NoTicket,
        _ => {
            mistakes.push(Evidence(Mistake::Unknown, None));
            Outcome::Unexplained
        }
    };
    let outcome = match outcome {
        Outcome::Wrong | Outcome::Unexplained if is_accepted(ask) => Outcome::WrongAndAccepted,
        outcome => outcome,
    };
    let expected = diagnosis::expected(&case, pages.counted[0]);
    let (signed, expected) = match string1 {
        Some(string1) if mistakes.is_empty() => spans::compare(&string1, &string1),
        Some(string1) => spans::compare(&string1, &expected),
        None => (Vec::new(), spans::compare(&expected, &expected).1),
    };
    let (summary_en, summary_zh) = outcome.texts();
    Report {
        verdict: outcome.verdict(),
        summary_en,
        summary_zh,
        mistakes: mistakes
            .into_iter()
            .map(|found| in_words(found, pasted))
            .collect(),
        signed: signed.into_iter().map(visible).collect(),
        expected: expected.into_iter().map(visible).collect(),
        // To say what is behind that one is the whole report.
        sdk_error: sdk_errors::explain(&ask.err_msg).filter(|error| error.says != SIGNATURE),
        lints: lint(ask.url.trim(), None),
    }
}

/// WeChat says that the signature is wrong.
fn is_refused(ask: &Ask) -> bool {
    ask.err_msg.to_ascii_lowercase().contains(SIGNATURE)
}

/// WeChat says that it took the `wx.config`.
fn is_accepted(ask: &Ask) -> bool {
    sdk_errors::is_success(&ask.err_msg)
}

/// Whether WeChat refuses what has this mistake: it takes a former ticket for a while, and may know
/// accounts that are not here.
fn is_surely_refused(mistake: Mistake) -> bool {
    !matches!(mistake, Mistake::UnknownAppid | Mistake::FormerTicket)
}

/// Mistakes that show without any ticket.
fn of_parameters(ask: &Ask, pasted: &Pasted) -> Vec<Evidence> {
    let mut mistakes = Vec::new();
    if !pasted.misspelt.is_empty() {
        let pairs = pasted.misspelt.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, wanted)| format!("{name} → {wanted}"))
            .collect();
        mistakes.push(Evidence(Mistake::WrongFieldName, Some(pairs.join(", "))));
    }
    let missing = pasted.missing();
    if !missing.is_empty() {
        mistakes.push(Evidence(Mistake::MissingArgument, Some(missing.join(", "))));
    }
    let said = ask.err_msg.to_ascii_lowercase();
    if pasted.named == Some(0) || (pasted.named.is_none() && said.contains("param is empty")) {
        mistakes.push(Evidence(Mistake::EmptyApiList, None));
    }
    mistakes
}

/// Only WeChat knows the domains that it has bound.
fn of_domain(ask: &Ask, pages: &Pages<'_>) -> Option<Evidence> {
    let said = ask.err_msg.to_ascii_lowercase();
    if !said.contains("invalid url domain") {
        return None;
    }
    let Some(address) = Address::read(pages.counted[0]) else {
        return Some(Evidence(Mistake::HostNotBound, None));
    };
    Some(match address.port {
        None | Some("80" | "443") => Evidence(
            Mistake::HostNotBound,
            Some(address.host.to_ascii_lowercase()),
        ),
        Some(port) => Evidence(Mistake::PortNotAllowed, Some(port.to_owned())),
    })
}

/// The signature is right for an address of the page, and WeChat says that it is not: then it
/// compared the other one.
fn of_other_page(ask: &Ask, pasted: &Pasted) -> Option<Evidence> {
    let [current, landing] = [&ask.url, &ask.landing].map(|url| without_fragment(url.trim()));
    if !is_refused(ask) || landing.is_empty() || landing == current || !ask.real_auth_url.is_empty()
    {
        return None;
    }
    // The answer of a signer names what it signed; else the one that a page signs by itself.
    let names = |url: &str| {
        pasted
            .texts
            .iter()
            .any(|text| without_fragment(text) == url)
    };
    Some(if names(landing) && !names(current) {
        Evidence(Mistake::LandingUrl, Some(landing.to_owned()))
    } else {
        Evidence(Mistake::CurrentUrl, Some(current.to_owned()))
    })
}

/// What stands for a wrong ticket, so that the two compare as different; [`visible`] makes it `…`.
const WRONG_TICKET: &str = "\u{1}";

fn keys(known: &Known) -> Keys {
    let mut keys = Keys::default();
    let mut wrong = |mistake: Mistake, key: Key| keys.wrong.push((Some(mistake), key));
    if let Some(account) = &known.account {
        for (mistake, signer) in &account.wrong {
            wrong(*mistake, Key::signer(signer).shown_as(WRONG_TICKET));
        }
        for token in &account.tokens {
            let key = Key::text(token).shown_as(WRONG_TICKET);
            wrong(Mistake::AccessTokenAsTicket, key);
        }
        for ticket in &account.tickets {
            for (before, after) in [("", "\n"), ("", "\r\n"), ("", " "), (" ", ""), ("\"", "\"")] {
                let value = Secret::new(format!("{before}{}{after}", ticket.expose()));
                let key = Key::text(&value).shown_as(format!("{before}{TICKET}{after}"));
                wrong(Mistake::TicketPadded, key);
            }
        }
    }
    for nothing in ["", "undefined", "null", "None", "[object Object]"] {
        let key = Key::text(&Secret::new(nothing)).shown_as(nothing);
        wrong(
            Mistake::TicketMissing,
            key.with_evidence(format!("jsapi_ticket={nothing}")),
        );
    }
    for (appid, signer) in &known.others {
        let key = Key::signer(signer).shown_as(WRONG_TICKET);
        wrong(Mistake::OtherAppTicket, key.with_evidence(appid.as_str()));
    }
    let tickets = known.account.iter().flat_map(|account| &account.tickets);
    keys.right
        .extend(tickets.map(|ticket| (None, Key::text(ticket))));
    keys
}

/// Control characters are shown as they are written in programs.
fn visible(span: Span) -> Span {
    let mut text = String::with_capacity(span.text.len());
    for c in span.text.chars() {
        match c {
            '\u{1}' => text.push_str(TICKET),
            c if c.is_control() => {
                let _ = write!(text, "{}", c.escape_default());
            }
            c => text.push(c),
        }
    }
    Span { text, ..span }
}

fn is_md5(signature: &str) -> bool {
    signature.len() == 32 && signature.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn sha1_hex(text: &[u8]) -> String {
    let digest = Sha1::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the SDK says of a wrong signature.
const SIGNATURE: &str = "invalid signature";

fn right(ask: &Ask) -> Outcome {
    let said = ask.err_msg.trim();
    if said.is_empty() || sdk_errors::is_success(said) {
        return Outcome::Right;
    }
    match sdk_errors::explain(said) {
        Some(error) if error.says == SIGNATURE => Outcome::RightAndRefused,
        _ => Outcome::RightAndOther,
    }
}

impl Report {
    /// Whether it is right and WeChat all the same says something else.
    pub fn is_contradicted(&self) -> bool {
        self.verdict == Verdict::Right && self.summary_en != Outcome::Right.texts().0
    }
}
