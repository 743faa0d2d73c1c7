//! Every route on one screen, grouped by who calls it, and the layers around them.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{Request, StatusCode};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use super::problem::{Code, Problem};
use super::request_id::RequestId;
use super::{Gate, MAX_BODY_BYTES, cors, health, jsapi, pages, proxy};
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
        // Operators
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(pages::nothing_here);
    for (name, content) in &gate.app.verify_files {
        let content = content.clone();
        router = router.route(&format!("/{name}"), get(|| async { content }));
    }
    let mut router = router.with_state(Arc::clone(&gate));
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
        .layer(map_response(timed_out))
        // Outside of the limits above: a large body takes its time.
        .merge(passed_on(gate))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_failure(()),
        )
}

/// The calls of back ends that go on to WeChat.
fn passed_on(gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/proxy/{appid}/{*path}", any(proxy::any))
        .with_state(gate)
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

/// The layer that ends a slow request knows no problems.
async fn timed_out(response: Response) -> Response {
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        let advice = "it did not arrive in time: send it again";
        return Problem::new(Code::TimedOut, advice).into_response();
    }
    response
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // What happened is in the log, written where it happened.
    Problem::new(
        Code::InternalError,
        "this is a fault of wxsign: the log names it under the request_id",
    )
    .into_response()
}
