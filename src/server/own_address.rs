//! The address under which a reader came here, for examples that can be pasted.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::HOST;
use http::request::Parts;

use super::{Gate, OverTls, Peer};

/// `scheme://host[:port]` of this server, as the browser sees it.
pub(super) struct OwnAddress(pub(super) String);

impl FromRequestParts<Arc<Gate>> for OwnAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Infallible> {
        let said = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let of_http2 = parts.uri.authority().map(|authority| authority.as_str());
        // It goes into command lines and scripts.
        let is_one = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        let host = of_http2.or_else(|| said(HOST.as_str()));
        let host = host.filter(|host| !host.is_empty() && host.chars().all(is_one));
        let host = host.map_or_else(|| crate::config::DEFAULT_LISTEN.to_string(), str::to_owned);
        let over_tls = parts.extensions.get::<OverTls>().is_some_and(|tls| tls.0);
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.map(|peer| peer.0.to_canonical());
        let trusted = &gate.app.trusted_proxies;
        let is_trusted = peer.is_some_and(|peer| trusted.iter().any(|net| net.contains(&peer)));
        let is_https = over_tls || (is_trusted && said("x-forwarded-proto") == Some("https"));
        let scheme = if is_https { "https" } else { "http" };
        Ok(Self(format!("{scheme}://{host}")))
    }
}
