//! The address of a page to be signed.
//!
//! WeChat compares the signature with the address of the page as the browser holds it, byte for
//! byte up to the first `#` (JS-SDK manual, appendix 1,
//! <https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>). So a URL is read
//! here only to be checked: what is signed is the text that came in, never a form of it that was
//! written anew.

/// The longest URL that is accepted, in bytes, its fragment included.
pub const MAX_URL_BYTES: usize = 2048;

/// The URL of a page, checked, and cut at the first `#`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageUrl<'a> {
    text: &'a str,
    host: &'a str,
    port: Option<u16>,
    https: bool,
}

impl<'a> PageUrl<'a> {
    /// Checks `text` and cuts it at the first `#`; not a byte of the rest is changed.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &'a str) -> Result<Self, UrlFault> {
        if text.is_empty() {
            return Err(UrlFault::Empty);
        }
        if text.len() > MAX_URL_BYTES {
            return Err(UrlFault::TooLong);
        }
        let ends = |byte: u8| !(0x21..=0x7e).contains(&byte) || matches!(byte, b'\\' | b'#');
        let end = text.bytes().position(ends);
        let text = match end.map(|end| (end, text.as_bytes()[end])) {
            None => text,
            Some((0, b'#')) => return Err(UrlFault::OnlyFragment),
            Some((end, b'#')) => &text[..end],
            Some((_, byte)) => return Err(UrlFault::Byte(byte)),
        };
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(UrlFault::Scheme),
        };
        let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?'));
        let authority = &rest[..end.unwrap_or(rest.len())];
        if authority.as_bytes().contains(&b'@') {
            return Err(UrlFault::UserInfo);
        }
        let (host, port) = split_port(authority).ok_or(UrlFault::Port)?;
        check_host(host)?;
        Ok(Self {
            text,
            host,
            port,
            https,
        })
    }

    /// The text to sign.
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// The host, without its port; an IPv6 address keeps its brackets.
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// The port, given or that of the scheme.
    pub const fn port(&self) -> u16 {
        match (self.port, self.https) {
            (Some(port), _) => port,
            (None, true) => 443,
            (None, false) => 80,
        }
    }

    /// Whether the port is the scheme's own.
    pub const fn has_default_port(&self) -> bool {
        self.port() == if self.https { 443 } else { 80 }
    }

    /// The origin: scheme, host and port, as they were given.
    pub fn origin(&self) -> &'a str {
        let scheme = if self.https { "https://" } else { "http://" };
        let port = match self.port {
            Some(port) => 1 + decimal_digits(port),
            None => 0,
        };
        &self.text[..scheme.len() + self.host.len() + port]
    }

    /// Whether the text is an origin as browsers send it: scheme, host and port, no more.
    pub fn is_origin(&self) -> bool {
        self.origin().len() == self.text.len()
    }

    /// How the host would be listed in `page_hosts`: with its port only where the port is not
    /// the scheme's own.
    pub fn listed_as(&self) -> String {
        if self.has_default_port() {
            self.host.to_owned()
        } else {
            format!("{}:{}", self.host, self.port())
        }
    }
}

