//! `/v1/accounts/{appid}`: adds, changes and removes accounts at run time.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::Instrument;
use utoipa::ToSchema;

use super::auth::Asking;
use super::openapi::{BACK_ENDS, OfAccountChanges, OfAccountRemovals, shapes};
use super::problem::{Code, Problem};
use super::segment::Segment;
use crate::account::{AppId, TokenApi, parse_name};
use crate::client::Scope;
use crate::config::parse_secret;
use crate::history::What;
use crate::page_hosts::PageHosts;
use crate::roster::{Caller, Draft, Put, RosterError};
use crate::upstream::{Failure, UpstreamError, explain};

/// An account as it is stored, without its AppSecret.
#[derive(Serialize, ToSchema)]
pub(super) struct Stored {
    #[schema(value_type = shapes::AppId, inline)]
    appid: AppId,
    #[schema(required, example = "商城")]
    name: Option<String>,
    /// WeChat's API for the token: `classic` or `stable`, and `wecom` for a WeCom app.
    #[schema(value_type = String, pattern = "^(classic|stable|wecom)$", example = "classic")]
    token_api: TokenApi,
    #[schema(example = json!(["h5.example.com", "*.shop.example.com"]))]
    page_hosts: Vec<String>,
    /// Whether it hands out coupons, for which it has a ticket of their own.
    #[schema(example = false)]
    wx_card: bool,
    /// In seconds since the Unix epoch.
    #[schema(example = 1_700_000_000)]
    changed_at: i64,
}

/// Adds an account, or changes it.
///
/// WeChat is asked first whether it accepts the AppSecret. Of an account that is there, what is
/// left out stays as it is.
#[utoipa::path(put, path = "/v1/accounts/{appid}", tag = BACK_ENDS, security(("client_key" = ["admin"])),
    params(shapes::InPath), request_body = shapes::AccountDraft,
    responses(
        (status = 200, description = "The account was changed.", body = Stored),
        (status = 201, description = "The account was added.", body = Stored),
        OfAccountChanges,
    ))]
pub(super) async fn put(
    asking: Asking,
    Segment(appid): Segment,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Stored>), Problem> {
    to_its_end(async move {
        let (gate, caller) = (&asking.gate, asking.caller()?);
        let appid = administered(&caller, &appid)?;
        let body = body.map_err(Problem::unreadable)?;
        let draft = draft(appid.clone(), &body).map_err(|what| {
            let example = r#"{"secret": "…", "page_hosts": ["h5.example.com"]}"#;
            Problem::new(Code::InvalidBody, format!("{what}; send {example}"))
        })?;
        let put = gate.app.roster.put(draft).await;
        let result = if put.is_ok() { "ok" } else { "refused" };
        caller.audit(&appid, "put the account", None, result);
        let Put { is_new, row } = put?;
        let (history, by) = (&gate.app.history, caller.client.name.as_str());
        history.record(What::account_put(is_new), Some(&appid), Some(by));
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let stored = Stored {
            appid,
            name: row.name,
            token_api: row.token_api,
            page_hosts: row.page_hosts,
            wx_card: row.wx_card,
            changed_at: row.changed_at.as_secs(),
        };
        Ok((status, Json(stored)))
    })
    .await
}

/// Removes an account.
///
/// Only one that was added at run time; those of the configuration stay.
#[utoipa::path(delete, path = "/v1/accounts/{appid}", tag = BACK_ENDS, security(("client_key" = ["admin"])),
    params(shapes::InPath),
    responses((status = 204, description = "It is gone."), OfAccountRemovals))]
