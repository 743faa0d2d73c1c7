//! What the targets share: how an input is taken apart, and what other parsers say.
//!
//! Inputs are lines of text, so that seeds and crashes can be read and written by hand.

use url::Url;

/// The input up to its first line break, and what is behind it.
pub fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.iter().position(|byte| *byte == b'\n');
    at.map_or((input, &[]), |at| (&input[..at], &input[at + 1..]))
}

/// The input as text, as far as it is some.
pub fn text(input: &[u8]) -> &str {
    let end =
        std::str::from_utf8(input).map_or_else(|fault| fault.valid_up_to(), |text| text.len());
    std::str::from_utf8(&input[..end]).unwrap_or_default()
}

/// Like [`split`], for texts.
pub fn texts(input: &[u8]) -> (&str, &str) {
    let (first, rest) = split(input);
    (text(first), text(rest))
}

/// What browsers see in a URL (<https://url.spec.whatwg.org/>).
pub fn browser(text: &str) -> Option<(String, u16)> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.to_owned();
    // They rewrite numbers to addresses.
    let is_name = matches!(url.host(), Some(url::Host::Domain(_)));
    is_name.then_some((host, url.port_or_known_default()?))
}

/// What the standard of URIs sees (<https://www.rfc-editor.org/rfc/rfc3986>).
pub fn standard(text: &str) -> Option<(String, u16)> {
    let uri = fluent_uri::Uri::parse(text).ok()?;
    let authority = uri.authority()?;
    assert!(!authority.has_userinfo(), "{text:?}");
    let port = authority.port_to_u16().ok()?;
    let default = if uri.scheme().as_str() == "https" {
        443
    } else {
        80
    };
    Some((authority.host().to_owned(), port.unwrap_or(default)))
}

/// What servers see in it.
pub fn server(text: &str) -> Option<(String, u16)> {
    let uri = text.parse::<http::Uri>().ok()?;
    let default = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let port = uri.port_u16().unwrap_or(default);
    Some((uri.host()?.to_owned(), port))
}
