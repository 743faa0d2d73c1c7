//! Why a signature is wrong: tries the classic mistakes and names the one that fits.
//!
//! A signature is made of a ticket, an address and a form (nonce, timestamp, order of keys,
//! hash). Each of the three may be wrong, and the first combination that gives the signature at
//! hand tells which: one mistake alone is tried before two together.
//!
//! Two use it: the [`simulator`](crate::simulator), which knows every ticket that there ever was
//! and hashes by its own means, and the [`debugger`](crate::debugger), which knows those of this
//! server.

mod form;
pub mod lint;
mod mistake;
pub(crate) mod percent;
pub mod sdk_errors;
mod urls;

use serde::Serialize;

pub(crate) use form::{Form, wrong_forms};
pub use mistake::Mistake;
pub(crate) use urls::{Address, Pages, without_fragment, wrong_urls};

use crate::credential::Secret;
use crate::signer::Signer;

/// A mistake and how to mend it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnosis {
    /// The mistake.
    pub code: Mistake,
    /// In English.
    pub message_en: &'static str,
    /// In Chinese.
    pub message_zh: &'static str,
    /// The text that gives it away: the URL or nonce that was signed, the host that is not
    /// bound.
    pub evidence: Option<String>,
}

/// A mistake, and the text that gives it away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Evidence(pub(crate) Mistake, pub(crate) Option<String>);

impl From<Evidence> for Diagnosis {
    fn from(Evidence(code, evidence): Evidence) -> Self {
        Self {
            code,
            message_en: code.english(),
            message_zh: code.chinese(),
            evidence,
        }
    }
}

/// A `wx.config` and the page that it is for.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) nonce: &'a str,
    pub(crate) timestamp: &'a str,
    pub(crate) signature: &'a str,
    pub(crate) pages: &'a Pages<'a>,
    /// The page's addresses with their fragments.
    pub(crate) urls: &'a [String],
    /// Texts that may have been signed: addresses, nonces.
    pub(crate) hints: &'a [String],
    /// Hosts that the account has pages on.
    pub(crate) hosts: &'a [String],
    /// SHA-1 in lower-case hexadecimal digits.
    pub(crate) sha1: fn(&[u8]) -> String,
}

/// Something to try, and the mistake that it would be.
pub(crate) type Tried<T> = (Option<Mistake>, T);

/// What might have been used as the ticket.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) right: Vec<Tried<Key>>,
    pub(crate) wrong: Vec<Tried<Key>>,
}

/// One of them.
pub(crate) struct Key {
    with: With,
    /// What stands for it where the signed string is shown.
    pub(crate) shown: String,
    /// The text that gives it away.
    pub(crate) evidence: Option<String>,
}

enum With {
    Text(Secret),
    /// Can sign in the right order and under the right names only.
    Signer(Signer),
}

/// What stands for a ticket, which is never shown.
pub(crate) const TICKET: &str = "…";

impl Key {
    pub(crate) fn text(value: &Secret) -> Self {
        Self {
            with: With::Text(value.clone()),
            shown: TICKET.to_owned(),
            evidence: None,
        }
    }

    pub(crate) fn signer(signer: &Signer) -> Self {
        Self {
            with: With::Signer(signer.clone()),
            shown: TICKET.to_owned(),
            evidence: None,
        }
    }

    pub(crate) fn shown_as(self, shown: impl Into<String>) -> Self {
        let shown = shown.into();
        Self { shown, ..self }
    }

    pub(crate) fn with_evidence(self, evidence: impl Into<String>) -> Self {
        let evidence = Some(evidence.into());
        Self { evidence, ..self }
    }

    /// The signature that it gives, if it can be used so.
    pub(crate) fn signature(&self, form: &Form, case: &Case<'_>, url: &str) -> Option<String> {
        match &self.with {
            With::Text(ticket) => Some(form.signature(ticket.expose(), case, url)),
            With::Signer(signer) => {
                let (nonce, timestamp) = form.plain(case)?;
                let signature = signer.sign_text(nonce.as_bytes(), timestamp.as_bytes(), url);
                Some(signature.to_string())
            }
        }
    }
}

/// The combination that gives a signature.
pub(crate) struct Found {
    /// What is wrong with it; nothing when it is right.
    pub(crate) mistakes: Vec<Evidence>,
    /// What was signed, without the ticket.
    pub(crate) string1: String,
}

/// The combination that gives the signature at hand, the right one first, if any does.
pub(crate) fn find(case: &Case<'_>, keys: &Keys) -> Option<Found> {
    let signature = case.signature.to_ascii_lowercase();
    let pages = case.pages.counted.iter().map(|url| (None, *url));
    let right_urls: Vec<Tried<&str>> = pages.collect();
    let urls = wrong_urls(case);
    let wrong_urls: Vec<Tried<&str>> = urls.iter().map(|(m, url)| (Some(*m), &**url)).collect();
    let right_form = [(None, Form::Right)];
    let wrong_forms = wrong_forms(case);
    let Keys { right, wrong } = keys;

    let search = |keys: &[Tried<Key>], urls: &[Tried<&str>], forms: &[Tried<Form>]| {
        search(case, &signature, keys, urls, forms)
    };
    let found = search(right, &right_urls, &right_form)
        .or_else(|| search(right, &wrong_urls, &right_form))
        .or_else(|| search(wrong, &right_urls, &right_form))
        .or_else(|| search(right, &right_urls, &wrong_forms))
        .or_else(|| search(right, &right_urls, &form::in_milliseconds(case)))
        .or_else(|| search(wrong, &wrong_urls, &right_form))
        .or_else(|| search(right, &wrong_urls, &wrong_forms))
        .or_else(|| search(wrong, &right_urls, &wrong_forms));
    let mut found = found?;
    if signature != case.signature {
        found.mistakes.push(Evidence(Mistake::UpperCaseHex, None));
    }
    Some(found)
}

/// What WeChat signs for a page, without the ticket.
pub(crate) fn expected(case: &Case<'_>, page: &str) -> String {
    Form::Right.string1(TICKET, case, page)
}

/// The first combination of these that gives the signature.
fn search(
    case: &Case<'_>,
    signature: &str,
    keys: &[Tried<Key>],
    urls: &[Tried<&str>],
    forms: &[Tried<Form>],
) -> Option<Found> {
    for (key_mistake, key) in keys {
        for (url_mistake, url) in urls {
            for (form_mistake, form) in forms {
                if key.signature(form, case, url).as_deref() == Some(signature) {
                    let key_mistake = key_mistake.map(|m| Evidence(m, key.evidence.clone()));
                    let url_mistake = url_mistake.map(|m| Evidence(m, Some((*url).to_owned())));
                    let form_mistake = form_mistake.map(|m| Evidence(m, form.evidence()));
                    let mistakes = [key_mistake, url_mistake, form_mistake];
                    return Some(Found {
                        mistakes: mistakes.into_iter().flatten().collect(),
                        string1: form.string1(&key.shown, case, url),
                    });
                }
            }
        }
    }
    None
}
