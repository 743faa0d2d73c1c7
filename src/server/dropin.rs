//! WeChat's own paths, for SDKs whose API host can be set: they get the shared token and ticket
//! without a change of code.
//!
//! Everything is in WeChat's shapes: HTTP status 200, `errcode` and `errmsg`, `expires_in`. Where
//! WeChat wants the AppSecret, a client key is given; the AppSecret leaves this server never.
//!
//! An SDK that finds its token refused fetches another one. Here that is a report: WeChat is
//! asked about the token, and only if it is really dead is there a new one.

mod handed;
pub(super) mod wecom;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use form_urlencoded::parse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::auth::Refused;
use super::openapi::{SDKS, shapes};
use super::problem::Problem;
use super::request_id::RequestId;
use super::{Gate, PATIENCE, Peer};
use crate::client::Scope;
use crate::credential::{Kind, Secret};
use crate::keeper::Kept;
use crate::roster::Caller;
pub(super) use handed::Handed;
use handed::keep_for;

/// How long a fetch that is a report waits for WeChat's word: SDKs wait no longer for a token,
/// and the one at hand may be good.
const REPORT_PATIENCE: Duration = Duration::from_millis(2500);

/// The former token is accepted so long beside the new one
/// (<https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken.html>).
const OVERLAP: Duration = Duration::from_secs(300);

/// What SDKs take for "try again".
const TRY_AGAIN: i64 = -1;

/// An error in WeChat's shape; `errmsg` begins with WeChat's words
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html>).
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    #[schema(example = 40125)]
    errcode: i64,
    #[schema(example = "invalid appsecret")]
    errmsg: String,
}

impl Refusal {
    fn new(errcode: i64, errmsg: impl Into<String>) -> Self {
        let errmsg = errmsg.into();
        Self { errcode, errmsg }
    }

    pub(super) fn answer(self, id: &RequestId) -> Response {
        let errmsg = format!("{} rid: {}", self.errmsg, id.as_str());
        answer(&json!({ "errcode": self.errcode, "errmsg": errmsg }))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (errcode, words) = if problem.code().status().is_server_error() {
            (TRY_AGAIN, "system error")
        } else {
            (48001, "api unauthorized")
        };
        Self::new(errcode, format!("{words}: wxsign: {}", problem.detail()))
    }
}

fn answer(body: &Value) -> Response {
    // WeChat's own content type.
    let headers = [
        (CONTENT_TYPE, "application/json; encoding=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, body.to_string()).into_response()
}

fn answer_to(id: &RequestId, outcome: Result<Value, Refusal>) -> Response {
    match outcome {
        Ok(body) => answer(&body),
        Err(refusal) => refusal.answer(id),
    }
}

/// Fetches the access_token, as from WeChat.
///
/// A second fetch of the same token by the same client, long before the end that it was told, is
/// taken for a report of it: SDKs fetch again when theirs is refused.
#[utoipa::path(method(get, post), path = "/cgi-bin/token", tag = SDKS, params(shapes::TokenQuery),
    responses((status = 200, description = "The token or the refusal.", body = shapes::TokenAnswer)))]
pub(super) async fn token(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    Extension(id): Extension<RequestId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let ask = Ask {
        grant_type: parameter(&query, "grant_type"),
        appid: parameter(&query, "appid"),
        secret: parameter(&query, "secret"),
        force_refresh: false,
    };
    answer_to(&id, fetch(&gate, &ask, &headers, peer.0).await)
}

/// Fetches the access_token, as from WeChat's stable interface.
///
/// It is the same token as that of `/cgi-bin/token`.
#[utoipa::path(post, path = "/cgi-bin/stable_token", tag = SDKS,
    request_body = shapes::StableTokenAsk,
    responses((status = 200, description = "The token or the refusal.", body = shapes::TokenAnswer)))]
pub(super) async fn stable_token(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    Extension(id): Extension<RequestId>,
    method: Method,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let outcome = async {
        if method != Method::POST {
            return Err(Refusal::new(43002, "require POST method"));
        }
        let body = body.map_err(|_| Refusal::new(45002, "content size out of limit"))?;
        let ask = Ask::from_json(&body)?;
        fetch(&gate, &ask, &headers, peer.0).await
    };
    answer_to(&id, outcome.await)
}

/// Fetches a ticket with the token, as from WeChat.
#[utoipa::path(method(get, post), path = "/cgi-bin/ticket/getticket", tag = SDKS,
    params(shapes::TicketQuery),
    responses((status = 200, description = "The ticket or the refusal.", body = shapes::TicketAnswer)))]
