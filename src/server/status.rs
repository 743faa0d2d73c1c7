//! `/v1/accounts`: how the accounts fare.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Asking;
use super::openapi::{BACK_ENDS, OfAccounts, OfKeys, shapes};
use super::problem::{Code, Problem};
use super::segment::Segment;
use crate::account::{AppId, TokenApi};
use crate::client::Scope;
use crate::clock::Moment;
use crate::credential::{Fingerprint, Kind};
use crate::keeper::{Held, Kept, Served, Trouble};

/// All accounts that the caller may ask about.
#[derive(Serialize, ToSchema)]
struct List {
    /// The name in leases of the process that answers.
    #[schema(example = "host-a/4711")]
    node: String,
    accounts: Vec<Status>,
}

/// An account, without its secrets.
#[derive(Serialize, ToSchema)]
struct Status {
    #[schema(value_type = shapes::AppId, inline)]
    appid: AppId,
    /// What people call it.
    #[schema(required, example = "商城")]
    name: Option<String>,
    /// WeChat's API for the token: `classic` or `stable`, and `wecom` for a WeCom app.
    #[schema(value_type = String, pattern = "^(classic|stable|wecom)$", example = "classic")]
    token_api: TokenApi,
    /// The hosts whose pages are signed.
    #[schema(example = json!(["h5.example.com", "*.shop.example.com"]))]
    page_hosts: Vec<String>,
    /// Whether it hands out coupons.
    #[schema(example = false)]
    wx_card: bool,
    #[schema(required)]
    access_token: Option<Life>,
    #[schema(required)]
    jsapi_ticket: Option<Life>,
    /// WeChat's api_ticket, where it hands out coupons.
    #[serde(skip_serializing_if = "Option::is_none")]
    card_ticket: Option<Option<Life>>,
    /// What `wx.agentConfig` is signed with, of a WeCom app.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_ticket: Option<Option<Life>>,
    /// Who is fetching new ones.
    leases: Leases,
    /// Another program fetches tokens with this AppSecret.
    #[schema(example = false)]
    foreign_fetcher: bool,
    /// The evidence of that: when WeChat rejected tokens that should have lived on.
    #[schema(example = json!([]))]
    tokens_died_young: Vec<i64>,
    #[schema(required)]
    trouble: Option<TroubleView>,
}

/// A credential, without its value.
#[derive(Serialize, ToSchema)]
struct Life {
    /// Grows by one with each new value.
    #[schema(example = 1)]
    generation: u64,
    #[schema(value_type = shapes::Fingerprint, inline)]
    fingerprint: Fingerprint,
    /// Seconds of life that are left.
    #[schema(example = 7140)]
    expires_in: u64,
    /// In seconds since the Unix epoch, as all absolute times here.
    #[schema(example = 1_700_007_200)]
    expires_at: i64,
    /// When this value came first.
    #[schema(example = 1_700_000_000)]
    first_seen: i64,
    /// When WeChat last said that it holds.
    #[schema(example = 1_700_000_000)]
    confirmed_at: i64,
    /// The node that fetched or confirmed it last.
    #[schema(required, example = "host-a/4711")]
    renewed_by: Option<String>,
}

/// The lease of each credential, where one is known to the process that answers.
#[derive(Serialize, ToSchema)]
struct Leases {
    #[schema(required)]
    access_token: Option<LeaseView>,
    #[schema(required)]
    jsapi_ticket: Option<LeaseView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_ticket: Option<Option<LeaseView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_ticket: Option<Option<LeaseView>>,
}

/// The right to fetch a credential.
#[derive(Serialize, ToSchema)]
struct LeaseView {
    /// The node that has it.
    #[schema(example = "host-b/1147")]
    holder: String,
    /// When others may take it.
    #[schema(example = 1_700_000_030)]
    until: i64,
}

/// Why the last renewal failed.
#[derive(Serialize, ToSchema)]
struct TroubleView {
    /// Which credential could not be renewed.
    #[schema(value_type = String, example = "access_token")]
    kind: Kind,
    /// What happened.
    #[schema(example = "WeChat refused the AppSecret")]
    what: String,
    /// WeChat's word, where it said one.
    #[schema(required, example = 40125)]
    errcode: Option<i64>,
    #[schema(required, example = "invalid appsecret")]
    errmsg: Option<String>,
    /// Why that happens.
    #[schema(example = "the AppSecret is wrong")]
    why: &'static str,
    /// What to do about it.
    #[schema(example = "compare the AppSecret with WeChat's console")]
    remedy: String,
    /// WeChat's page about it.
    #[schema(
        example = "https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken.html"
    )]
    link: &'static str,
    /// The next try.
    #[schema(example = 1_700_000_060)]
    next_at: i64,
}

