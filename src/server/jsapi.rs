//! `/jsapi/signature`: signs the page that asks; and `/jsapi/agent-signature`.
//!
//! A `GET` for an account that has a ticket is answered by [`sign_now`] in front of the router,
//! without a lock, a store or waiting. Everything else (no ticket yet, `POST`) goes through the
//! handlers below, by the same rules.

pub(super) mod agent;
mod config;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, RawQuery, State};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Deserialize;

use config::Config;

use super::client_address::{Caller, client_address};
use super::limits::client_key;
use super::openapi::{OfPageReports, OfPosted, OfSigning, PAGES, shapes};
use super::problem::{Code, Problem};
use super::{Gate, PATIENCE, Peer};
use crate::clock::Moment;
use crate::credential::Kind;
use crate::diagnosis::lint::{Lint, lint};
use crate::history::What;
use crate::keeper::{Accounts, Kept};
use crate::page_url::{PageUrl, UrlFault};

/// Answers a `GET` at once, by what `answer` makes of it. `None` if it would have to wait for a
/// ticket, or if there is something to say about the page: then it was not counted yet.
pub(super) fn sign_now<T>(
    gate: &Gate,
    query: &str,
    caller: Caller<'_>,
    referer: Option<&[u8]>,
    answer: impl FnOnce(&Config<'_>) -> T,
) -> Option<Result<T, Problem>> {
    let now = gate.app.keeper.clock().moment();
    let accounts = gate.app.keeper.accounts();
    let ask = match Ask::from_query(query) {
        Ok(ask) => ask,
        Err(problem) => return Some(admit_client(gate, caller, now).and(Err(problem))),
    };
    let found = ask.page_of_account(gate, &accounts);
    let snapshot = found.as_ref().ok().map(|(kept, _)| kept.snapshot());
    let signer = match &snapshot {
        Some(_) if !lints(gate, &ask, referer).is_empty() => return None,
        Some(snapshot) => Some(snapshot.signer(now)?),
        None => None,
    };
    let admitted = admit_client(gate, caller, now).and(found);
    let admitted = admitted.and_then(|asked| admit_account(gate, asked.0, now).map(|()| asked));
    Some(admitted.map(|(kept, url)| {
        let signer = signer.expect("there is one where a page was found");
        answer(&Config::new(kept, signer, url, now.wall))
    }))
}

/// Signs a page.
///
/// The answer is what `wx.config` wants.
// Where `sign_now` has no answer.
#[utoipa::path(get, path = "/jsapi/signature", tag = PAGES, params(shapes::PageQuery),
    responses((status = 200, description = "The signature.", body = shapes::WxConfig), OfSigning))]
pub(super) async fn get(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let now = gate.app.keeper.clock().moment();
    admit_client(&gate, Caller::of(peer.0, &headers), now)?;
    let ask = Ask::from_query(query.as_deref().unwrap_or_default())?;
    sign_when_possible(&gate, &ask, now, &headers).await
}

/// Signs a page that is named in the body.
#[utoipa::path(post, path = "/jsapi/signature", tag = PAGES, request_body = shapes::Page,
    responses((status = 200, description = "The signature.", body = shapes::WxConfig), OfPosted))]
pub(super) async fn post(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response<Body>, Problem> {
    let now = gate.app.keeper.clock().moment();
    admit_client(&gate, Caller::of(peer.0, &headers), now)?;
    let body = body.map_err(Problem::unreadable)?;
    let ask = Ask::from_json(&body)?;
    sign_when_possible(&gate, &ask, now, &headers).await
}

/// Reports that WeChat refused the `wx.config` of a page.
///
/// If that may be the ticket's fault, the ticket is asked for again, once a minute at most.
#[utoipa::path(post, path = "/jsapi/report", tag = PAGES, request_body = shapes::PageReport,
    responses((status = 204, description = "It is noted."), OfPageReports))]
