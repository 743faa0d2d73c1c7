//! Every route on one screen, grouped by who calls it, and the layers around them.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{self, DefaultBodyLimit, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use http::Request;
use http::header::CONTENT_LENGTH;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use super::problem::{Code, Problem};
use super::request_id::RequestId;
use super::{
    Audience, Gate, MAX_BODY_BYTES, accounts, backend, cards, clients, console, cors, debug, docs,
    dropin, events, health, jsapi, openapi, pages, proxy, status, timed,
};
use crate::simulator;

/// How long a handler takes at most, and how many bytes it reads. Both are kept by one layer, because
/// around each route there is a copy of each layer.
#[derive(Clone, Copy)]
struct Limits {
    time: Duration,
    bytes: usize,
}

/// Handlers that wait for a ticket give up well before.
const USUAL: Limits = Limits {
    time: Duration::from_secs(30),
    bytes: MAX_BODY_BYTES,
};

/// Some wait for something newer, as long as they were told to.
const OF_THOSE_WHO_WAIT: Limits = Limits {
    time: Duration::from_secs(75),
    ..USUAL
};

const OF_DEBUGGING: Limits = Limits {
    bytes: debug::MAX_QUESTION_BYTES,
    ..USUAL
};

pub(super) fn router(gate: Arc<Gate>, audience: Audience) -> Router {
    let mut router = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/static/{name}", get(pages::asset));
    if audience != Audience::BackEnds {
        router = router.merge(for_pages(&gate));
    }
    if audience != Audience::Pages {
        router = router.merge(for_back_ends());
        if gate.app.console.is_some() {
            router = router.merge(console::routes(&gate));
        }
    }
    let has_debugger = audience != Audience::Pages || gate.app.simulator.is_some();
    if !has_debugger {
        router = router.route("/debug", get(debug::elsewhere));
    }
    let mut router = limited(router, USUAL);
    if has_debugger {
        router = router.merge(limited(for_debugging(), OF_DEBUGGING));
    }
    if audience != Audience::Pages {
        // Beside those limits, where a large body takes its time.
        router = router
            .merge(limited(for_those_who_wait(), OF_THOSE_WHO_WAIT))
            .route("/proxy/{appid}/{*path}", any(proxy::any))
            .fallback(proxy::with_token);
    } else {
        router = router.fallback(pages::nothing_here);
    }
    let mut router = router
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::clone(&gate));
    if let Some(simulator) = &gate.app.simulator {
        router = router.merge(simulator::control_router(simulator.clone()));
    }
    // From the inside out: a request passes the last one first.
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(gate, timed::timed))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_failure(()),
        )
}

/// Pages and their developers.
fn for_pages(gate: &Gate) -> Router<Arc<Gate>> {
    let mut router = Router::new()
        .route(
            "/jsapi/signature",
            get(jsapi::get).post(jsapi::post).options(cors::preflight),
        )
        .route(
            "/jsapi/report",
            post(jsapi::report).options(cors::preflight),
        )
        .route(
            "/jsapi/card-sign",
            get(cards::choice::get).options(cors::preflight),
        )
        .route(
            "/jsapi/agent-signature",
            get(jsapi::agent::get).options(cors::preflight),
        )
        .route("/", get(pages::root))
        .route("/demo", get(pages::demo))
        .route("/demo/qr.svg", get(pages::qr))
        .route("/docs/frontend", get(docs::frontend));
    for (name, content) in &gate.app.verify_files {
        let content = content.clone();
        router = router.route(&format!("/{name}"), get(|| async { content }));
    }
    router
}

/// Front-end developers: everyone where WeChat is simulated, else those who have a key.
fn for_debugging() -> Router<Arc<Gate>> {
    Router::new()
        .route("/debug", get(debug::page).post(debug::posted))
        .route("/debug/check", post(debug::check))
}

/// Back ends and operators: our own API, WeChat's paths for SDKs, and what describes all of it.
fn for_back_ends() -> Router<Arc<Gate>> {
    Router::new()
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(docs::page))
        .route("/v1/accounts", get(status::list))
        .route(
            "/v1/accounts/{appid}",
            get(status::one).put(accounts::put).delete(accounts::delete),
        )
        .route(
            "/v1/accounts/{appid}/access-token/report",
            post(backend::report),
        )
        .route(
            "/v1/accounts/{appid}/access-token/check",
            post(backend::check),
        )
        .route("/v1/accounts/{appid}/card-ext", post(cards::hand_out))
        .route("/v1/accounts/{appid}/card-sign", post(cards::choice::post))
        .route("/v1/clients", get(clients::list))
        .route(
            "/v1/clients/{name}",
            put(clients::put).delete(clients::delete),
        )
        .route("/v1/events", get(events::list))
        .route("/cgi-bin/token", get(dropin::token).post(dropin::token))
        .route("/cgi-bin/stable_token", any(dropin::stable_token))
        .route(
            "/cgi-bin/ticket/getticket",
            get(dropin::getticket).post(dropin::getticket),
        )
        .route("/cgi-bin/gettoken", get(dropin::wecom::gettoken))
        .route(
            "/cgi-bin/get_jsapi_ticket",
            get(dropin::wecom::get_jsapi_ticket),
        )
        .route("/cgi-bin/ticket/get", get(dropin::wecom::ticket_get))
}

/// Back ends that may wait for the next credential.
fn for_those_who_wait() -> Router<Arc<Gate>> {
    Router::new()
        .route(
            "/v1/accounts/{appid}/access-token",
            get(backend::access_token),
        )
        .route(
            "/v1/accounts/{appid}/jsapi-ticket",
            get(backend::jsapi_ticket),
        )
        .route("/v1/accounts/{appid}/card-ticket", get(cards::ticket))
        .route(
            "/v1/accounts/{appid}/agent-ticket",
            get(jsapi::agent::ticket),
        )
}

/// Has requests keep to limits.
fn limited<S: Clone + Send + Sync + 'static>(router: Router<S>, limits: Limits) -> Router<S> {
    router.layer(from_fn_with_state(limits, within))
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

/// Ends a request that takes longer, and refuses a body that is announced as too large before it is
/// sent; WeChat's own paths do that in WeChat's own words.
async fn within(
    State(limits): State<Limits>,
    mut request: extract::Request,
    next: Next,
) -> Response {
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    let is_large = announced.is_some_and(|length: u64| length > limits.bytes as u64);
    if is_large && request.uri().path().split('/').nth(1) != Some("cgi-bin") {
        return Problem::body_too_large(limits.bytes).into_response();
    }
    DefaultBodyLimit::max(limits.bytes).apply(&mut request);
    let answer = tokio::time::timeout(limits.time, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let advice = "it did not arrive in time: send it again";
        Problem::new(Code::TimedOut, advice).into_response()
    })
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;
    use crate::clock::{Clock, Timestamp};

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_ended_and_some_may_wait_longer() {
        for (limits, seconds) in [(USUAL, 30), (OF_DEBUGGING, 30), (OF_THOSE_WHO_WAIT, 75)] {
            let router = Router::new().route("/", get(std::future::pending::<()>));
            let router = limited(router, limits);
            let clock = Clock::following_tokio(Timestamp::from_secs(0));
            let began = clock.now();
            let Ok(response) = router.oneshot(Request::new(Body::empty())).await;
            assert_eq!(clock.now().since(began), Duration::from_secs(seconds));
            assert_eq!(response.status(), http::StatusCode::REQUEST_TIMEOUT);
        }
    }
}
