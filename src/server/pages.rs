//! Pages and files for browsers: the demo and the browser helper.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::problem::{Code, Problem};
use super::segment::Segment;
use super::{Audience, Gate};
use crate::credential::Secret;

/// Scripts come from this server and, for the JS-SDK, from Tencent's two hosts; nothing inline.
const PAGE_POLICY: &str = "default-src 'none'; \
    script-src 'self' http://res.wx.qq.com https://res.wx.qq.com http://res2.wx.qq.com https://res2.wx.qq.com; \
    style-src 'self'; img-src 'self' data: https:; connect-src 'self'; base-uri 'none'; \
    frame-ancestors 'none'; form-action 'none'";

#[derive(Template)]
#[template(path = "demo.html")]
struct Demo<'a> {
    appid: &'a str,
    version: &'a str,
    simulated: bool,
    /// Whether `/docs` is at the same address.
    documented: bool,
}

/// The demo page, of the account in `?appid=` or of the first one.
pub(super) async fn demo(
    State(gate): State<Arc<Gate>>,
    Extension(audience): Extension<Audience>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let accounts = gate.app.keeper.accounts();
    let query = query.unwrap_or_default();
    let asked = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("appid="));
    let kept = match asked {
        Some(appid) => accounts.get(appid),
        None => accounts.iter().min_by_key(|kept| &kept.account.appid),
    };
    let kept = kept.ok_or_else(|| {
        Problem::new(
            Code::UnknownAccount,
            "no account with this appid is configured: check the appid",
        )
    })?;
    let page = Demo {
        appid: kept.account.appid.as_str(),
        version: env!("CARGO_PKG_VERSION"),
        simulated: gate.app.simulator.is_some(),
        documented: audience == Audience::Everyone,
    };
    let html = page
        .render()
        .map_err(|error| Problem::new(Code::InternalError, error.to_string()))?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, html).into_response())
}

/// The front page leads to the demo.
pub(super) async fn root() -> Redirect {
    Redirect::temporary("/demo")
}

/// A file that is part of the program.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            name: $name,
            content_type: $content_type,
            content: include_str!(concat!("../../static/", $name)),
        }
    };
}

const ASSETS: &[Asset] = &[
    asset!("wxsign.js", "text/javascript; charset=utf-8"),
    asset!("demo.js", "text/javascript; charset=utf-8"),
    asset!("demo.css", "text/css; charset=utf-8"),
    asset!("debug.js", "text/javascript; charset=utf-8"),
    asset!("debug.css", "text/css; charset=utf-8"),
    asset!("console.css", "text/css; charset=utf-8"),
    asset!("console.js", "text/javascript; charset=utf-8"),
    asset!("docs.css", "text/css; charset=utf-8"),
    asset!("simulated-client.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
];

/// A file under `/static/`. The simulated client exists only beside a simulator.
pub(super) async fn asset(
    State(gate): State<Arc<Gate>>,
    Segment(name): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .filter(|asset| asset.name != "simulated-client.js" || gate.app.simulator.is_some())
        .ok_or_else(not_found)?;
    let etag = format!("\"{}\"", Secret::new(asset.content).fingerprint());
    let caching = [(ETAG, etag.as_str()), (CACHE_CONTROL, "no-cache")];
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| knows(known, &etag))
    {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    Ok((caching, [(CONTENT_TYPE, asset.content_type)], asset.content).into_response())
}

/// Whether a list of entity tags holds `etag`; a proxy that compresses makes it a weak one.
pub(super) fn knows(list: &HeaderValue, etag: &str) -> bool {
    let tags = list.to_str().unwrap_or_default().split(',');
    tags.map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag || tag == "*")
}

pub(super) async fn nothing_here() -> Problem {
    not_found()
}

pub(super) fn not_found() -> Problem {
    Problem::new(
        Code::NotFound,
        "pages are signed at /jsapi/signature?url=…; /demo shows how",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::laws;
    use crate::laws::made_of;

    proptest! {
        #[test]
        fn a_tag_is_known_where_it_is_listed(
            list in made_of(&["\"9e107d9d372bb682\"", "W/", "*", ",", ", ", "\"", "\"a\""]),
            anything in any::<Vec<u8>>(),
        ) {
            laws::entity_tags(list.as_bytes());
            laws::entity_tags(&anything);
        }
    }
}