/// Why a text is not the URL of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlFault {
    /// Nothing there.
    #[error("the url is empty: send location.href.split('#')[0], encoded with encodeURIComponent")]
    Empty,
    /// Longer than [`MAX_URL_BYTES`].
    #[error("the url is longer than {MAX_URL_BYTES} bytes: let the page keep less in its query")]
    TooLong,
    /// Nothing in front of the `#`.
    #[error("the url holds only a fragment: send the whole address, location.href")]
    OnlyFragment,
    /// A byte that no browser reports in an address.
    #[error(
        "the url holds the byte 0x{0:02x}, which location.href never does: send what the \
         browser reports (percent-encoded), encoded once more with encodeURIComponent"
    )]
    Byte(u8),
    /// Not `http://` or `https://`.
    #[error("the url must begin with http:// or https:// in lower case, as location.href does")]
    Scheme,
    /// `user@host`.
    #[error(
        "the url holds user information (an @ before the path), which location.href never does: \
         send location.href as it is"
    )]
    UserInfo,
    /// Not a port from 1 to 65535 as browsers write it.
    #[error(
        "the url's port must be a number from 1 to 65535 without leading zeros: send location.href \
         as it is"
    )]
    Port,
    /// Not a host as browsers write it.
    #[error(
        "the url's host must be a name of letters, digits, dots and hyphens (an international \
         one in its xn-- form), or an IP address"
    )]
    Host,
    /// A capital in the host.
    #[error(
        "the url's host holds capital letters, but browsers report it in lower case and so \
         WeChat would refuse the signature: send location.href as it is"
    )]
    UpperCaseHost,
}

/// How many digits a port has, which is written without leading zeros.
const fn decimal_digits(port: u16) -> usize {
    match port.checked_ilog10() {
        Some(power) => power as usize + 1,
        None => 1,
    }
}

/// Splits `host[:port]`; `None` when what follows the host is not a port.
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    // The colons of an IPv6 address stand inside its brackets.
    let after_host = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None if authority.starts_with('[') => authority.len(),
        None => 0,
    };
    let Some(colon) = authority[after_host..].find(':') else {
        return Some((authority, None));
    };
    let (host, digits) = (
        &authority[..after_host + colon],
        &authority[after_host + colon + 1..],
    );
    let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    let port = digits.parse().ok().filter(|_| canonical)?;
    Some((host, Some(port)))
}

