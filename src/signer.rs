//! Signs pages for `wx.config`.
//!
//! `signature = sha1("jsapi_ticket=T&noncestr=N&timestamp=S&url=U")`, the values raw, in lower-case
//! hexadecimal (JS-SDK manual, appendix 1,
//! <https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>).

pub mod card;

use std::fmt;

use rand::Rng;
use sha1::{Digest, Sha1};

use crate::credential::Secret;
use crate::page_url::PageUrl;

/// Signs pages with one jsapi_ticket.
///
/// It is built once per ticket: its SHA-1 state has already taken in the ticket, so that a
/// signature costs only the blocks behind it. It keeps that state, not the ticket.
#[derive(Clone)]
pub struct Signer {
    state: Sha1,
}

impl Signer {
    /// A signer for `ticket`.
    pub fn new(ticket: &Secret) -> Self {
        let mut state = Sha1::new();
        state.update(b"jsapi_ticket=");
        state.update(ticket.expose());
        state.update(b"&noncestr=");
        Self { state }
    }

    /// The signature of a page; `timestamp` is in seconds since the Unix epoch.
    pub fn sign(&self, nonce: impl AsRef<[u8]>, timestamp: i64, url: PageUrl<'_>) -> Signature {
        self.sign_text(
            nonce.as_ref(),
            Decimal::new(timestamp).as_ref(),
            url.as_str(),
        )
    }

    /// Signs texts as they are, without the rules of [`PageUrl`].
    pub(crate) fn sign_text(&self, nonce: &[u8], timestamp: &[u8], url: &str) -> Signature {
        let mut state = self.state.clone();
        state.update(nonce);
        state.update(b"&timestamp=");
        state.update(timestamp);
        state.update(b"&url=");
        state.update(url);
        Signature::from_digest(state.finalize().into())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// A signature: 40 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 40]);

impl Signature {
    fn from_digest(digest: [u8; 20]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 40];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(hex)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

/// A `nonceStr`: 16 characters of `[A-Za-z0-9]` that nobody can foresee.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// A new one from the thread's cryptographically secure generator.
    pub fn random() -> Self {
        const ALPHABET: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        // A random number of 64 bits, as a fraction of one, gives eight digits from the left: they
        // are even to one part in 2^16, because 62^8 is below 2^48.
        let mut chars = [0; 16];
        let mut random = rand::rng();
        for half in chars.chunks_exact_mut(8) {
            let mut fraction = random.next_u64();
            for char in half {
                let digit = u128::from(fraction) * 62;
                *char = ALPHABET[(digit >> 64) as usize];
                fraction = digit as u64;
            }
        }
        Self(chars)
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

/// A whole number in decimal, without an allocation.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(number: i64) -> Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(rest % 10).expect("a remainder of 10 fits");
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            digits[start] = b'-';
        }
        Self { digits, start }
    }
}

impl AsRef<[u8]> for Decimal {
    fn as_ref(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Nonce {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("only ASCII was written")
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        kind: String,
        ticket: String,
        nonce: String,
        timestamp: i64,
        url_given: String,
        url_signed: String,
        signature: String,
    }

    fn vectors() -> Vec<Vector> {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../tests/vectors/signature.json")).unwrap();
        assert_eq!(vectors.len(), 37);
        vectors
    }

    fn cut(url: &str) -> &str {
        url.split('#').next().unwrap()
    }

    #[test]
    fn every_positive_vector_is_reproduced_from_the_url_as_it_was_given() {
        for vector in vectors().iter().filter(|v| v.kind == "positive") {
            let signer = Signer::new(&Secret::new(&vector.ticket));
            let signature = signer.sign_text(
                vector.nonce.as_bytes(),
                Decimal::new(vector.timestamp).as_ref(),
                cut(&vector.url_given),
            );
            assert_eq!(signature.as_str(), vector.signature, "{}", vector.name);
        }
    }

    #[test]
    fn every_mistake_of_the_negative_vectors_gives_another_signature() {
        let negative: Vec<_> = vectors()
            .into_iter()
            .filter(|v| v.kind == "negative")
            .collect();
        assert_eq!(negative.len(), 5);
        for vector in negative {
            let signer = Signer::new(&Secret::new(&vector.ticket));
            // The mistake, made on purpose, is computed right …
            let mistaken = signer.sign_text(
                vector.nonce.as_bytes(),
                Decimal::new(vector.timestamp).as_ref(),
                &vector.url_signed,
            );
            assert_eq!(mistaken.as_str(), vector.signature, "{}", vector.name);
            // … and is not what the signer gives for the page in seconds.
            let seconds = if vector.timestamp > 100_000_000_000 {
                vector.timestamp / 1000
            } else {
                vector.timestamp
            };
            let seconds = Decimal::new(seconds);
            let right = signer.sign_text(
                vector.nonce.as_bytes(),
                seconds.as_ref(),
                cut(&vector.url_given),
            );
            assert_ne!(right, mistaken, "{}", vector.name);
        }
    }

    #[test]
    fn every_vector_with_a_url_that_browsers_report_passes_through_the_url_rules_unchanged() {
        let foreign = ["chinese-raw", "emoji-raw", "mixed-case-host", "long-url"];
        for vector in vectors() {
            if vector.kind == "negative" || foreign.contains(&vector.name.as_str()) {
                continue;
            }
            let url = PageUrl::parse(&vector.url_given).unwrap();
            assert_eq!(url.as_str(), vector.url_signed, "{}", vector.name);
            let signature = Signer::new(&Secret::new(&vector.ticket)).sign(
                &vector.nonce,
                vector.timestamp,
                url,
            );
            assert_eq!(signature.as_str(), vector.signature, "{}", vector.name);
        }
    }

    #[test]
    fn nonces_are_sixteen_letters_and_digits_and_never_repeat() {
        let nonces: HashSet<String> = (0..10_000).map(|_| Nonce::random().to_string()).collect();
        assert_eq!(nonces.len(), 10_000);
        for nonce in &nonces {
            assert_eq!(nonce.len(), 16);
            assert!(nonce.bytes().all(|b| b.is_ascii_alphanumeric()), "{nonce}");
        }
        let seen: HashSet<char> = nonces.iter().flat_map(|nonce| nonce.chars()).collect();
        assert_eq!(seen.len(), 62);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 1_414_587_457, i64::MAX, -1, i64::MIN] {
            assert_eq!(Decimal::new(number).as_ref(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_signer_does_not_show_its_ticket() {
        let signer = Signer::new(&Secret::new("kgt8ON7yVITDhtdwci0qe"));
        assert_eq!(format!("{signer:?}"), "Signer(…)");
    }
}
