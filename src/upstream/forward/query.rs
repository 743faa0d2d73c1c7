//! The query of a call with the access_token in it.

use form_urlencoded::{byte_serialize, parse};

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
    changed.extend(byte_serialize(token.expose().as_bytes()));
    changed
}

/// Whether a parameter is an access_token, however its name is written.
fn names_a_token(pair: &str) -> bool {
    parse(pair.as_bytes()).any(|(name, _)| name == "access_token")
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
