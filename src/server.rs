//! The HTTP server: the loop that accepts connections, the front door that every request passes,
//! and the routes behind it.
//!
//! Pages, back ends and operators are served at one address, or back ends and operators at one of
//! their own ([`Listeners`]). Signatures are answered at once where that can be
//! (`jsapi::sign_now`; the plainest ones before hyper has seen them, `ahead`).

mod accounts;
mod ahead;
mod attended;
mod auth;
mod backend;
mod batched;
mod cards;
mod client_address;
mod clients;
mod connections;
mod console;
mod cors;
mod debug;
mod docs;
mod dropin;
mod events;
mod front;
mod gathered;
mod health;
mod jsapi;
mod language;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod laws;
mod limits;
mod listener;
mod openapi;
mod own_address;
mod pages;
mod patience;
mod problem;
mod proxy;
mod request_id;
mod router;
mod seats;
mod segment;
mod status;
mod timed;
mod tls;
mod watched;
mod wire;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;

pub use connections::serve;
pub use listener::Listener;
pub use tls::{Tls, TlsFault};

use crate::account::AppId;
use crate::app::App;
use crate::keeper::Queue;
use crate::shutdown::Shutdown;
use auth::FAILURES_PER_SECOND;
use connections::serve_seated;
use debug::QUESTIONS_PER_SECOND;
use front::Front;
use limits::Limit;
use seats::Seats;

/// How long a fetch that runs may take to end and be stored, and what happened last to be written
/// down, once the connections are gone.
const LAST: Duration = Duration::from_secs(10);

/// Where the server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For pages, and for everyone if there is no other.
    pub pages: Listener,
    /// For back ends and operators alone.
    pub admin: Option<Listener>,
}

impl From<TcpListener> for Listeners {
    fn from(pages: TcpListener) -> Self {
        Self {
            pages: pages.into(),
            admin: None,
        }
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
    let (watched, stop) = (Arc::clone(&app), shutdown.draining.clone());
    tokio::spawn(async move { watched.rates.keep_sampling(&watched.keeper, stop).await });
    let (history, stop) = (app.history.clone(), shutdown.draining.clone());
    let writing = tokio::spawn(async move { history.keep_writing(stop).await });
    let (history, clock) = (app.history.clone(), app.keeper.clock().clone());
    let renewing = tokio::spawn(queue.run(shutdown.draining));
    let gate = Arc::new(Gate::new(app));
    let closing = shutdown.closing;
    let serve = |listener: Listener, audience| {
        let front = Front::new(Arc::clone(&gate), audience, listener.is_encrypted());
        let seats = Seats::new(&gate.app.limits, &gate.app.trusted_proxies);
        serve_seated(listener, front, seats, closing.clone())
    };
    match admin {
        None => serve(pages, Audience::Everyone).await,
        Some(admin) => {
            tokio::join!(
                serve(pages, Audience::Pages),
                serve(admin, Audience::BackEnds)
            );
        }
    }
    let began = clock.moment().boot;
    // It was told to stop long ago; what happened since then is written here.
    let so_far = async {
        let _ = writing.await;
        history.flush().await
    };
    // Beside the fetch, which may take all the time that there is.
    let (renewed, _) = tokio::join!(
        tokio::time::timeout(LAST, renewing),
        tokio::time::timeout(LAST, so_far),
    );
    match renewed {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::error!("the keeper ended in a panic"),
        Err(_) => tracing::warn!("a fetch did not end in time: the next start will repeat it"),
    }
    // What the fetch has brought about.
    let left = LAST.saturating_sub(clock.moment().boot.saturating_sub(began));
    let last = tokio::time::timeout(left, history.flush()).await;
    if !matches!(last, Ok(Ok(()))) {
        tracing::warn!("the store does not answer: what happened last is lost to the history");
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
    /// What the pages for operators share.
    desk: console::Desk,
    /// Keys that are refused, by address.
    failures: Option<Limit>,
    /// The token that each client has from WeChat's own paths.
    handed: Mutex<HashMap<(String, AppId), dropin::Handed>>,
    per_address: Option<Limit>,
    per_account: Option<Limit>,
    /// Questions to the debugger, by address.
    questions: Option<Limit>,
    /// The log has told of a proxy that is not trusted.
    told_of_proxy: AtomicBool,
}

impl Gate {
    fn new(app: Arc<App>) -> Self {
        Self {
            desk: console::Desk::default(),
            failures: Limit::per_second(FAILURES_PER_SECOND),
            handed: Mutex::default(),
            per_address: Limit::per_second(app.limits.signatures_per_address),
            per_account: Limit::per_second(app.limits.signatures_per_account),
            questions: Limit::per_second(QUESTIONS_PER_SECOND),
            told_of_proxy: AtomicBool::new(false),
            app,
        }
    }
}

/// The address at the other end of a connection.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

/// Whether a connection is encrypted here.
#[derive(Clone, Copy)]
struct OverTls(bool);
