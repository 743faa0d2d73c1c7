//! WeCom's own paths, for SDKs of WeCom (企业微信) whose API host can be set.
//!
//! At WeCom the secret says which app of the corporation is meant. Here a client key is given for
//! it: a key that is for one app of the corporation says the same; else the `corpid` is to be the
//! whole name of the app.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Refusal, answer, fetch_for, parameter, ticket_of};
use crate::account::AppId;
use crate::client::Scope;
use crate::credential::{Kind, Secret};
use crate::keeper::Kept;
use crate::roster::Caller;
use crate::server::auth::Refused;
use crate::server::openapi::{SDKS, shapes, wecom};
use crate::server::request_id::RequestId;
use crate::server::{Gate, Peer};

/// Fetches the access_token of a WeCom app, as from WeCom.
///
/// A second fetch of the same token by the same client, long before the end that it was told, is
/// taken for a report of it.
#[utoipa::path(get, path = "/cgi-bin/gettoken", tag = SDKS, params(wecom::WeComTokenQuery),
    responses((status = 200, description = "The token or the refusal.", body = wecom::WeComTokenAnswer)))]
pub(in crate::server) async fn gettoken(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    Extension(id): Extension<RequestId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let outcome = async {
        let (caller, kept) = authorise(&gate, &query, &headers, peer.0)?;
        let token = fetch_for(&gate, &caller, &kept, false).await?;
        Ok(json!({
            "errcode": 0,
            "errmsg": "ok",
            "access_token": token["access_token"],
            "expires_in": token["expires_in"],
        }))
    };
    answer_to(&id, outcome.await)
}

/// Fetches the jsapi_ticket of the corporation with the token, as from WeCom.
#[utoipa::path(get, path = "/cgi-bin/get_jsapi_ticket", tag = SDKS,
    params(wecom::WeComTicketQuery),
    responses((status = 200, description = "The ticket or the refusal.", body = shapes::TicketAnswer)))]
pub(in crate::server) async fn get_jsapi_ticket(
    State(gate): State<Arc<Gate>>,
    Extension(id): Extension<RequestId>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    answer_to(&id, ticket(&gate, &query, Kind::JsapiTicket).await)
}

/// Fetches the ticket of the app for `wx.agentConfig` with the token, as from WeCom.
#[utoipa::path(get, path = "/cgi-bin/ticket/get", tag = SDKS, params(wecom::AgentTicketQuery),
    responses((status = 200, description = "The ticket or the refusal.", body = shapes::TicketAnswer)))]
pub(in crate::server) async fn ticket_get(
    State(gate): State<Arc<Gate>>,
    Extension(id): Extension<RequestId>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let outcome = if parameter(&query, "type").as_deref() == Some("agent_config") {
        ticket(&gate, &query, Kind::AgentTicket).await
    } else {
        let errmsg = "invalid type: it must be agent_config";
        Err(Refusal::new(40005, errmsg))
    };
    answer_to(&id, outcome)
}

async fn ticket(gate: &Gate, query: &str, kind: Kind) -> Result<Value, Refusal> {
    let token = parameter(query, "access_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Refusal::new(41001, "access_token missing"))?;
    let holder = gate.holder(&Secret::new(token)).ok();
    let holder = holder.filter(|kept| kept.account.appid.wecom().is_some());
    let kept = holder.ok_or_else(|| {
        Refusal::new(
            40014,
            "invalid access_token: wxsign did not give it out to a WeCom app, or it was replaced; \
             fetch the token from wxsign",
        )
    })?;
    ticket_of(gate, &kept, kind).await
}

/// In WeCom's words (<https://developer.work.weixin.qq.com/document/path/90313>).
fn answer_to(id: &RequestId, outcome: Result<Value, Refusal>) -> Response {
    let body = outcome.unwrap_or_else(|refusal| {
        let Refusal { errcode, errmsg } = refusal;
        json!({ "errcode": errcode, "errmsg": format!("{errmsg}, hint: [{}]", id.as_str()) })
    });
    answer(&body)
}

fn authorise(
    gate: &Gate,
    query: &str,
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<(Arc<Caller>, Arc<Kept>), Refusal> {
    let given = |name| parameter(query, name).filter(|text| !text.is_empty());
    let corpid = given("corpid").ok_or_else(|| Refusal::new(41002, "corpid missing"))?;
    let key = given("corpsecret").ok_or_else(|| {
        let errmsg = "corpsecret missing: give the client key of wxsign for it";
        Refusal::new(41004, errmsg)
    })?;
    let caller = (gate.recognise(&key, headers, peer)).map_err(|refused| match refused {
        Refused::Key => Refusal::new(
            40001,
            "invalid credential: wxsign takes a client key (wxk_…) for the corpsecret, never the \
             Secret of the app",
        ),
        Refused::TooMany(_) => Refusal::new(
            45009,
            "api freq out of limit: too many wrong keys came from this address",
        ),
    })?;
    let kept = find(gate, &caller, &corpid)?;
    if !caller.may(Scope::Token) {
        let errmsg = "api forbidden: this client key of wxsign needs the scope token";
        return Err(Refusal::new(48002, errmsg));
    }
    Ok((caller, kept))
}

/// The app that is meant: the one of that name, or the only one of the corporation that the caller
/// may ask about.
fn find(gate: &Gate, caller: &Caller, corpid: &str) -> Result<Arc<Kept>, Refusal> {
    let accounts = gate.app.keeper.accounts();
    let is_meant = |appid: &AppId| {
        let of_corporation = appid.wecom().is_some_and(|(id, _)| id == corpid);
        (of_corporation || appid.as_str() == corpid) && appid.wecom().is_some()
    };
    let mut meant = accounts.iter().filter(|kept| {
        let appid = &kept.account.appid;
        is_meant(appid) && caller.client.accounts.allow(appid)
    });
    let first = meant.next().ok_or_else(|| {
        let errmsg = "invalid corpid: wxsign has no such WeCom app for this client key";
        Refusal::new(40013, errmsg)
    })?;
    if meant.next().is_some() {
        let errmsg = "invalid corpid: this client key is for several apps of the corporation: give \
                      CorpID-AgentId for the corpid, or use a key for one app";
        return Err(Refusal::new(40013, errmsg));
    }
    Ok(Arc::clone(first))
}
