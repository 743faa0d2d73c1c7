//! The query of a call with the access_token in it.

use crate::credential::Secret;

/// `query` with `token` as its only access_token; all else stays byte for byte.
pub(super) fn with_token(query: &str, token: &Secret) -> String {
    let mut changed = String::with_capacity(query.len() + token.expose().len() + 32);
    let pairs = query.split('&').filter(|pair| !names_a_token(pair));
    // An empty query has no parameters, and not an empty one.
    for pair in pairs.filter(|_| !query.is_empty()) {
        changed.push_str(pair);
        changed.push('&');
    }
    changed.push_str("access_token=");
    for byte in token.expose().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            changed.push(char::from(byte));
        } else {
            changed.push_str(&format!("%{byte:02X}"));
        }
    }
    changed
}

/// Whether a parameter is an access_token, however its name is written.
fn names_a_token(pair: &str) -> bool {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    let mut rest = name.as_bytes();
    let decoded = std::iter::from_fn(|| {
        let (byte, behind) = decode_first(rest)?;
        rest = behind;
        Some(byte)
    });
    decoded.eq(b"access_token".iter().copied())
}

/// The first byte of a percent-encoded text, and what is behind it.
fn decode_first(text: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if let [b'%', high, low, behind @ ..] = text
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        let byte = u8::try_from(high * 16 + low).expect("two digits make a byte");
        return Some((byte, behind));
    }
    text.split_first().map(|(byte, behind)| (*byte, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_keeps_every_byte_but_the_token() {
        for (query, expected) in [
            ("", "access_token=T%26_-"),
            ("a=1", "a=1&access_token=T%26_-"),
            ("access_token=OLD", "access_token=T%26_-"),
            (
                "access_token=OLD&a=%7e+%zz'",
                "a=%7e+%zz'&access_token=T%26_-",
            ),
            (
                "a=1&access_token&b=2&access_token=",
                "a=1&b=2&access_token=T%26_-",
            ),
            (
                "access%5Ftoken=x&%61ccess%5ftoken=y&a",
                "a&access_token=T%26_-",
            ),
            (
                "a=access_token&access_tokens=1",
                "a=access_token&access_tokens=1&access_token=T%26_-",
            ),
            ("&a=1&", "&a=1&&access_token=T%26_-"),
            ("%=%5&=微", "%=%5&=微&access_token=T%26_-"),
        ] {
            assert_eq!(with_token(query, &Secret::new("T&_-")), expected);
        }
    }
}
