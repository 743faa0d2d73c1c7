//! Who looks at the console, from where, over what, and in which language.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{FORWARDED, HOST, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::super::client_address::{X_FORWARDED_FOR, client_address};
use super::super::limits::client_key;
use super::super::{Gate, OverTls, Peer};
use super::cookies::{LANG_COOKIE, cookie, session_cookie};
use super::words::Lang;
use crate::account::AppId;
use crate::console::Console;
use crate::credential::Credential;
use crate::history::{CONSOLE, What};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a page that looks for news by itself says.
const X_LIVE: HeaderName = HeaderName::from_static("x-live");

/// What lies between the browser and this server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    /// It is encrypted, here or up to a proxy that is trusted.
    Encrypted,
    /// It does not leave this machine.
    Local,
    /// Anybody on the way can read it.
    Open,
}

/// A request for a page of the console.
pub(in super::super) struct Visit {
    pub(super) gate: Arc<Gate>,
    pub(super) lang: Lang,
    pub(super) transport: Transport,
    /// The host that the browser asked for, perhaps with a port.
    pub(super) host: String,
    pub(super) path: String,
    /// As sent; empty where there is none.
    pub(super) query: String,
    pub(super) address: IpAddr,
    pub(super) user_agent: String,
    /// What the browser shows to be let in.
    pub(super) key: Option<String>,
    /// A human asked for it, not a page for itself.
    pub(super) is_human: bool,
}

impl FromRequestParts<Arc<Gate>> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Infallible> {
        Ok(Self::of(parts, gate))
    }
}

impl Visit {
    pub(in super::super) fn of(parts: &Parts, gate: &Arc<Gate>) -> Self {
        let headers = &parts.headers;
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let peer = peer.to_canonical();
        let over_tls = parts.extensions.get::<OverTls>();
        let address = client_address(peer, headers, &gate.app.trusted_proxies);
        let host = host(parts);
        let is_trusted = (gate.app.trusted_proxies.iter()).any(|net| net.contains(&peer));
        let proto = headers.get(X_FORWARDED_PROTO).map(HeaderValue::as_bytes);
        let transport =
            if over_tls.is_some_and(|tls| tls.0) || (is_trusted && proto == Some(b"https")) {
                Transport::Encrypted
            } else if is_local(&host) && address.is_loopback() && !came_through_proxy(headers) {
                Transport::Local
            } else {
                Transport::Open
            };
        let query = parts.uri.query().unwrap_or_default();
        let lang = (argument(query, "lang").and_then(|name| Lang::named(&name)))
            .or_else(|| cookie(headers, LANG_COOKIE).and_then(Lang::named))
            .or_else(|| Lang::preferred(headers))
            .unwrap_or(Lang::En);
        let key = session_cookie(transport, &host);
        let key = key.and_then(|name| cookie(headers, &name));
        let user_agent = headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        Self {
            gate: Arc::clone(gate),
            lang,
            transport,
            host,
            path: parts.uri.path().to_owned(),
            query: query.to_owned(),
            address,
            user_agent: user_agent.unwrap_or_default().to_owned(),
            key: key.map(str::to_owned),
            is_human: !headers.contains_key(X_LIVE),
        }
    }

    /// The console; its routes are there only if it is.
    pub(super) fn console(&self) -> &Console {
        let console = self.gate.app.console.as_ref();
        console.expect("there are no routes to a console that is not there")
    }

    /// Whether the browser shows a key that is let in.
    pub(in super::super) async fn is_signed_in(&self) -> bool {
        let (Some(key), Some(console)) = (&self.key, &self.gate.app.console) else {
            return false;
        };
        console.session(key, self.is_human).await.is_some()
    }

    /// What the limiter of passwords counts the client as.
    pub(super) fn address_key(&self) -> u64 {
        client_key(self.address)
    }

    /// An argument of the address; empty where there is none.
    pub(super) fn argument(&self, name: &str) -> String {
        argument(&self.query, name).unwrap_or_default()
    }

    /// Records what was done in the console.
    pub(super) fn record(&self, what: What, appid: Option<&AppId>) {
        self.gate.app.history.record(what, appid, Some(CONSOLE));
    }

    /// Writes into the audit log what was done in the console, and to what.
    pub(super) fn audit(&self, did: &str, result: &str, of: &Audited<'_>) {
        let credential = of.credential;
        tracing::info!(
            target: "wxsign::audit",
            client = CONSOLE,
            address = %self.address,
            appid = of.appid.map(tracing::field::display),
            name = of.name,
            did,
            generation = credential.map(|credential| credential.generation),
            fingerprint =
                credential.map(|credential| tracing::field::display(credential.value.fingerprint())),
            result,
        );
    }

    pub(super) fn t<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        self.lang.t(zh, en)
    }
}

/// What something was done to.
#[derive(Default)]
pub(super) struct Audited<'a> {
    pub(super) appid: Option<&'a AppId>,
    /// That of a client.
    pub(super) name: Option<&'a str>,
    pub(super) credential: Option<&'a Credential>,
}