/// Whether a host is written as browsers write it.
pub(crate) fn check_host(host: &str) -> Result<(), UrlFault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let well_formed = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.starts_with('.') && host.bytes().all(plain),
    };
    if !well_formed {
        Err(UrlFault::Host)
    } else if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Err(UrlFault::UpperCaseHost)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::laws::{self, made_of};

    #[test]
    fn what_browsers_report_is_kept_to_the_byte() {
        for url in [
            "https://h5.example.com",
            "https://h5.example.com/",
            "https://h5.example.com?",
            "https://h5.example.com/a/?x=1&x=&=2&&y#z"
                .split('#')
                .next()
                .unwrap(),
            "http://h5.example.com:8080/100%?q=a+b%20c&amp;d",
            "https://xn--fiq228c.example.com/%e5%be%ae?u=http://evil.example/@x",
            "http://[::1]:8080/",
            "http://127.0.0.1/",
            "https://h5.example.com:443/a",
        ] {
            assert_eq!(PageUrl::parse(url).unwrap().as_str(), url);
        }
    }

    #[test]
    fn the_fragment_is_cut_at_the_first_hash() {
        for (given, signed) in [
            ("https://h.example/#", "https://h.example/"),
            ("https://h.example#a", "https://h.example"),
            ("https://h.example/a?b=1#c#d?e", "https://h.example/a?b=1"),
            ("https://h.example/#微信 \\", "https://h.example/"),
        ] {
            assert_eq!(PageUrl::parse(given).unwrap().as_str(), signed);
        }
    }

    #[test]
    fn each_bad_url_is_refused_by_its_rule() {
        use UrlFault::{
            Byte, Empty, Host, OnlyFragment, Port, Scheme, TooLong, UpperCaseHost, UserInfo,
        };
        let too_long = format!("https://ok.example.com/{}", "a".repeat(2048 - 22));
        assert_eq!(too_long.len(), 2049);
        let huge = "a".repeat(1 << 20);
        for (url, fault) in [
            ("", Empty),
            ("#", OnlyFragment),
            ("#/route", OnlyFragment),
            (&too_long, TooLong),
            (&huge, TooLong),
            ("https://ok.example.com/微信", Byte(0xe5)),
            ("https://ok.example.com/a b", Byte(b' ')),
            ("https://ok.example.com/a\tb", Byte(b'\t')),
            ("https://ok.example.com/\r\nx", Byte(b'\r')),
            ("https://ok.example.com/\0", Byte(0)),
            ("https://ok.example.com/\x7f", Byte(0x7f)),
            ("https:\\\\ok.example.com", Byte(b'\\')),
            ("https://evil.example\\@ok.example.com", Byte(b'\\')),
            ("https:/evil", Scheme),
            ("https:ok.example.com", Scheme),
            ("//ok.example.com/", Scheme),
            ("/path", Scheme),
            ("HTTPS://ok.example.com/", Scheme),
            ("javascript:alert(1)", Scheme),
            ("data:text/html,x", Scheme),
            ("ftp://ok.example.com/", Scheme),
            ("https://ok.example.com@evil/", UserInfo),
            ("https://ok.example.com:80@evil/", UserInfo),
            ("https://@ok.example.com/", UserInfo),
            ("https://ok.example.com:0/", Port),
            ("https://ok.example.com:65536/", Port),
            ("https://ok.example.com:/", Port),
            ("https://ok.example.com:0443/", Port),
            ("https://ok.example.com:+443/", Port),
            ("https://ok.example.com:44a/", Port),
            ("https://ok.example.com:1:2/", Port),
            ("https:///path", Host),
            ("https://?x", Host),
            ("https://.example.com/", Host),
            ("https://ok.example.com;evil/", Host),
            ("https://ok%2eexample.com/", Host),
            ("https://[::1/", Host),
            ("https://[::g]/", Host),
            ("https://[::1]x/", Host),
            ("https://[]/", Host),
            ("https://OK.example.com/", UpperCaseHost),
        ] {
            assert_eq!(PageUrl::parse(url), Err(fault), "{url:?}");
        }
    }

    #[test]
    fn a_url_of_2048_bytes_is_signed() {
        let url = format!("https://ok.example.com/{}", "a".repeat(2048 - 23));
        assert_eq!(url.len(), MAX_URL_BYTES);
        assert_eq!(PageUrl::parse(&url).unwrap().as_str(), url);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert!(
            PageUrl::parse("https://h5.example.com:8443")
                .unwrap()
                .is_origin()
        );
        assert!(
            !PageUrl::parse("https://h5.example.com/")
                .unwrap()
                .is_origin()
        );
    }

    /// What browsers see in a URL; they rewrite numbers to addresses.
    fn browser(text: &str) -> Option<(String, u16)> {
        let url = url::Url::parse(text).ok()?;
        let is_name = matches!(url.host(), Some(url::Host::Domain(_)));
        let host = is_name.then(|| url.host_str().map(str::to_owned))??;
        Some((host, url.port_or_known_default()?))
    }

    /// What servers see in it.
    fn server(text: &str) -> Option<(String, u16)> {
        let uri: http::Uri = text.parse().ok()?;
        let default = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(default)))
    }

    proptest! {
        /// Other parsers must agree about the host, or a page could be signed for one host and
        /// opened on another.
        #[test]
        fn what_is_signed_is_a_prefix_for_the_host_that_all_others_see(
            likely in "https?://[a-z0-9.:@\\[\\]_-]{1,20}[/?]?[ -~微]{0,20}",
            page in "https?://[a-z.]{1,9}(:[0-9]{1,5})?[ -~微]{0,40}",
            tricky in made_of(&[
                "https", "http", "://", ":", "//", "/", "\\", "@", "?", "#", "ok.example.com", "evil",
                "[", "]", "::1", "127.0.0.1", "443", "%2e", ".", "\t", "\0", "xn--", "0x7f",
            ]),
            anything in any::<String>(),
        ) {
            for text in [&likely, &page, &tricky, &format!("https://ok.example.com{tricky}"), &anything] {
                laws::page_url(text, &[browser, server]);
            }
        }
    }
}