pub(super) async fn delete(asking: Asking, Segment(appid): Segment) -> Result<StatusCode, Problem> {
    to_its_end(async move {
        let (gate, caller) = (&asking.gate, asking.caller()?);
        let appid = administered(&caller, &appid)?;
        let removed = gate.app.roster.remove(&appid).await;
        let result = if removed.is_ok() { "ok" } else { "refused" };
        caller.audit(&appid, "remove the account", None, result);
        removed?;
        let (history, by) = (&gate.app.history, caller.client.name.as_str());
        history.record(What::AccountRemoved, Some(&appid), Some(by));
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Makes the change, also when the caller hangs up meanwhile: what is stored is then audited and
/// served all the same.
pub(super) async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let changed = tokio::spawn(change.in_current_span()).await;
    changed.unwrap_or_else(|_| {
        let detail = "the change broke off: look at what is there before you send it again";
        Err(Problem::new(Code::InternalError, detail))
    })
}

/// The account, if the caller may change it.
fn administered(caller: &Caller, appid: &str) -> Result<AppId, Problem> {
    caller.needs(Scope::Admin)?;
    if let Err(why) = appid.parse::<AppId>() {
        return Err(Problem::new(Code::InvalidAppid, why.to_string()));
    }
    caller.reaches(appid)
}

/// Reads the body. Of what is wrong no value is told but a page host: it could be the AppSecret.
pub(super) fn draft(appid: AppId, body: &[u8]) -> Result<Draft, String> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it is not a JSON object (line {line}, column {column})")
    })?;
    let draft = Draft {
        appid,
        name: text(&mut members, "name")?
            .map(|name| parse_name(&name).map_err(|why| format!("name: {why}")))
            .transpose()?,
        token_api: text(&mut members, "token_api")?
            .map(|api| api.parse().map_err(|why| format!("token_api {why}")))
            .transpose()?,
        page_hosts: page_hosts(members.remove("page_hosts"))?,
        wx_card: truth_if_given(&mut members, "wx_card")?,
        secret: text(&mut members, "secret")?
            .map(|secret| parse_secret(&secret).map_err(|why| format!("secret {why}")))
            .transpose()?,
        unchecked: truth(&mut members, "unchecked")?,
    };
    match members.keys().next() {
        None => Ok(draft),
        Some(unknown) => Err(format!(
            "{:?} is not known: there are secret, name, token_api, page_hosts, wx_card and \
             unchecked",
            beginning(unknown)
        )),
    }
}

/// The beginning of a name that is not known here; it may be anything.
pub(super) fn beginning(name: &str) -> String {
    name.chars().take(40).collect()
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a text")),
    }
}

pub(super) fn truth(members: &mut Map<String, Value>, name: &str) -> Result<bool, String> {
    truth_if_given(members, name).map(Option::unwrap_or_default)
}

fn truth_if_given(members: &mut Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some(truth)),
        Some(_) => Err(format!("{name} must be true or false")),
    }
}

fn page_hosts(listed: Option<Value>) -> Result<PageHosts, String> {
    let wanted = "page_hosts must be a list of texts, such as [\"h5.example.com\"]";
    let Some(Value::Array(listed)) = listed else {
        return Err(wanted.to_owned());
    };
    let mut hosts = PageHosts::default();
    for host in &listed {
        let host = host.as_str().ok_or(wanted)?;
        hosts
            .add(host)
            .map_err(|why| format!("page_hosts: {why}"))?;
    }
    if hosts.is_empty() {
        return Err("page_hosts names no host: list those whose pages may be signed".to_owned());
    }
    Ok(hosts)
}

impl From<RosterError> for Problem {
    fn from(error: RosterError) -> Self {
        let code = match &error {
            RosterError::NoMasterKey | RosterError::NoKeyFor(_) => Code::NoMasterKey,
            RosterError::Configured(_) => Code::AccountIsConfigured,
            RosterError::Unknown(_) => Code::UnknownAccount,
            RosterError::NoSecret
            | RosterError::TokenApi(_)
            | RosterError::CouponsOfWeCom
            | RosterError::ClientIncomplete(_) => Code::InvalidBody,
            RosterError::Locked(_) => Code::AccountsLocked,
            RosterError::ClientConfigured(_) => Code::ClientIsConfigured,
            RosterError::ClientUnknown(_) => Code::UnknownClient,
            RosterError::ClientUnreadable(_) => Code::ClientUnreadable,
            RosterError::ClientBeyond(_) | RosterError::GrantBeyond(_) => Code::RightsExceeded,
            RosterError::ChangedMeanwhile => Code::ChangedMeanwhile,
            RosterError::Refused { .. } => Code::WechatRefused,
            RosterError::NotChecked(_) => Code::UpstreamUnreachable,
            RosterError::Store(_) | RosterError::MayBeRekeyed(_) => Code::StoreUnavailable,
        };
        let problem = Self::new(code, error.to_string());
        match error {
            RosterError::Refused {
                errcode,
                errmsg,
                link,
                ..
            } => problem.said(errcode, errmsg).see(Some(link)),
            RosterError::NotChecked(UpstreamError {
                api,
                failure: Failure::Refused { errcode, errmsg },
            }) => {
                let link = explain(api, errcode).map(|about| about.link);
                problem.said(errcode, errmsg).see(link)
            }
            _ => problem,
        }
    }
}
