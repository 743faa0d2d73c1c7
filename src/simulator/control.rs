//! The control interface over HTTP: what tests and the demo turn, and what they look at.
//!
//! It shows tickets in plain text: they are a simulator's, and whoever learns how signatures are
//! made wants to compute one by hand.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::app::seconds;
use super::{
    Action, AddCard, App, CardVerdict, ChooseCard, Counters, Event, FaultRule, MistakenConfig,
    MistakenSigning, Preverify, Simulator, UnknownApp, Verdict,
};
use crate::account::AppId;
use crate::credential::Secret;

/// The control interface, and the questions about signatures.
pub fn control_router(simulator: Simulator) -> Router {
    Router::new()
        .route("/simulator/control", get(overview))
        .route("/simulator/control/apps/{appid}", put(put_app))
        .route(
            "/simulator/control/faults",
            get(faults).post(inject).delete(clear_faults),
        )
        .route("/simulator/control/actions", post(act))
        .route("/simulator/control/advance", post(advance))
        .route("/simulator/control/counters", get(counters))
        .route("/simulator/control/events", get(events))
        .route("/simulator/control/tickets", get(ticket))
        .route("/simulator/preverify", post(preverify))
        .route("/simulator/sign", post(sign))
        .route("/simulator/cards/add", post(add_card))
        .route("/simulator/cards/choose", post(choose_card))
        .with_state(simulator)
}

async fn overview(State(simulator): State<Simulator>) -> Json<Value> {
    let apps: Vec<Value> = simulator
        .apps()
        .iter()
        .map(|app| json!({"appid": app.appid, "domains": app.domains, "knobs": app.knobs}))
        .collect();
    Json(json!({"now": simulator.now(), "apps": apps, "faults": simulator.faults()}))
}

/// What of an account is to be set; what is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppPatch {
    secret: Option<Secret>,
    domains: Option<Vec<String>>,
    #[serde(default)]
    knobs: serde_json::Map<String, Value>,
}

/// Changes an account, or adds it.
async fn put_app(
    State(simulator): State<Simulator>,
    Path(appid): Path<String>,
    input: Input<AppPatch>,
) -> Result<StatusCode, Problem> {
    let Json(patch) = input?;
    let invalid = |detail: String| Problem(StatusCode::BAD_REQUEST, "invalid_app", detail);
    let appid: AppId = appid.parse().map_err(|fault| invalid(format!("{fault}")))?;
    let known = simulator.apps().into_iter().find(|app| app.appid == appid);
    let exists = known.is_some();
    let mut app = match (known, &patch.secret) {
        (Some(app), _) => app,
        (None, Some(secret)) => App::new(appid, secret.clone()),
        (None, None) => return Err(invalid("a new account needs a secret".to_owned())),
    };
    app.knobs = app
        .knobs
        .patched(&Value::Object(patch.knobs))
        .map_err(invalid)?;
    app.secret = patch.secret.unwrap_or(app.secret);
    app.domains = patch.domains.unwrap_or(app.domains);
    if exists {
        simulator.change_app(&app.appid.clone(), |old| *old = app)?;
    } else {
        simulator.add_app(app);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn faults(State(simulator): State<Simulator>) -> Json<Vec<FaultRule>> {
    Json(simulator.faults())
}

async fn inject(
    State(simulator): State<Simulator>,
    input: Input<FaultRule>,
) -> Result<StatusCode, Problem> {
    simulator.inject(input?.0);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(simulator): State<Simulator>) -> StatusCode {
    simulator.clear_faults();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    appid: AppId,
    action: Action,
}

async fn act(
    State(simulator): State<Simulator>,
    input: Input<Order>,
) -> Result<StatusCode, Problem> {
    let Json(order) = input?;
    simulator.act(&order.appid, order.action)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(with = "seconds")]
    seconds: Duration,
}

async fn advance(
    State(simulator): State<Simulator>,
    input: Input<Advance>,
) -> Result<Json<Value>, Problem> {
    simulator.advance(input?.seconds);
    Ok(Json(json!({"now": simulator.now()})))
}

async fn counters(State(simulator): State<Simulator>) -> Json<Counters> {
    Json(simulator.counters())
}

async fn events(State(simulator): State<Simulator>) -> Json<Vec<Event>> {
    Json(simulator.events())
}

#[derive(Deserialize)]
struct Which {
    appid: AppId,
}

#[derive(Serialize)]
struct LiveTicket {
    appid: AppId,
    ticket: String,
    fingerprint: String,
    /// That for `wx.agentConfig`, of a WeCom app.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_ticket: Option<String>,
}

async fn ticket(
    State(simulator): State<Simulator>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<LiveTicket>, Problem> {
    let Query(which) = which?;
    let ticket = simulator
        .newest_ticket(&which.appid)
        .ok_or_else(|| UnknownApp(which.appid.to_string()))?;
    let agent_ticket = simulator.newest_agent_ticket(&which.appid);
    Ok(Json(LiveTicket {
        agent_ticket: agent_ticket.map(|ticket| ticket.expose().to_owned()),
        appid: which.appid,
        fingerprint: ticket.fingerprint().to_string(),
        ticket: ticket.expose().to_owned(),
    }))
}

async fn preverify(
    State(simulator): State<Simulator>,
    input: Input<Preverify>,
) -> Result<Json<Verdict>, Problem> {
    Ok(Json(simulator.preverify(&input?.0)))
}

async fn sign(
    State(simulator): State<Simulator>,
    input: Input<MistakenSigning>,
) -> Result<Json<MistakenConfig>, Problem> {
    simulator.sign(&input?.0)?.map(Json).ok_or_else(|| {
        let detail = "this mistake cannot be made with this url: a query can only be cut where \
                      there is one";
        Problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "mistake_not_possible",
            detail.to_owned(),
        )
    })
}

async fn add_card(
    State(simulator): State<Simulator>,
    input: Input<AddCard>,
) -> Result<Json<CardVerdict>, Problem> {
    Ok(Json(simulator.add_card(&input?.0)?))
}

async fn choose_card(
    State(simulator): State<Simulator>,
    input: Input<ChooseCard>,
) -> Result<Json<CardVerdict>, Problem> {
    Ok(Json(simulator.choose_card(&input?.0)?))
}

/// The body of a request.
type Input<T> = Result<Json<T>, JsonRejection>;

/// An error answer (<https://www.rfc-editor.org/rfc/rfc9457>): status, code, detail.
struct Problem(StatusCode, &'static str, String);

impl From<UnknownApp> for Problem {
    fn from(fault: UnknownApp) -> Self {
        Self(StatusCode::NOT_FOUND, "unknown_account", fault.to_string())
    }
}

impl From<JsonRejection> for Problem {
    fn from(fault: JsonRejection) -> Self {
        Self(fault.status(), "invalid_body", fault.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(fault: QueryRejection) -> Self {
        Self(fault.status(), "invalid_query", fault.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, code, detail) = self;
        let body = json!({
            "title": status.canonical_reason(), "status": status.as_u16(),
            "code": code, "detail": detail,
        });
        let content_type = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, content_type)], Json(body)).into_response()
    }
}
