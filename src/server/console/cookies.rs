//! The console's cookies: the session, and the language.

use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::visit::Transport;
use super::words::Lang;
use crate::console::LONGEST;
use crate::credential::Secret;

/// The cookie that holds the session; a browser takes it with this prefix only where it is
/// encrypted, and for this host alone
/// (<https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes>).
const SECURE_COOKIE: &str = "__Host-wxsign";

/// The same on this machine alone, where nothing is encrypted; the port follows, as all programs at
/// one host share their cookies.
const LOCAL_COOKIE: &str = "wxsign";

/// The cookie that holds the language.
pub(super) const LANG_COOKIE: &str = "wxsign-lang";

/// The name of the cookie that holds the session.
pub(super) fn session_cookie(transport: Transport, host: &str) -> Option<Cow<'static, str>> {
    match transport {
        Transport::Encrypted => Some(SECURE_COOKIE.into()),
        Transport::Local => {
            let port = host.rsplit_once(':').map(|(_, port)| port);
            let port = port.filter(|port| !port.is_empty() && !port.ends_with(']'));
            let port = port.unwrap_or("80");
            Some(format!("{LOCAL_COOKIE}-{port}").into())
        }
        Transport::Open => None,
    }
}

/// The header that has the browser show `key` to `host` from now on; without a key it forgets it.
/// `None` where anybody could read it.
pub(super) fn set_session(
    transport: Transport,
    host: &str,
    key: Option<&Secret>,
) -> Option<HeaderValue> {
    let name = session_cookie(transport, host)?;
    let secure = match transport {
        Transport::Encrypted => " Secure;",
        _ => "",
    };
    let (value, age) = match key {
        Some(key) => (key.expose(), LONGEST.as_secs()),
        None => ("", 0),
    };
    let cookie =
        format!("{name}={value}; Path=/;{secure} HttpOnly; SameSite=Strict; Max-Age={age}");
    HeaderValue::from_str(&cookie).ok()
}

/// The header that has the browser remember the language that its user has chosen.
pub(super) fn set_lang(lang: Lang) -> HeaderValue {
    let lang = lang.name();
    let cookie = format!("{LANG_COOKIE}={lang}; Path=/console; SameSite=Lax; Max-Age=31536000");
    HeaderValue::from_str(&cookie).expect("it is ASCII")
}

/// What the browser shows under this name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter();
    let pairs = all.filter_map(|header| header.to_str().ok());
    let mut pairs = pairs.flat_map(|header| header.split(';'));
    pairs.find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::laws::made_of;

    proptest! {
        #[test]
        fn what_was_set_is_found_among_anything(
            before in made_of(&["wxsign-80", "__Host-wxsign", "=", ";", "; ", " ", "\"", "a=b"]),
            behind in made_of(&["wxsign-80=x", ";", " ", "=", "é"]),
            key in "[A-Za-z0-9_-]{1,43}",
        ) {
            let set = set_session(Transport::Local, "localhost", Some(&Secret::new(&key)));
            let set = set.unwrap();
            let shown = set.to_str().unwrap().split(';').next().unwrap();
            let mut headers = HeaderMap::new();
            for header in [&before, &format!("c=d; {shown}"), &behind] {
                headers.extend(HeaderValue::from_str(header).ok().map(|value| (COOKIE, value)));
            }
            let name = session_cookie(Transport::Local, "localhost").unwrap();
            let found = cookie(&headers, &name).unwrap();
            let first = |header: &str| {
                header.split(';').find_map(|pair| {
                    let value = pair.trim().strip_prefix(&*name)?.strip_prefix('=')?;
                    (!value.is_empty()).then(|| value.to_owned())
                })
            };
            let readable = before.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t');
            let expected = first(&before).filter(|_| readable).unwrap_or(key);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        for value in ["a=b; wxsign=one", "__Host-wxsign=two;x"] {
            headers.append(COOKIE, HeaderValue::from_static(value));
        }
        assert_eq!(cookie(&headers, "wxsign"), Some("one"));
        assert_eq!(cookie(&headers, SECURE_COOKIE), Some("two"));
        assert_eq!(cookie(&headers, "x"), None);
    }

    #[test]
    fn cookies_are_as_closed_as_the_way_lets_them_be() {
        let key = Secret::new("k");
        let set = |transport, host| {
            let set = set_session(transport, host, Some(&key));
            set.map(|set| set.to_str().unwrap().to_owned())
        };
        assert_eq!(
            set(Transport::Encrypted, "a.example").unwrap(),
            "__Host-wxsign=k; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200"
        );
        assert_eq!(
            set(Transport::Local, "localhost:8080").unwrap(),
            "wxsign-8080=k; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"
        );
        for (host, port) in [("localhost", "80"), ("[::1]", "80"), ("[::1]:90", "90")] {
            let name = format!("wxsign-{port}");
            assert_eq!(session_cookie(Transport::Local, host).unwrap(), name);
        }
        assert_eq!(set(Transport::Open, "a.example"), None);
    }
}
