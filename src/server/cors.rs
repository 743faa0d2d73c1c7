//! Which pages' scripts may read the answers of `/jsapi/…`: those of the accounts' page hosts.

use std::sync::Arc;

use axum::extract::State;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Gate;
use super::ahead::write_all;
use crate::keeper::{Accounts, Keeper};
use crate::page_url::PageUrl;

/// Adds what every answer of `/jsapi/…` says.
pub(super) fn vary(answer: &mut HeaderMap) {
    answer.append(VARY, HeaderValue::from_static("Origin"));
}

/// Adds what an answer of `/jsapi/…` says about a request with `origin`: an origin that is
/// allowed is said back exactly, any other gets nothing.
pub(super) fn allow(answer: &mut HeaderMap, origin: Option<HeaderValue>, keeper: &Keeper) {
    let allowed = |origin: &HeaderValue| is_allowed(origin.as_bytes(), &keeper.accounts());
    if let Some(origin) = origin.filter(allowed) {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static(EXPOSED);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// The same, where the head is written as bytes, and `page` was admitted.
pub(super) fn write(origin: &[u8], page: &PageUrl<'_>, keeper: &Keeper, out: &mut Vec<u8>) {
    // Mostly a page asks about itself.
    if page.origin().as_bytes() == origin || is_allowed(origin, &keeper.accounts()) {
        let exposed = EXPOSED.as_bytes();
        write_all(out, &[b"access-control-allow-origin: ", origin, b"\r\n"]);
        write_all(out, &[b"access-control-expose-headers: ", exposed, b"\r\n"]);
    }
}

/// What a page's script may read besides the answer.
const EXPOSED: &str = "retry-after, x-request-id";

fn is_allowed(origin: &[u8], accounts: &Accounts) -> bool {
    let Ok(text) = std::str::from_utf8(origin) else {
        return false;
    };
    // The text itself is said back, so nothing may have been cut from it.
    PageUrl::parse(text).is_ok_and(|origin| {
        origin.as_str() == text && origin.is_origin() && accounts.page_hosts().allow(&origin)
    })
}

/// Answers a browser that asks before it sends a `POST`.
pub(super) async fn preflight(
    State(gate): State<Arc<Gate>>,
    headers: HeaderMap,
) -> (StatusCode, HeaderMap) {
    let mut answer = HeaderMap::new();
    let accounts = gate.app.keeper.accounts();
    if headers
        .get(ORIGIN)
        .is_some_and(|origin| is_allowed(origin.as_bytes(), &accounts))
    {
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "content-type, x-request-id"),
            (ACCESS_CONTROL_MAX_AGE, "3600"),
        ] {
            answer.insert(name, HeaderValue::from_static(value));
        }
    }
    (StatusCode::NO_CONTENT, answer)
}
