//! `/v1/clients`: who is let in, and the clients that are added, changed and removed at run time.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::accounts::{beginning, to_its_end, truth};
use super::auth::Asking;
use super::openapi::{BACK_ENDS, OfClientChanges, OfClientRemovals, OfKeys, shapes};
use super::problem::{Code, Problem};
use super::segment::Segment;
use super::status::answer;
use crate::client::{Accounts, Client, Scope, join, parse_name};
use crate::clock::Timestamp;
use crate::history::What;
use crate::roster::{Caller, ClientDraft, ClientPut, KeptIn, RosterError};

/// The end of the year 9999: whoever sends more has counted milliseconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// A client, without its keys.
#[derive(Serialize, ToSchema)]
struct ClientView {
    #[serde(flatten)]
    rights: Rights,
    /// Where it is kept: `configuration`, or `database` if it was added at run time.
    #[schema(value_type = String, pattern = "^(configuration|database)$", example = "database")]
    kept_in: KeptIn,
    /// When it was last here, since this process started.
    #[schema(required, example = 1_700_000_000)]
    last_used: Option<i64>,
}

/// What a client may do, and until when.
#[derive(Serialize, ToSchema)]
struct Rights {
    #[schema(example = "shop")]
    name: String,
    /// The AppIDs that it may ask about; `*` stands for all.
    #[schema(value_type = Vec<String>, example = json!(["wx0123456789abcdef"]))]
    accounts: Accounts,
    #[schema(value_type = Vec<String>, example = json!(["token", "report"]))]
    scopes: BTreeSet<Scope>,
    /// When its keys end, in seconds since the Unix epoch.
    #[schema(required, example = 1_900_000_000)]
    not_after: Option<i64>,
    /// How many keys it has: two while one takes the place of the other.
    #[schema(example = 1)]
    keys: usize,
}

/// The clients, without their keys.
#[derive(Serialize, ToSchema)]
struct ClientList {
    clients: Vec<ClientView>,
}

/// A client as it is stored.
#[derive(Serialize, ToSchema)]
pub(super) struct StoredClient {
    /// The new key, if it was given one. It is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "wxk_YOUR_KEY")]
    key: Option<String>,
    #[serde(flatten)]
    rights: Rights,
    /// In seconds since the Unix epoch.
    #[schema(example = 1_700_000_000)]
    changed_at: i64,
}

impl Rights {
    fn of(client: &Client) -> Self {
        Self {
            name: client.name.clone(),
            accounts: client.accounts.clone(),
            scopes: client.scopes.clone(),
            not_after: client.not_after.map(Timestamp::as_secs),
            keys: client.key_sha256.len(),
        }
    }
}

/// Lists the clients.
///
/// Who may ask about accounts that are yours to change, and when each was last here; no keys.
#[utoipa::path(get, path = "/v1/clients", tag = BACK_ENDS, security(("client_key" = ["admin"])),
    responses((status = 200, description = "The clients.", body = ClientList), OfKeys))]
pub(super) async fn list(asking: Asking) -> Result<Response, Problem> {
    let (gate, caller) = (&asking.gate, asking.caller()?);
    caller.needs(Scope::Admin)?;
    let clients = gate.app.roster.clients();
    let seen = (clients.iter())
        .filter(|known| caller.client.accounts.cover(&known.client.accounts))
        .map(|known| ClientView {
            rights: Rights::of(&known.client),
            kept_in: known.kept_in,
            last_used: known.last_used(),
        });
    let clients = seen.collect();
    Ok(answer(ClientList { clients }))
}

/// Adds a client, or changes it.
///
/// A new client, and one that is to `rotate`, is given a key, which this answer alone shows: if it
/// gets lost, `rotate` makes another. Nobody can give a client more than his own key has.
#[utoipa::path(put, path = "/v1/clients/{name}", tag = BACK_ENDS, security(("client_key" = ["admin"])),
    params(shapes::NameInPath), request_body = shapes::ClientDraft,
    responses(
        (status = 200, description = "The client was changed.", body = StoredClient),
        (status = 201, description = "The client was added.", body = StoredClient),
        OfClientChanges,
    ))]
pub(super) async fn put(
    asking: Asking,
    Segment(name): Segment,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    to_its_end(async move {
        let (gate, caller) = (&asking.gate, asking.caller()?);
        let name = administered(&caller, &name)?;
        let body = body.map_err(Problem::unreadable)?;
        let draft = draft(name.clone(), &body).map_err(|what| {
            let example = r#"{"scopes": ["token"], "accounts": ["*"]}"#;
            Problem::new(Code::InvalidBody, format!("{what}; send {example}"))
        })?;
        let put = gate.app.roster.put_client(&draft, Some(&caller.client));
        let put = put.await;
        audit(&caller, &name, "put the client", put.as_ref().map(Some));
        let ClientPut { is_new, row, key } = put?;
        let (history, by) = (&gate.app.history, caller.client.name.as_str());
        let what = What::client_put(&name, is_new, key.is_some());
        history.record(what, None, Some(by));
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let stored = StoredClient {
            key: key.map(|key| key.expose().to_owned()),
            rights: Rights::of(&row.client(&name)),
            changed_at: row.changed_at.as_secs(),
        };
        Ok((status, answer(stored)).into_response())
    })
    .await
}

