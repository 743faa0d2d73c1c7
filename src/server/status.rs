//! `/v1/accounts`: how the accounts fare.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde::Serialize;

use super::backend::life_left;
use super::problem::Problem;
use super::segment::Segment;
use super::{Gate, Peer};
use crate::account::{AppId, TokenApi};
use crate::clock::Moment;
use crate::config::{Accounts, Scope};
use crate::credential::Fingerprint;
use crate::keeper::{Kept, Served, Trouble};

/// All accounts that the caller may ask about.
#[derive(Serialize)]
struct List {
    accounts: Vec<Status>,
}

/// An account, without its secrets.
#[derive(Serialize)]
struct Status {
    appid: AppId,
    token_api: TokenApi,
    page_hosts: Vec<String>,
    access_token: Option<Life>,
    jsapi_ticket: Option<Life>,
    /// Another program fetches tokens with this AppSecret.
    foreign_fetcher: bool,
    trouble: Option<TroubleView>,
}

/// A credential, without its value.
#[derive(Serialize)]
struct Life {
    generation: u64,
    fingerprint: Fingerprint,
    expires_in: u64,
    /// In seconds since the Unix epoch, as all absolute times here.
    expires_at: i64,
    first_seen: i64,
    confirmed_at: i64,
}

/// Why the last renewal failed.
#[derive(Serialize)]
struct TroubleView {
    what: String,
    errcode: Option<i64>,
    errmsg: Option<String>,
    remedy: Option<&'static str>,
    /// The next try.
    next_at: i64,
}

/// A client, without its key.
#[derive(Serialize)]
struct ClientView {
    name: String,
    accounts: Vec<String>,
    scopes: BTreeSet<&'static str>,
    not_after: Option<i64>,
    last_used: Option<i64>,
}

#[derive(Serialize)]
struct ClientList {
    clients: Vec<ClientView>,
}

/// `GET /v1/accounts`
pub(super) async fn list(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = gate.authenticate(&headers, query.as_deref(), peer.0)?;
    caller.needs(Scope::Status)?;
    let now = gate.app.keeper.clock().moment();
    let accounts = gate.app.keeper.accounts();
    let allowed = |kept: &&Arc<Kept>| caller.client.accounts.allow(&kept.account.appid);
    let mut accounts: Vec<_> = (accounts.iter().filter(allowed))
        .map(|kept| Status::of(kept, now))
        .collect();
    accounts.sort_by(|one, other| one.appid.cmp(&other.appid));
    Ok(answer(List { accounts }))
}

/// `GET /v1/accounts/{appid}`
pub(super) async fn one(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    Segment(appid): Segment,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = Scope::Status;
    let (_, kept) = gate.admit(&headers, query.as_deref(), peer.0, scope, &appid)?;
    Ok(answer(Status::of(&kept, gate.app.keeper.clock().moment())))
}

/// `GET /v1/clients`: who may ask, and when each was last here.
pub(super) async fn clients(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = gate.authenticate(&headers, query.as_deref(), peer.0)?;
    caller.needs(Scope::Admin)?;
    let clients = gate.clients.iter().map(|known| ClientView {
        name: known.client.name.clone(),
        accounts: match &known.client.accounts {
            Accounts::All => vec!["*".to_owned()],
            Accounts::Listed(listed) => listed.iter().map(AppId::to_string).collect(),
        },
        scopes: known
            .client
            .scopes
            .iter()
            .map(|scope| scope.as_str())
            .collect(),
        not_after: known.client.not_after.map(|at| at.as_secs()),
        last_used: known.last_used(),
    });
    let clients = clients.collect();
    Ok(answer(ClientList { clients }))
}

fn answer(body: impl Serialize) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

impl Status {
    fn of(kept: &Kept, now: Moment) -> Self {
        let (account, snapshot) = (&kept.account, kept.snapshot());
        let life = |served: Option<&Served>| served.map(|served| Life::of(served, now));
        Self {
            appid: account.appid.clone(),
            token_api: account.token_api,
            page_hosts: account.page_hosts.patterns(),
            access_token: life(snapshot.token(now)),
            jsapi_ticket: life(snapshot.ticket(now)),
            foreign_fetcher: snapshot.is_robbed(),
            trouble: snapshot.trouble().map(TroubleView::of),
        }
    }
}

impl Life {
    fn of(served: &Served, now: Moment) -> Self {
        let (credential, left) = (&served.credential, life_left(served, now));
        Self {
            generation: credential.generation,
            fingerprint: credential.value.fingerprint(),
            expires_in: left.as_secs(),
            expires_at: (now.wall + left).as_secs(),
            first_seen: credential.first_seen.as_secs(),
            confirmed_at: credential.confirmed_at.as_secs(),
        }
    }
}

impl TroubleView {
    fn of(trouble: &Trouble) -> Self {
        Self {
            what: trouble.what.clone(),
            errcode: trouble.errcode,
            errmsg: trouble.errmsg.clone(),
            remedy: trouble.remedy,
            next_at: trouble.next_at.as_secs(),
        }
    }
}
