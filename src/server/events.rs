//! `GET /v1/events`: what happened, for people.

use std::borrow::Cow;

use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::auth::Asking;
use super::openapi::{BACK_ENDS, OfEvents, shapes};
use super::problem::{Code, Problem};
use super::status::answer;
use crate::account::AppId;
use crate::client::{Accounts, Scope};
use crate::history::{Event, Query};
use crate::roster::Caller;

/// Events, the newest first.
#[derive(Serialize, ToSchema)]
struct EventList {
    events: Vec<EventView>,
    /// Where to look on, as `before`, if there may be more.
    #[schema(required, value_type = Option<shapes::EventId>, inline)]
    next: Option<String>,
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
struct EventView {
    #[schema(value_type = shapes::EventId, inline)]
    id: String,
    /// In seconds since the Unix epoch, as all times here.
    #[schema(example = 1_700_000_000)]
    at: i64,
    /// The node that tells of it.
    #[schema(example = "host-a/4711")]
    node: String,
    /// The account that it is about, if it is about one.
    #[schema(required, value_type = Option<shapes::AppId>, inline)]
    appid: Option<AppId>,
    /// Who did it: a client, `console` or `cli`; nobody where wxsign did it itself, or a page.
    #[schema(required, example = "shop")]
    actor: Option<String>,
    /// What happened.
    #[schema(example = "renewal.failed")]
    what: &'static str,
    /// The same in one line, for people.
    #[schema(example = "wx0123456789abcdef jsapi_ticket: renewals work again")]
    line: String,
    #[schema(value_type = shapes::EventDetails, inline)]
    details: Map<String, Value>,
}

impl EventView {
    fn of(event: Event) -> Self {
        Self {
            id: event.id.to_string(),
            at: event.at().as_secs(),
            what: event.what.name(),
            line: event.to_string(),
            details: event.details(),
            node: event.node,
            appid: event.appid,
            actor: event.actor,
        }
    }
}

/// Lists what happened.
///
/// It is about accounts that the key may ask about. What is about none, such as changes of clients,
/// is for keys with the scope `admin` and all accounts.
#[utoipa::path(get, path = "/v1/events", tag = BACK_ENDS,
    security(("client_key" = ["admin"]), ("client_key" = ["status"])), params(shapes::EventQuery),
    responses((status = 200, description = "The events.", body = EventList), OfEvents))]
pub(super) async fn list(asking: Asking) -> Result<Response, Problem> {
    let (gate, caller) = (&asking.gate, asking.caller()?);
    if !caller.may(Scope::Admin) {
        caller.needs(Scope::Status)?;
    }
    let query = read(&asking.query, &caller)?;
    let accounts = &caller.client.accounts;
    let sees_all = caller.may(Scope::Admin) && *accounts == Accounts::All;
    let may = |event: &Event| {
        let appid = event.appid.as_ref();
        appid.map_or(sees_all, |appid| accounts.allow(appid))
    };
    let found = query.find(&gate.app.store, may).await;
    let found = found.map_err(|error| Problem::new(Code::StoreUnavailable, error.to_string()))?;
    Ok(answer(EventList {
        events: found.events.into_iter().map(EventView::of).collect(),
        next: found.next.map(|id| id.to_string()),
    }))
}

fn read(text: &str, caller: &Caller) -> Result<Query, Problem> {
    let mut query = Query::default();
    let mut given = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let wrong = |what: &str| Problem::new(Code::InvalidQuery, format!("{name} {what}"));
        let is_known = ["appid", "what", "text", "before", "after", "limit"].contains(&&*name);
        if is_known && given.contains(&name) {
            return Err(wrong("is given twice: give it once"));
        }
        let id = |value: Cow<'_, str>| value.parse().map_err(wrong);
        match &*name {
            "appid" => query.appid = Some(caller.reaches(&value)?),
            "what" => query.what = Some(value.into_owned()),
            "text" => query.text = Some(value.into_owned()),
            "before" => query.before = Some(id(value)?),
            "after" => query.after = Some(id(value)?),
            "limit" => {
                let limit = value.parse().ok();
                let limit = limit.filter(|limit| (1..=Query::MOST).contains(limit));
                query.limit = limit.ok_or_else(|| {
                    let most = Query::MOST;
                    wrong(&format!("must be a whole number from 1 to {most}"))
                })?;
            }
            _ => {}
        }
        given.push(name);
    }
    Ok(query)
}