/// Lists the accounts.
///
/// Those that the key may ask about, and how they fare; no secrets.
#[utoipa::path(get, path = "/v1/accounts", tag = BACK_ENDS, security(("client_key" = ["status"])),
    responses((status = 200, description = "The accounts.", body = List), OfKeys))]
pub(super) async fn list(asking: Asking) -> Result<Response, Problem> {
    let (gate, caller) = (&asking.gate, asking.caller()?);
    caller.needs(Scope::Status)?;
    let app = Arc::clone(&gate.app);
    // Of many accounts this is a long text.
    let listed = tokio::task::spawn_blocking(move || {
        let keeper = &app.keeper;
        let (accounts, now) = (keeper.accounts(), keeper.clock().moment());
        let allowed = |kept: &&Arc<Kept>| caller.client.accounts.allow(&kept.account.appid);
        let mut accounts: Vec<_> = (accounts.iter().filter(allowed))
            .map(|kept| Status::of(kept, now))
            .collect();
        accounts.sort_by(|one, other| one.appid.cmp(&other.appid));
        let node = keeper.node().to_owned();
        answer(List { node, accounts })
    });
    listed
        .await
        .map_err(|error| Problem::new(Code::InternalError, error.to_string()))
}

/// Tells how an account fares.
#[utoipa::path(get, path = "/v1/accounts/{appid}", tag = BACK_ENDS, security(("client_key" = ["status"])),
    params(shapes::InPath),
    responses((status = 200, description = "The account.", body = Status), OfAccounts))]
pub(super) async fn one(asking: Asking, Segment(appid): Segment) -> Result<Response, Problem> {
    let (_, kept) = asking.admit(Scope::Status, &appid)?;
    let gate = &asking.gate;
    Ok(answer(Status::of(&kept, gate.app.keeper.clock().moment())))
}

/// An answer that nobody keeps.
pub(super) fn answer(body: impl Serialize) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

impl Status {
    fn of(kept: &Kept, now: Moment) -> Self {
        let (account, snapshot) = (&kept.account, kept.snapshot());
        let life = |served: Option<&Served>| served.map(|served| Life::of(served, now));
        let lease = |kind| {
            snapshot
                .lease(kind, now)
                .map(|held| LeaseView::of(held, now))
        };
        let further = |of| account.further_ticket().filter(|kind| *kind == of);
        let (card, agent) = (further(Kind::CardTicket), further(Kind::AgentTicket));
        Self {
            appid: account.appid.clone(),
            name: account.name.clone(),
            token_api: account.token_api,
            page_hosts: account.page_hosts.patterns(),
            wx_card: account.wx_card,
            access_token: life(snapshot.token(now)),
            jsapi_ticket: life(snapshot.ticket(now)),
            card_ticket: card.map(|kind| life(snapshot.served(kind, now))),
            agent_ticket: agent.map(|kind| life(snapshot.served(kind, now))),
            leases: Leases {
                access_token: lease(Kind::AccessToken),
                jsapi_ticket: lease(Kind::JsapiTicket),
                card_ticket: card.map(lease),
                agent_ticket: agent.map(lease),
            },
            foreign_fetcher: snapshot.is_robbed(),
            tokens_died_young: (snapshot.died_young().iter())
                .map(|at| at.as_secs())
                .collect(),
            trouble: snapshot.troubled().map(TroubleView::of),
        }
    }
}

impl Life {
    fn of(served: &Served, now: Moment) -> Self {
        let (credential, left) = (&served.credential, served.until.left(now));
        Self {
            generation: credential.generation,
            fingerprint: credential.value.fingerprint(),
            expires_in: left.as_secs(),
            expires_at: (now.wall + left).as_secs(),
            first_seen: credential.first_seen.as_secs(),
            confirmed_at: credential.confirmed_at.as_secs(),
            renewed_by: served.renewed_by.as_deref().cloned(),
        }
    }
}

impl LeaseView {
    fn of(held: &Held, now: Moment) -> Self {
        Self {
            holder: held.holder.clone(),
            until: (now.wall + held.until.left(now)).as_secs(),
        }
    }
}

impl TroubleView {
    fn of((kind, trouble): (Kind, &Trouble)) -> Self {
        Self {
            kind,
            what: trouble.what.clone(),
            errcode: trouble.errcode,
            errmsg: trouble.errmsg.clone(),
            why: trouble.explanation.why.en,
            remedy: trouble.remedy().en,
            link: trouble.explanation.link,
            next_at: trouble.next_at.as_secs(),
        }
    }
}
