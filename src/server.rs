//! The HTTP server: the front door that every request passes, and the loop that accepts
//! connections.
//!
//! Pages, back ends and operators are served at one address, or back ends and operators at one of
//! their own ([`Listeners`]). The front door gives each request its id, answers signatures at once
//! where it can (`jsapi::sign_now`), hands everything else to the router, and writes out problems
//! and CORS headers on the way back.

mod accounts;
mod auth;
mod backend;
mod batched;
mod client_address;
mod clients;
mod connections;
mod cors;
mod docs;
mod dropin;
mod health;
mod jsapi;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod laws;
mod limits;
mod openapi;
mod pages;
mod problem;
mod proxy;
mod request_id;
mod router;
mod segment;
mod status;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http::header::{ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::ServiceExt;

pub use connections::serve;

use crate::account::AppId;
use crate::app::App;
use crate::keeper::Queue;
use crate::shutdown::Shutdown;
use auth::FAILURES_PER_SECOND;
use limits::Limit;
use problem::Problem;
use request_id::RequestId;

/// How long a fetch that runs may take to end and be stored, once the connections are gone.
const LAST_FETCH: Duration = Duration::from_secs(10);

/// Where the server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For pages, and for everyone if there is no other.
    pub pages: TcpListener,
    /// For back ends and operators alone.
    pub admin: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(pages: TcpListener) -> Self {
        Self { pages, admin: None }
    }
}

/// Whom an address is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Audience {
    Everyone,
    Pages,
    BackEnds,
}

/// Serves and renews credentials until `shutdown`, then ends in good order: no request is broken
/// off, and a fetch that runs is stored.
pub async fn run(listeners: impl Into<Listeners>, app: Arc<App>, queue: Queue, shutdown: Shutdown) {
    let Listeners { pages, admin } = listeners.into();
    let (watched, stop) = (Arc::clone(&app), shutdown.draining.clone());
    tokio::spawn(async move { watched.follow_store(stop).await });
    let renewing = tokio::spawn(queue.run(shutdown.draining));
    let gate = Arc::new(Gate::new(app));
    let closing = shutdown.closing;
    match admin {
        None => serve(pages, Front::new(gate, Audience::Everyone), closing).await,
        Some(admin) => {
            let back_ends = Front::new(Arc::clone(&gate), Audience::BackEnds);
            tokio::join!(
                serve(pages, Front::new(gate, Audience::Pages), closing.clone()),
                serve(admin, back_ends, closing),
            );
        }
    }
    match tokio::time::timeout(LAST_FETCH, renewing).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::error!("the keeper ended in a panic"),
        Err(_) => tracing::warn!("a fetch did not end in time: the next start will repeat it"),
    }
}

/// How long a request waits for the first credential of an account, for WeChat's word about a
/// token that it reports, and for a newer one.
const PATIENCE: Duration = Duration::from_secs(8);

/// The largest body of a request that is read.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// What handlers share.
struct Gate {
    app: Arc<App>,
    /// Keys that are refused, by address.
    failures: Option<Limit>,
    /// The generation of the token that each client has from WeChat's own paths.
    handed: Mutex<HashMap<(String, AppId), u64>>,
    per_address: Option<Limit>,
    per_account: Option<Limit>,
    /// The log has told of a proxy that is not trusted.
    told_of_proxy: AtomicBool,
}

impl Gate {
    fn new(app: Arc<App>) -> Self {
        Self {
            failures: Limit::per_second(FAILURES_PER_SECOND),
            handed: Mutex::default(),
            per_address: Limit::per_second(app.limits.signatures_per_address),
            per_account: Limit::per_second(app.limits.signatures_per_account),
            told_of_proxy: AtomicBool::new(false),
            app,
        }
    }
}

/// The address at the other end of a connection.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

/// The front door of one address.
struct Front {
    gate: Arc<Gate>,
    audience: Audience,
    router: Router,
}

/// An answer made at once, or one of the router's.
type AnswerBody = Either<Full<Bytes>, Body>;

impl Front {
    fn new(gate: Arc<Gate>, audience: Audience) -> Self {
        Self {
            router: router::router(Arc::clone(&gate), audience),
            gate,
            audience,
        }
    }

    /// Answers a request from `peer`.
    async fn answer(&self, mut request: Request<Incoming>, peer: IpAddr) -> Response<AnswerBody> {
        let id = RequestId::of(request.headers());
        let for_pages = request.uri().path().starts_with("/jsapi/");
        let origin = request.headers().get(ORIGIN).cloned();
        let mut response = match self.answer_now(&request, &id, peer) {
            Some(response) => response.map(|body| Either::Left(Full::from(body))),
            None => {
                request.extensions_mut().insert(Peer(peer));
                request.extensions_mut().insert(id.clone());
                let request = request.map(Body::new);
                let Ok(response) = self.router.clone().oneshot(request).await;
                Problem::write_into(response, &id).map(Either::Right)
            }
        };
        let headers = response.headers_mut();
        headers.insert(request_id::HEADER, id.header());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if for_pages {
            cors::allow(headers, origin.as_ref(), &self.gate.app.keeper.accounts());
        }
        response
    }

    fn answer_now(
        &self,
        request: &Request<Incoming>,
        id: &RequestId,
        peer: IpAddr,
    ) -> Option<Response<Vec<u8>>> {
        // The connection leaves the body out where the answer is to a HEAD.
        let asks = matches!(*request.method(), Method::GET | Method::HEAD);
        let for_pages = self.audience != Audience::BackEnds;
        if request.uri().path() != "/jsapi/signature" || !asks || !for_pages {
            return None;
        }
        let query = request.uri().query().unwrap_or_default();
        let answer = jsapi::sign_now(&self.gate, query, request.headers(), peer)?;
        Some(answer.unwrap_or_else(|problem| problem.render(id)))
    }
}