pub(super) async fn report(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let now = gate.app.keeper.clock().moment();
    admit_client(&gate, Caller::of(peer.0, &headers), now)?;
    let body = body.map_err(Problem::unreadable)?;
    let ask = Ask::from_json(&body)?;
    let accounts = gate.app.keeper.accounts();
    let (kept, url) = ask.page_of_account(&gate, &accounts)?;
    admit_account(&gate, kept, now)?;
    let said: String = ask
        .err_msg
        .as_deref()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect();
    tracing::info!(appid = %kept.account.appid, host = url.host(), errMsg = ?said, "a page reports");
    if said.contains("invalid signature") && gate.app.keeper.report_ticket(kept) {
        let what = What::PageReported {
            host: url.host().to_owned(),
            err_msg: said,
        };
        let appid = Some(&kept.account.appid);
        gate.app.history.record(what, appid, None);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn sign_when_possible(
    gate: &Gate,
    ask: &Ask<'_>,
    now: Moment,
    headers: &HeaderMap,
) -> Result<Response<Body>, Problem> {
    let keeper = &gate.app.keeper;
    let (kept, url) = {
        let accounts = keeper.accounts();
        let (kept, url) = ask.page_of_account(gate, &accounts)?;
        admit_account(gate, kept, now)?;
        (Arc::clone(kept), url)
    };
    let (snapshot, now) = keeper
        .available(&kept, Kind::JsapiTicket, PATIENCE)
        .await
        .map_err(Problem::unavailable)?;
    let signer = snapshot
        .signer(now)
        .expect("the snapshot can sign at this moment");
    let config = Config::new(&kept, signer, url, now.wall);
    let mut json = config.to_json();
    let lints = lints(gate, ask, headers.get(REFERER).map(HeaderValue::as_bytes));
    if !lints.is_empty() {
        json.pop();
        json.extend_from_slice(br#","lint":"#);
        json.extend(serde_json::to_vec(&lints).expect("it has only text"));
        json.push(b'}');
    }
    let mut response = Response::new(Body::from(json));
    describe_config(response.headers_mut());
    Ok(response)
}

/// What is odd about the page, for its developer: said only where WeChat is simulated.
fn lints(gate: &Gate, ask: &Ask<'_>, referer: Option<&[u8]>) -> Vec<Lint> {
    if gate.app.simulator.is_none() {
        return Vec::new();
    }
    let referer = referer.and_then(|referer| std::str::from_utf8(referer).ok());
    let mut lints = lint(ask.url.as_deref().unwrap_or_default(), referer);
    lints.retain(|lint| !lint.code.is_fine_at_home());
    lints
}

/// What a page asks for.
#[derive(Deserialize)]
pub(super) struct Ask<'a> {
    #[serde(borrow)]
    pub(super) url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) appid: Option<Cow<'a, str>>,
    /// What a report says besides.
    #[serde(borrow, rename = "errMsg")]
    err_msg: Option<Cow<'a, str>>,
}

impl<'a> Ask<'a> {
    pub(super) fn from_query(query: &'a str) -> Result<Self, Problem> {
        let (mut url, mut appid, mut other) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "url" => &mut url,
                "appid" => &mut appid,
                name => {
                    other = other.or(Some(name));
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                let code = match name {
                    "url" => Code::InvalidUrl,
                    _ => Code::UnknownAccount,
                };
                let detail = format!("{name} is given twice: give it once");
                return Err(Problem::new(code, detail));
            }
        }
        if let (Some(url), Some(other)) = (url, other)
            && url.contains('?')
        {
            let other: String = other.chars().take(40).collect();
            return Err(Problem::new(
                Code::InvalidUrl,
                format!(
                    "the url was cut at \"&{other}\", because it was not encoded: use \
                     encodeURIComponent(location.href.split('#')[0])"
                ),
            ));
        }
        Ok(Self {
            url: url.map(percent_decode).transpose()?,
            // There is nothing to encode in one.
            appid: appid.map(Cow::Borrowed),
            err_msg: None,
        })
    }

    pub(super) fn from_json(body: &'a [u8]) -> Result<Self, Problem> {
        let invalid = |what: String| {
            let example = r#"{"url": "https://…", "appid": "wx…"}"#;
            let detail = format!("{what}; send {example}, where appid may be left out");
            Problem::new(Code::InvalidBody, detail)
        };
        // A list would be read as well, its items taken for the fields in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(invalid("it is not a JSON object".to_owned()));
        }
        serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))
    }

    pub(super) fn account<'k>(
        &self,
        gate: &Gate,
        accounts: &'k Accounts,
    ) -> Result<&'k Arc<Kept>, Problem> {
        let found = match &self.appid {
            Some(appid) => accounts.get(appid),
            None => accounts.only(),
        };
        found.ok_or_else(|| {
            let (appid, roster) = (&self.appid, &gate.app.roster);
            if appid.is_some() || !roster.has_read() {
                return Problem::unknown_account(roster);
            }
            Problem::new(
                Code::UnknownAccount,
                if accounts.iter().next().is_none() {
                    "there is no account here yet"
                } else {
                    "there are several accounts here: say which one with appid=…"
                },
            )
        })
    }

    /// The account and the page that are asked for.
    fn page_of_account<'k>(
        &self,
        gate: &Gate,
        accounts: &'k Accounts,
    ) -> Result<Asked<'k, '_>, Problem> {
        let kept = self.account(gate, accounts)?;
        Ok((kept, self.page(kept)?))
    }

    fn page(&self, kept: &Kept) -> Result<PageUrl<'_>, Problem> {
        let parsed = PageUrl::parse(self.url.as_deref().unwrap_or_default());
        let url = parsed.map_err(|fault| {
            let code = match fault {
                UrlFault::Empty => Code::MissingUrl,
                _ => Code::InvalidUrl,
            };
            Problem::new(code, fault.to_string())
        })?;
        if kept.account.page_hosts.allow(&url) {
            Ok(url)
        } else {
            Err(Problem::host_not_allowed(&url))
        }
    }
}

