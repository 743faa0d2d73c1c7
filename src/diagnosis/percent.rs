//! Percent-encoding, as browsers do it.

/// Takes a text's percent-encoding away. Bytes that are not UTF-8 then become U+FFFD.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

/// What `encodeURIComponent` makes of a text.
pub(crate) fn encode_component(text: &str) -> String {
    encode(text, "-_.!~*'()")
}

/// What `encodeURI` makes of a text.
pub(crate) fn encode_uri(text: &str) -> String {
    encode(text, "-_.!~*'();/?:@&=+$,#")
}

fn encode(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || kept.contains(c) {
            encoded.push(c);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The value of a parameter in a query or a form.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| decode(&value.replace('+', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_and_decoding_are_inverse() {
        let url = "https://h5.example.com/a b?x=1&y=微#z";
        assert_eq!(decode(&encode_component(url)), url);
        assert_eq!(encode_component("a/b?c"), "a%2Fb%3Fc");
        assert_eq!(encode_uri("/a b?c=%20"), "/a%20b?c=%2520");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
    }

    #[test]
    fn a_parameter_is_the_first_of_its_name() {
        let query = "appid=wx1&secret=a%2Bb+c&appid=wx2&flag";
        assert_eq!(parameter(query, "appid").as_deref(), Some("wx1"));
        assert_eq!(parameter(query, "secret").as_deref(), Some("a+b c"));
        assert_eq!(parameter(query, "flag").as_deref(), Some(""));
        assert_eq!(parameter(query, "app"), None);
    }
}