impl<'a> Audited<'a> {
    pub(super) fn account(appid: &'a AppId) -> Self {
        Self {
            appid: Some(appid),
            ..Self::default()
        }
    }

    pub(super) fn client(name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..Self::default()
        }
    }
}

/// A request of somebody who has signed in.
pub(super) struct Operator(pub(super) Visit);

impl FromRequestParts<Arc<Gate>> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Response> {
        let visit = Visit::of(parts, gate);
        let is_signed_in = visit.is_signed_in().await;
        if is_signed_in {
            return Ok(Self(visit));
        }
        let mut address = "/console/login".to_owned();
        if parts.method == Method::GET && visit.path != "/console" {
            let next = parts
                .uri
                .path_and_query()
                .map_or("/console", |to| to.as_str());
            let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
            address += &format!("?next={next}");
        }
        Err(Redirect::to(&address).into_response())
    }
}

/// Whether a request that changes something was made by a page of this console
/// (<https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html#fetch-metadata-headers>).
///
/// Browsers say from which origin a form comes. It must be the host that was asked for: behind a
/// proxy that says nothing of its visitors all would pass for this machine.
pub(super) fn is_from_here(parts: &Parts) -> bool {
    let site = parts.headers.get(SEC_FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    match parts.headers.get(ORIGIN) {
        Some(origin) => (origin.to_str()).is_ok_and(|origin| is_origin_of(origin, &host(parts))),
        None => site.is_some(),
    }
}

/// Whether the origin is that of `host`, encrypted or on this machine.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let same = |a: &str, port: &str| {
        let [a, b] = [a, host].map(|of| of.strip_suffix(port).unwrap_or(of));
        a.eq_ignore_ascii_case(b)
    };
    match origin.split_once("://") {
        Some(("https", at)) => same(at, ":443"),
        Some(("http", at)) => same(at, ":80") && is_local(at),
        _ => false,
    }
}

fn host(parts: &Parts) -> String {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let header = || parts.headers.get(HOST)?.to_str().ok();
    authority.or_else(header).unwrap_or_default().to_owned()
}

/// Whether the host is a name of this machine for itself.
fn is_local(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|local| {
        host.strip_prefix(local)
            .is_some_and(|rest| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
    })
}

/// A proxy on this machine may ask in the name of this machine.
fn came_through_proxy(headers: &HeaderMap) -> bool {
    [X_FORWARDED_FOR, X_FORWARDED_PROTO, FORWARDED]
        .iter()
        .any(|name| headers.contains_key(name))
}

/// An argument of a query or a form.
pub(super) fn argument(query: &str, name: &str) -> Option<String> {
    let mut arguments = form_urlencoded::parse(query.as_bytes());
    arguments.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// What a form has sent.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        let fields = form_urlencoded::parse(body);
        let owned =
            |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        Self(fields.map(owned).collect())
    }

    /// The text of a field; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let field = self.0.iter().find(|(field, _)| field == name);
        field.map_or("", |(_, value)| value.as_str())
    }

    /// The same without blanks at its ends.
    pub(super) fn trimmed(&self, name: &str) -> &str {
        self.get(name).trim()
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.iter().filter(move |(field, _)| field == name);
        fields.map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/console");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn what_changes_something_comes_from_a_page_of_our_own() {
        let here = ("host", "a.example:8080");
        for (headers, from_here) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://a.example:8080"),
                ],
                false,
            ),
            (
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://a.example"),
                ],
                false,
            ),
            (
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://a.example:8080"),
                ],
                true,
            ),
            (&[("origin", "http://a.example:8080")], false),
            (&[("origin", "https://A.example:8080")], true),
            (&[("origin", "http://a.example")], false),
            (&[("origin", "null")], false),
            (&[], false),
        ] {
            let headers: Vec<_> = headers.iter().copied().chain([here]).collect();
            assert_eq!(is_from_here(&parts(&headers)), from_here, "{headers:?}");
        }
    }

    #[test]
    fn behind_a_proxy_that_says_nothing_a_form_is_not_from_this_machine() {
        for (origin, host, fits) in [
            ("http://localhost:8080", "localhost:8080", true),
            ("http://127.0.0.1", "127.0.0.1:80", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("https://console.example", "console.example:443", true),
            ("https://console.example", "127.0.0.1:8080", false),
            ("http://console.example", "127.0.0.1:8080", false),
            ("http://console.example", "console.example", false),
            ("http://localhost:8081", "localhost:8080", false),
            ("http://localhost.example", "localhost", false),
            ("null", "localhost:8080", false),
        ] {
            assert_eq!(is_origin_of(origin, host), fits, "{origin} {host}");
        }
    }

    #[test]
    fn this_machine_has_three_names_for_itself() {
        for host in ["localhost", "127.0.0.1:8080", "[::1]:1", "localhost:"] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "localhost.example",
            "127.0.0.1.example",
            "127.0.0.1:8080.example",
            "10.0.0.1",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