/// Decodes `%XX`. A plus stays a plus: a URL holds no spaces, so that is what it was.
fn percent_decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let invalid = |what: &str| {
        Problem::new(
            Code::InvalidUrl,
            format!("the query holds {what}: encode the url with encodeURIComponent"),
        )
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = 0;
    for percent in memchr::memchr_iter(b'%', bytes) {
        let byte = bytes[percent + 1..]
            .first_chunk()
            .and_then(|&[high, low]| Some(hex_digit(high)? << 4 | hex_digit(low)?));
        let byte = byte.ok_or_else(|| invalid("a % without two hexadecimal digits behind it"))?;
        decoded.extend_from_slice(&bytes[rest..percent]);
        decoded.push(byte);
        rest = percent + 3;
    }
    decoded.extend_from_slice(&bytes[rest..]);
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| invalid("bytes that are not UTF-8"))
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// An account, and a page that it may sign for.
type Asked<'k, 'u> = (&'k Arc<Kept>, PageUrl<'u>);

/// Counts a request, whichever way it comes in, for its client: also one that asks for nothing.
pub(super) fn admit_client(gate: &Gate, caller: Caller<'_>, now: Moment) -> Result<(), Problem> {
    if let Some(limit) = &gate.per_address {
        let client = client_address(caller.peer, caller.forwarded_for, &gate.app.trusted_proxies);
        tell_of_proxy(gate, caller, client);
        // A program on this machine, or a proxy that does not say for whom it asks.
        if !client.is_loopback() {
            limit
                .admit(client_key(client), now.boot)
                .map_err(Problem::rate_limited)?;
        }
    }
    Ok(())
}

/// Counts a request for the account that it was found to be for.
pub(super) fn admit_account(gate: &Gate, kept: &Kept, now: Moment) -> Result<(), Problem> {
    let Some(limit) = &gate.per_account else {
        return Ok(());
    };
    limit
        .admit(&kept.account.appid, now.boot)
        .map_err(Problem::rate_limited)
}

/// Says once that a proxy speaks for its clients and is not believed: they share one limit.
fn tell_of_proxy(gate: &Gate, caller: Caller<'_>, client: IpAddr) {
    let unheard = client == caller.peer.to_canonical() && !caller.forwarded_for.is_empty();
    if unheard && !gate.told_of_proxy.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            proxy = %client,
            "requests with X-Forwarded-For come from an address that is not among the \
             trusted_proxies: if it is your proxy, add it there, or all its clients count as one"
        );
    }
}

/// The headers of a signature.
pub(super) fn describe_config(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::laws;
    use crate::laws::object_of;

    proptest! {
        #[test]
        fn a_page_is_read_as_it_was_sent(
            query in "url=([a-z+/]|%2f|%25|%e5%be%ae){0,8}(&(appid|u%72l|a|url)=?([a-z+?]|%2f|%ff|%){0,3}){0,2}",
            body in object_of(&[
                "\"url\":\"https://ok.example.com/\\u5fae\"", "\"url\":null", "\"appid\":\"wx0\"",
                "\"errMsg\":1", "\"appid\":1", "\"other\":[1e999,{\"url\":2}]", "\"URL\":\"\\ud800\"",
            ]),
            anything in any::<String>(),
            bytes in any::<Vec<u8>>(),
        ) {
            laws::page_query(&query);
            laws::page_query(&anything);
            laws::page_body(body.as_bytes());
            laws::page_body(&bytes);
        }
    }
}
