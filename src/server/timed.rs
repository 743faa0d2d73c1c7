//! Times what passes the router.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;

use super::Gate;
use crate::app::RequestLabels;

/// The layer. A signature that is made at once is not seen here, nor is the time that a body takes.
pub(super) async fn timed(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    // What is asked for where there is no route may be anything.
    let route = path.map_or_else(|| "other".into(), |path| path.as_str().into());
    let method = name(request.method());
    let clock = gate.app.keeper.clock();
    let began = clock.moment().boot;
    let response = next.run(request).await;
    let took = clock.moment().boot.saturating_sub(began);
    let labels = RequestLabels {
        route,
        method,
        status: response.status().as_u16(),
    };
    gate.app.requests.note(labels, took);
    response
}

/// Who asks may invent methods.
fn name(method: &Method) -> &'static str {
    let known = [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    let found = known.into_iter().find(|(known, _)| known == method);
    found.map_or("other", |(_, name)| name)
}