/// Removes a client.
///
/// Only one that was added at run time; those of the configuration stay. Its keys are refused from
/// then on.
#[utoipa::path(delete, path = "/v1/clients/{name}", tag = BACK_ENDS, security(("client_key" = ["admin"])),
    params(shapes::NameInPath),
    responses((status = 204, description = "It is gone."), OfClientRemovals))]
pub(super) async fn delete(asking: Asking, Segment(name): Segment) -> Result<StatusCode, Problem> {
    to_its_end(async move {
        let (gate, caller) = (&asking.gate, asking.caller()?);
        let name = administered(&caller, &name)?;
        let removed = gate.app.roster.remove_client(&name, Some(&caller.client));
        let removed = removed.await;
        audit(
            &caller,
            &name,
            "remove the client",
            removed.as_ref().map(|()| None),
        );
        removed?;
        let (history, by) = (&gate.app.history, caller.client.name.as_str());
        let what = What::ClientRemoved { client: name };
        history.record(what, None, Some(by));
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// The name, if the caller may change clients.
fn administered(caller: &Caller, name: &str) -> Result<String, Problem> {
    caller.needs(Scope::Admin)?;
    parse_name(name).map_err(|why| {
        let detail = format!("the name of a client {why}");
        Problem::new(Code::InvalidClientName, detail)
    })
}

/// Writes down who changed what of a client; the key is written nowhere.
fn audit(caller: &Caller, name: &str, did: &str, done: Result<Option<&ClientPut>, &RosterError>) {
    let put = done.ok().flatten();
    tracing::info!(
        target: "wxsign::audit",
        client = caller.client.name,
        subject = name,
        did,
        scopes = put.map(|put| join(&put.row.scopes)),
        accounts = put.map(|put| put.row.accounts.to_string()),
        new_key = put.map(|put| put.key.is_some()),
        result = if done.is_ok() { "ok" } else { "refused" },
    );
}

/// Reads the body.
pub(super) fn draft(name: String, body: &[u8]) -> Result<ClientDraft, String> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it is not a JSON object (line {line}, column {column})")
    })?;
    let draft = ClientDraft {
        scopes: texts(&mut members, "scopes")?.map(scopes).transpose()?,
        accounts: texts(&mut members, "accounts")?
            .map(|listed| Accounts::try_from(listed).map_err(|why| format!("accounts: {why}")))
            .transpose()?,
        not_after: match members.remove("not_after") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(given) => {
                let seconds = given.as_i64().filter(|at| (0..=LAST_SECOND).contains(at));
                let why = "not_after must be a number of whole seconds since the Unix epoch";
                Some(Some(Timestamp::from_secs(seconds.ok_or(why)?)))
            }
        },
        rotate: truth(&mut members, "rotate")?,
        drop_former: truth(&mut members, "drop_former")?,
        ..ClientDraft::of(name)
    };
    match members.keys().next() {
        None => Ok(draft),
        Some(unknown) => Err(format!(
            "{:?} is not known: there are scopes, accounts, not_after, rotate and drop_former",
            beginning(unknown)
        )),
    }
}

/// A list of texts in which something stands; what stands there is not told, for it could be a key.
fn texts(members: &mut Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, String> {
    let listed = match members.remove(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(listed) => serde_json::from_value::<Vec<String>>(listed).ok(),
    };
    let listed = listed.filter(|listed| !listed.is_empty());
    listed
        .ok_or_else(|| format!("{name} must be a list of texts with something in it"))
        .map(Some)
}

fn scopes(listed: Vec<String>) -> Result<BTreeSet<Scope>, String> {
    let scopes: Result<_, _> = listed.iter().map(|name| name.parse()).collect();
    scopes.map_err(|_| {
        let all = Scope::ALL.map(Scope::as_str).join(", ");
        format!("scopes names what is none: there are {all}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::laws;
    use crate::laws::object_of;

    proptest! {
        #[test]
        fn a_change_that_is_refused_tells_no_secret(
            body in object_of(&[
                "\"secret\":\"0123456789abcdef0123456789abcdef\"",
                "\"secret\":\"0123456789abcdef 123456789abcdef\"",
                "\"key\":\"wxk_0123456789abcdef0123456789abcdef\"",
                "\"page_hosts\":[\"h5.example.com\"]", "\"page_hosts\":[\"https://x\"]", "\"name\":\"\\u0000\"",
                "\"scopes\":[\"token\"]", "\"scopes\":[]", "\"accounts\":[\"*\"]", "\"accounts\":[\"x\"]",
                "\"not_after\":1800000000", "\"not_after\":1e99", "\"rotate\":true", "\"rotate\":1",
            ]),
            unknown in "[a-z]{0,2000}",
        ) {
            laws::drafts(body.as_bytes());
            laws::drafts(format!("{{\"{unknown}\":1,\"page_hosts\":[\"a\"]}}").as_bytes());
        }
    }
}
