//! Pages and files for browsers: the demo and the browser helper.

mod helper;
mod qr;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::own_address::OwnAddress;
use super::problem::{Code, Problem};
use super::segment::Segment;
use super::{Audience, Gate};
use crate::account::AppId;
use crate::credential::Secret;

/// Scripts come from this server and, for the JS-SDK, from Tencent's two hosts; nothing inline.
/// What else, `more` says of scripts and of styles.
fn policy(more: [&str; 2]) -> String {
    let [scripts, styles] = more;
    format!(
        "default-src 'none'; script-src 'self' http://res.wx.qq.com https://res.wx.qq.com \
         http://res2.wx.qq.com https://res2.wx.qq.com{scripts}; style-src 'self'{styles}; \
         img-src 'self' data: https:; connect-src 'self'; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'none'"
    )
}

/// With vConsole, which writes its own styles into the page.
fn policy_with(script: &str) -> String {
    // A source has no query (<https://www.w3.org/TR/CSP3/#grammardef-path-part>).
    let source = script.split('?').next().unwrap_or_default();
    policy([&format!(" {source}"), " 'unsafe-inline'"])
}

#[derive(Template)]
#[template(path = "demo.html")]
struct Demo<'a> {
    appid: &'a str,
    version: &'a str,
    simulated: bool,
    /// Whether `/docs` is at the same address.
    documented: bool,
    /// Whether `/console` is, too.
    console: bool,
    /// No other machine reaches it at [`Self::address`].
    only_here: bool,
    address: &'a str,
    /// vConsole can be had.
    has_vconsole: bool,
    /// Where its script is, if it is wanted.
    vconsole: Option<&'a str>,
}

/// The demo page, of the account in `?appid=` or of the first one.
pub(super) async fn demo(
    State(gate): State<Arc<Gate>>,
    Extension(audience): Extension<Audience>,
    OwnAddress(address): OwnAddress,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let appid = account(&gate, query.as_deref())?;
    let host = address.split_once("://").map_or("", |(_, host)| host);
    let vconsole = gate.app.vconsole.as_deref();
    let mut pairs = query.as_deref().unwrap_or_default().split('&');
    let wanted = vconsole.filter(|_| pairs.any(|pair| pair == "vconsole=1"));
    let page = Demo {
        appid: appid.as_str(),
        version: env!("CARGO_PKG_VERSION"),
        simulated: gate.app.simulator.is_some(),
        documented: audience == Audience::Everyone,
        console: audience == Audience::Everyone && gate.app.console.is_some(),
        only_here: qr::is_only_here(host),
        address: &address,
        has_vconsole: vconsole.is_some(),
        vconsole: wanted,
    };
    let html = page
        .render()
        .map_err(|error| Problem::new(Code::InternalError, error.to_string()))?;
    let policy = wanted.map_or_else(|| policy(["", ""]), policy_with);
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, &policy),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, html).into_response())
}

/// The demo page's address, for a phone's camera.
pub(super) async fn qr(
    State(gate): State<Arc<Gate>>,
    OwnAddress(address): OwnAddress,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let appid = account(&gate, query.as_deref())?;
    let page = format!("{address}/demo?appid={appid}");
    let image = qr::svg(&page)
        .map_err(|error| Problem::new(Code::InternalError, format!("{page}: {error}")))?;
    let headers = [(CONTENT_TYPE, ICON), (CACHE_CONTROL, "no-cache")];
    Ok((headers, image).into_response())
}

/// The account in `?appid=`, or the first one.
pub(super) fn account(gate: &Gate, query: Option<&str>) -> Result<AppId, Problem> {
    let accounts = gate.app.keeper.accounts();
    let query = query.unwrap_or_default();
    let asked = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("appid="));
    let kept = match asked {
        Some(appid) => accounts.get(appid),
        // For most it is an official account that they look for.
        None => accounts.iter().min_by_key(|kept| {
            let appid = &kept.account.appid;
            (appid.wecom().is_some(), appid)
        }),
    };
    kept.map(|kept| kept.account.appid.clone()).ok_or_else(|| {
        Problem::new(
            Code::UnknownAccount,
            "no account with this appid is configured: check the appid",
        )
    })
}

/// The front page leads to the demo.
pub(super) async fn root() -> Redirect {
    Redirect::temporary("/demo")
}

/// A file that is part of the program.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: Cow<'static, str>,
}

const ICON: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

static ASSETS: LazyLock<[Asset; 15]> = LazyLock::new(|| {
    let asset = |name, content_type, content| Asset {
        name,
        content_type,
        content: Cow::Borrowed(content),
    };
    let made = |name, content| Asset {
        name,
        content_type: SCRIPT,
        content: Cow::Owned(content),
    };
    let types = include_str!("../../static/wxsign.d.ts");
    let simulated = include_str!("../../static/simulated-client.js");
    let icon = include_str!("../../static/icon.svg");
    [
        made("wxsign.js", helper::classic()),
        made("wxsign.mjs", helper::module()),
        asset("wxsign.d.ts", PLAIN, types),
        // Where TypeScript looks for the types of wxsign.mjs.
        asset("wxsign.d.mts", PLAIN, types),
        asset("demo.js", SCRIPT, include_str!("../../static/demo.js")),
        asset("copy.js", SCRIPT, include_str!("../../static/copy.js")),
        asset("routes.js", SCRIPT, include_str!("../../static/routes.js")),
        asset("demo.css", STYLE, include_str!("../../static/demo.css")),
        asset(
            "console.css",
            STYLE,
            include_str!("../../static/console.css"),
        ),
        asset(
            "console.js",
            SCRIPT,
            include_str!("../../static/console.js"),
        ),
        asset("debug.js", SCRIPT, include_str!("../../static/debug.js")),
        asset("debug.css", STYLE, include_str!("../../static/debug.css")),
        asset("docs.css", STYLE, include_str!("../../static/docs.css")),
        asset("simulated-client.js", SCRIPT, simulated),
        asset("icon.svg", ICON, icon),
    ]
});

/// What exists only beside a simulator.
const OF_THE_SIMULATOR: [&str; 2] = ["simulated-client.js", "routes.js"];

/// A file under `/static/`.
pub(super) async fn asset(
    State(gate): State<Arc<Gate>>,
    Segment(name): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .filter(|asset| !OF_THE_SIMULATOR.contains(&asset.name) || gate.app.simulator.is_some())
        .ok_or_else(not_found)?;
    let content = asset.content.as_ref();
    let etag = format!("\"{}\"", Secret::new(content).fingerprint());
    // Pages of every origin load the helper: a module always with CORS, a script with
    // `crossorigin`, without which a browser keeps from the page what fails in it.
    let open = name
        .starts_with("wxsign.")
        .then_some([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")]);
    let about = (open, [(ETAG, etag.as_str()), (CACHE_CONTROL, "no-cache")]);
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| knows(known, &etag))
    {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    Ok((about, [(CONTENT_TYPE, asset.content_type)], content).into_response())
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
