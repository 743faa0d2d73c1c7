//! Every route on one screen, grouped by who calls it, and the layers around them.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::{Request, StatusCode};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use super::problem::{Code, Problem};
use super::request_id::RequestId;
use super::{Gate, MAX_BODY_BYTES, accounts, cors, health, jsapi, pages};
use crate::simulator;

/// No handler takes longer; those that wait for a ticket give up well before.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn router(gate: Arc<Gate>) -> Router {
    let simulator = gate.app.simulator.clone();
    let mut router = Router::new()
        // Pages and their developers
        .route(
            "/jsapi/signature",
            get(jsapi::get).post(jsapi::post).options(cors::preflight),
        )
        .route(
            "/jsapi/report",
            post(jsapi::report).options(cors::preflight),
        )
        .route("/", get(pages::root))
        .route("/demo", get(pages::demo))
        .route("/static/{name}", get(pages::asset))
        // Whoever administers accounts
        .route(
            "/v1/accounts/{appid}",
            put(accounts::put).delete(accounts::delete),
        )
        // Operators
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(pages::nothing_here);
    for (name, content) in &gate.app.verify_files {
        let content = content.clone();
        router = router.route(&format!("/{name}"), get(|| async { content }));
    }
    let mut router = router.with_state(gate);
    if let Some(simulator) = simulator {
        router = router.merge(simulator::control_router(simulator));
    }
    // From the inside out: a request passes the last one first.
    router
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            HANDLER_TIMEOUT,
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_failure(()),
        )
}

/// Names the request in its log lines: by path alone, since a query can hold what must not be
/// logged.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request.extensions().get::<RequestId>();
    tracing::info_span!(
        "request",
        id = id.map(RequestId::as_str),
        method = %request.method(),
        path = request.uri().path(),
    )
}

async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "the header Allow says which one is")
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // What happened is in the log, written where it happened.
    Problem::new(
        Code::InternalError,
        "this is a fault of wxsign: the log names it under the request_id",
    )
    .into_response()
}
