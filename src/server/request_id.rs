//! A name for each request, in its answer and in the logs: the caller's `x-request-id`, or one
//! of our own.

use http::{HeaderMap, HeaderName, HeaderValue};
use rand::Rng;

/// The header that carries it both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name that is taken over from a caller.
const MAX_BYTES: usize = 64;

/// The name of a request.
#[derive(Clone, Copy)]
pub(super) struct RequestId {
    text: [u8; MAX_BYTES],
    length: usize,
}

impl RequestId {
    /// The caller's name for the request if it is a plain one, else a random one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self::given(headers.get(HEADER).map(HeaderValue::as_bytes))
    }

    /// The same, where the header was read already.
    pub(super) fn given(name: Option<&[u8]>) -> Self {
        name.filter(|name| is_plain(name))
            .map_or_else(Self::random, Self::copied)
    }

    fn copied(name: &[u8]) -> Self {
        let (mut text, length) = ([0; MAX_BYTES], name.len());
        text[..length].copy_from_slice(name);
        Self { text, length }
    }

    fn random() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut bits = rand::rng().next_u64();
        let digits: [u8; 16] = std::array::from_fn(|_| {
            let digit = DIGITS[(bits & 15) as usize];
            bits >>= 4;
            digit
        });
        Self::copied(&digits)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("only plain characters are taken")
    }

    pub(super) fn to_header(self) -> HeaderValue {
        HeaderValue::from_bytes(self.as_bytes()).expect("plain characters are a header value")
    }
}

fn is_plain(name: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=MAX_BYTES).contains(&name.len()) && name.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::laws;
    use super::*;

    fn id_for(given: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(given).unwrap());
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_plain_name_is_kept_and_any_other_is_replaced() {
        let traced = "4bf92f35-77b3_4da6.a3ce:929d";
        assert_eq!(id_for(traced.as_bytes()), traced);
        let long = "a".repeat(65);
        for bad in ["", "a b", "a\"b", "微", &long] {
            let id = id_for(bad.as_bytes());
            assert_ne!(id, bad);
            assert_eq!(id.len(), 16);
            assert!(id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        }
    }

    proptest! {
        #[test]
        fn a_name_in_the_log_is_a_plain_one(
            given in "[a-zA-Z0-9._: -]{0,70}",
            anything in any::<Vec<u8>>(),
        ) {
            laws::request_id(given.as_bytes());
            laws::request_id(&anything);
        }
    }
}
