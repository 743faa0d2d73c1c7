//! `/livez` and `/readyz`, for whoever starts, restarts and balances.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Gate;
use super::openapi::OPERATORS;
use crate::app::App;

/// How many accounts in trouble are named.
const NAMED: usize = 10;

/// How the server fares.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// In one word.
    #[schema(example = "ready")]
    status: &'static str,
    /// What is not as it should be, for ten accounts at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!([]))]
    reasons: Vec<String>,
}

/// Whether the process works.
///
/// 503 only when a restart would help.
#[utoipa::path(get, path = "/livez", tag = OPERATORS, responses(
    (status = 200, description = "It does.", body = Health),
    (status = 503, description = "It does not: restart it.", body = Health),
))]
pub(super) async fn livez(State(gate): State<Arc<Gate>>) -> (StatusCode, Json<Health>) {
    let alive = gate.app.keeper.is_alive();
    let reasons = if alive {
        Vec::new()
    } else {
        vec!["the keeper's queue has stopped turning".to_owned()]
    };
    health(alive, "alive", reasons)
}

/// Whether pages can be signed.
///
/// 200 while they can for at least one account.
#[utoipa::path(get, path = "/readyz", tag = OPERATORS, responses(
    (status = 200, description = "They can; `reasons` names accounts in trouble.", body = Health),
    (status = 503, description = "They cannot: send no requests here.", body = Health),
))]
pub(super) async fn readyz(State(gate): State<Arc<Gate>>) -> (StatusCode, Json<Health>) {
    let App {
        keeper,
        roster,
        draining,
        ..
    } = &*gate.app;
    let accounts = keeper.accounts();
    let now = keeper.clock().moment();
    let (mut usable, mut reasons) = (0, Vec::new());
    if draining.is_cancelled() {
        reasons.push("the server is stopping".to_owned());
    }
    if !keeper.is_alive() {
        reasons.push("the keeper's queue has stopped turning".to_owned());
    }
    let stuck = !reasons.is_empty();
    if let Some(locked) = roster.locked() {
        reasons.push(locked.to_string());
    } else if accounts.iter().next().is_none() {
        reasons.push("there is no account yet: add one with wxsign account add".to_owned());
    }
    for kept in accounts.iter() {
        let snapshot = kept.snapshot();
        let signs = snapshot.signer(now).is_some();
        usable += usize::from(signs);
        let what = match (snapshot.trouble(), signs) {
            (Some(trouble), _) => trouble.what.as_str(),
            (None, false) => "there is no jsapi_ticket yet",
            (None, true) => continue,
        };
        if reasons.len() < NAMED {
            reasons.push(format!("{}: {what}", kept.account.appid));
        }
    }
    health(usable > 0 && !stuck, "ready", reasons)
}

fn health(good: bool, word: &'static str, reasons: Vec<String>) -> (StatusCode, Json<Health>) {
    let (code, status) = if good {
        (StatusCode::OK, word)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    (code, Json(Health { status, reasons }))
}