pub(super) async fn getticket(
    State(gate): State<Arc<Gate>>,
    Extension(id): Extension<RequestId>,
    RawQuery(query): RawQuery,
) -> Response {
    answer_to(&id, ticket(&gate, &query.unwrap_or_default()).await)
}

/// What a fetch of the token says.
pub(super) struct Ask {
    pub(super) grant_type: Option<String>,
    pub(super) appid: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) force_refresh: bool,
}

impl Ask {
    pub(super) fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Err(Refusal::new(44002, "empty post data"));
        }
        let fields: Value = serde_json::from_slice(body).unwrap_or_default();
        if !fields.is_object() {
            return Err(Refusal::new(47001, "data format error: send a JSON object"));
        }
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        Ok(Self {
            grant_type: text("grant_type"),
            appid: text("appid"),
            secret: text("secret"),
            force_refresh: fields["force_refresh"] == true,
        })
    }
}

pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = parse(query.as_bytes());
    pairs
        .find(|pair| pair.0 == name)
        .map(|(_, value)| value.into_owned())
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

async fn fetch(
    gate: &Gate,
    ask: &Ask,
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<Value, Refusal> {
    let (caller, kept) = authorise(gate, ask, headers, peer)?;
    fetch_for(gate, &caller, &kept, ask.force_refresh).await
}

async fn fetch_for(
    gate: &Gate,
    caller: &Caller,
    kept: &Kept,
    force_refresh: bool,
) -> Result<Value, Refusal> {
    let keeper = &gate.app.keeper;
    let (appid, kind) = (&kept.account.appid, Kind::AccessToken);
    let mut did = "fetch the access_token";
    let found = keeper.available(kept, kind, PATIENCE).await;
    let (mut snapshot, mut now) = found.map_err(|unavailable| {
        caller.audit(appid, did, None, "unavailable");
        Problem::unavailable(unavailable)
    })?;
    if let Some(token) = snapshot.token(now)
        && (gate.hand_out(caller, kept, token, now) || force_refresh)
    {
        did = "fetch the access_token again";
        let fingerprint = token.credential.value.fingerprint();
        let reported = keeper
            .report_token(kept, fingerprint, 40001, REPORT_PATIENCE)
            .await;
        let (history, client) = (&gate.app.history, &caller.client.name);
        history.record_report(appid, client, 40001, reported.as_str());
        (snapshot, now) = (kept.snapshot().clone(), keeper.clock().moment());
    }
    if snapshot.is_rejected(now) {
        let watch = keeper.watch(kept, REPORT_PATIENCE, |snapshot, now| {
            (!snapshot.is_rejected(now)).then(|| (Arc::clone(snapshot), now))
        });
        let Some(found) = watch.await else {
            caller.audit(appid, did, None, "rejected");
            let errmsg = "system error: wxsign is fetching a new access_token, WeChat has rejected \
                          the one before";
            return Err(Refusal::new(TRY_AGAIN, errmsg));
        };
        (snapshot, now) = found;
    }
    let Some(token) = snapshot.token(now) else {
        caller.audit(appid, did, None, "unavailable");
        return Err(gate.nothing_to_serve(kept, kind).into());
    };
    gate.hand_out(caller, kept, token, now);
    caller.audit(appid, did, Some(&token.credential), "ok");
    Ok(json!({
        "access_token": token.credential.value.expose(),
        "expires_in": keep_for(kept.account.token_api, token, now).as_secs(),
    }))
}

/// The order is that of WeChat.
fn authorise(
    gate: &Gate,
    ask: &Ask,
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<(Arc<Caller>, Arc<Kept>), Refusal> {
    let appid = given(ask.appid.as_ref()).ok_or_else(|| Refusal::new(41002, "appid missing"))?;
    if ask.grant_type.as_deref() != Some("client_credential") {
        let errmsg = "invalid grant_type: it must be client_credential";
        return Err(Refusal::new(40002, errmsg));
    }
    let key = given(ask.secret.as_ref()).ok_or_else(|| {
        Refusal::new(
            41004,
            "appsecret missing: give the client key of wxsign for it",
        )
    })?;
    let caller = gate
        .recognise(key, headers, peer)
        .map_err(|refused| match refused {
            Refused::Key => Refusal::new(
                40125,
                "invalid appsecret: wxsign takes a client key (wxk_…) for it, never the AppSecret",
            ),
            Refused::TooMany(_) => Refusal::new(
                45011,
                "api minute-quota reach limit: too many wrong keys came from this address",
            ),
        })?;
    let accounts = gate.app.keeper.accounts();
    let kept = (caller.reaches(appid).ok())
        .and_then(|appid| accounts.get(appid.as_str()))
        .ok_or_else(|| {
            Refusal::new(
                40013,
                "invalid appid: wxsign has no such account for this client key",
            )
        })?;
    if !caller.may(Scope::Token) {
        return Err(Refusal::new(
            48001,
            "api unauthorized: this client key of wxsign needs the scope token",
        ));
    }
    Ok((caller, Arc::clone(kept)))
}

async fn ticket(gate: &Gate, query: &str) -> Result<Value, Refusal> {
    let token = parameter(query, "access_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Refusal::new(41001, "access_token missing"))?;
    let kept = gate.holder(&Secret::new(token))?;
    let kind = match parameter(query, "type").as_deref() {
        Some("jsapi") => Kind::JsapiTicket,
        Some("wx_card") if kept.account.wx_card => Kind::CardTicket,
        Some("wx_card") => {
            let errmsg = "api unauthorized: wxsign keeps no ticket for cards of this account, set \
                          wx_card = true for it";
            return Err(Refusal::new(48001, errmsg));
        }
        _ => {
            let errmsg = "invalid args: the type must be jsapi or wx_card";
            return Err(Refusal::new(40097, errmsg));
        }
    };
    ticket_of(gate, &kept, kind).await
}

async fn ticket_of(gate: &Gate, kept: &Kept, kind: Kind) -> Result<Value, Refusal> {
    let keeper = &gate.app.keeper;
    let (snapshot, now) = keeper
        .available(kept, kind, PATIENCE)
        .await
        .map_err(Problem::unavailable)?;
    let ticket = snapshot
        .served(kind, now)
        .expect("the snapshot holds a ticket at this moment");
    let (appid, credential) = (&kept.account.appid, &ticket.credential);
    tracing::info!(
        target: "wxsign::audit",
        %appid,
        did = format!("fetch the {kind} with the token"),
        generation = credential.generation,
        fingerprint = %credential.value.fingerprint(),
        result = "ok",
    );
    Ok(json!({
        "errcode": 0,
        "errmsg": "ok",
        "ticket": credential.value.expose(),
        "expires_in": keep_for(kept.account.token_api, ticket, now).as_secs(),
    }))
}

impl Gate {
    /// The account whose token is in the query of a call that is to be passed on; `None` if this
    /// is no call to WeChat's API.
    pub(super) fn bearer_of(&self, path: &str, query: &str) -> Option<Result<Arc<Kept>, Refusal>> {
        let token = parameter(query, "access_token").filter(|token| !token.is_empty());
        let Some(token) = token else {
            let missing = || Err(Refusal::new(41001, "access_token missing"));
            return path.starts_with("/cgi-bin/").then(missing);
        };
        let found = self.holder(&Secret::new(token)).and_then(|kept| {
            let (clients, now) = (self.app.roster.clients(), self.app.keeper.clock().now());
            let passes = clients.iter().any(|known| {
                let reaches = known.client.accounts.allow(&kept.account.appid);
                known.may(Scope::Proxy) && reaches && known.holds_at(now)
            });
            passes.then_some(kept).ok_or_else(|| {
                Refusal::new(
                    48001,
                    "api unauthorized: wxsign passes calls on once a client of this account has \
                     the scope proxy",
                )
            })
        });
        Some(found)
    }

    /// The account whose token this is: the current one, or the one before it while both live.
    fn holder(&self, token: &Secret) -> Result<Arc<Kept>, Refusal> {
        let (accounts, now) = (self.app.keeper.accounts(), self.app.keeper.clock().moment());
        let fingerprint = token.fingerprint();
        let found = accounts.iter().find(|kept| {
            let snapshot = kept.snapshot();
            let Some(current) = snapshot.token(now) else {
                return false;
            };
            let value = current.credential.value.expose().as_bytes();
            let both_live = now.wall < current.credential.first_seen + OVERLAP;
            bool::from(value.ct_eq(token.expose().as_bytes()))
                || both_live && current.former.first() == Some(&fingerprint)
        });
        found.cloned().ok_or_else(|| {
            Refusal::new(
                40001,
                "invalid credential, access_token is invalid or not latest: wxsign did not give \
                 it out, or it was replaced; fetch the token from wxsign",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::laws;
    use crate::laws::{made_of, object_of};

    proptest! {
        #[test]
        fn what_sdks_send_is_read_as_others_read_it(
            query in made_of(&["appid", "secret", "=", "&", "%61ppid", "+", "%2B", "%", "wxk_a", "微"]),
            body in object_of(&[
                "\"grant_type\":\"client_credential\"", "\"appid\":\"wx0\"", "\"secret\":null",
                "\"force_refresh\":true", "\"force_refresh\":\"true\"", "\"appid\":1",
            ]),
        ) {
            laws::of_sdks(&query, body.as_bytes());
        }
    }
}
