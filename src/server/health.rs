//! `/livez`, `/readyz` and `/metrics`, for whoever starts, restarts, balances and watches.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use tokio::task::JoinError;
use utoipa::ToSchema;

use super::Gate;
use super::openapi::OPERATORS;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::metrics;

/// How many things in trouble are named.
const NAMED: usize = 10;

/// How the server fares.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// In one word.
    #[schema(example = "ready")]
    status: &'static str,
    /// What is not as it should be, ten things at most.
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
    (status = 200, description = "They can; `reasons` names accounts in trouble, and a store that \
        does not answer.", body = Health),
    (status = 503, description = "They cannot: send no requests here.", body = Health),
))]
pub(super) async fn readyz(
    State(gate): State<Arc<Gate>>,
) -> Result<(StatusCode, Json<Health>), Problem> {
    let App {
        keeper,
        roster,
        store,
        draining,
        overview,
        ..
    } = &*gate.app;
    let mut reasons = Vec::new();
    if draining.is_cancelled() {
        reasons.push("the server is stopping".to_owned());
    }
    if !keeper.is_alive() {
        reasons.push("the keeper's queue has stopped turning".to_owned());
    }
    let stuck = !reasons.is_empty();
    if store.tally().failing().is_some() {
        // Anyone may ask, and why would name servers inside.
        let what = "the store does not answer or cannot be read, the log says why: going on with \
                    what is known here";
        reasons.push(what.to_owned());
    }
    if let Some(locked) = roster.locked() {
        reasons.push(locked.to_string());
    } else if keeper.accounts().is_empty() {
        reasons.push("there is no account yet: add one with wxsign account add".to_owned());
    }
    let asked = keeper.clone();
    let found = overview.get(keeper.clock(), move || Arc::new(asked.overview()));
    let overview = found.await.map_err(broke_off)?;
    let troubled = overview.troubled.iter();
    reasons.extend(troubled.map(|(appid, what)| format!("{appid}: {what}")));
    reasons.truncate(NAMED);
    Ok(health(overview.signing > 0 && !stuck, "ready", reasons))
}

/// How every credential stands, for a monitoring system.
///
/// In the OpenMetrics text format, as Prometheus reads it. The README lists the families.
#[utoipa::path(get, path = "/metrics", tag = OPERATORS, responses(
    (status = 200, description = "The metrics.", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
        example = "# HELP wxsign_store_up 1 while the store answers.\n\
            # TYPE wxsign_store_up gauge\nwxsign_store_up 1\n# EOF\n"),
))]
pub(super) async fn metrics(State(gate): State<Arc<Gate>>) -> Result<Response, Problem> {
    let app = Arc::clone(&gate.app);
    let (metrics, clock) = (&gate.app.metrics, gate.app.keeper.clock());
    let text = metrics.get(clock, || metrics::text(app).into());
    let text = text.await.map_err(broke_off)?;
    let headers = [
        (CONTENT_TYPE, metrics::CONTENT_TYPE),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text).into_response())
}

fn broke_off(error: JoinError) -> Problem {
    Problem::new(Code::InternalError, error.to_string())
}

fn health(good: bool, word: &'static str, reasons: Vec<String>) -> (StatusCode, Json<Health>) {
    let (code, status) = if good {
        (StatusCode::OK, word)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    (code, Json(Health { status, reasons }))
}
