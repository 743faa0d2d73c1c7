//! `GET /console/live`: tells pages that something has changed, so that they fetch themselves anew.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use http::StatusCode;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::mpsc;

use super::overview::{Cards, Summary, digest, digest_of, summary};
use super::visit::Visit;
use crate::account::AppId;
use crate::history::Event as Happened;

/// How often it is looked for changes.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Ages move on by themselves: pages are told so often, also when nothing has changed. It keeps
/// proxies from taking the connection for a dead one, too.
const AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// What happens is in the history a moment later.
const WRITTEN_WITHIN: Duration = Duration::from_millis(1500);

/// A stream of events: `changed`, and at last `ended` when the session is over.
pub(super) async fn stream(visit: Visit) -> Response {
    let visit = Visit {
        is_human: false,
        ..visit
    };
    if !goes_on(&visit).await {
        return StatusCode::NO_CONTENT.into_response();
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let stop = visit.gate.app.draining.clone();
        stop.run_until_cancelled(tell(visit, sender)).await;
    });
    Sse::new(Events(receiver)).into_response()
}

/// What the page shows that wants to hear of changes.
enum Page {
    /// The cards that its address asks for.
    Overview(Option<(Arc<Summary>, Cards)>),
    Account(AppId),
    /// What happened.
    Events,
}

impl Page {
    fn of(visit: &Visit) -> Self {
        match visit.argument("of").as_str() {
            "overview" => Self::Overview(None),
            "events" => Self::Events,
            appid => appid.parse().map_or(Self::Events, Self::Account),
        }
    }

    /// Another number when something has changed that it shows, apart from what happened.
    async fn digest(&mut self, visit: &Visit) -> u64 {
        let app = &visit.gate.app;
        match self {
            Self::Overview(known) => {
                let now = summary(visit).await;
                // Of very many accounts it is the same for a while.
                let (summary, cards) = match known.take() {
                    Some((summary, cards)) if Arc::ptr_eq(&summary, &now) => (summary, cards),
                    _ => {
                        let cards = Cards::of(visit, &now).await;
                        (now, cards)
                    }
                };
                let digest = digest(app, &summary, &cards);
                *known = Some((summary, cards));
                digest
            }
            Self::Account(appid) => digest_of(app, appid),
            Self::Events => 0,
        }
    }

    fn shows(&self, event: &Happened) -> bool {
        match self {
            Self::Overview(_) => false,
            Self::Account(appid) => event.appid.as_ref() == Some(appid),
            Self::Events => true,
        }
    }
}

async fn tell(visit: Visit, to: mpsc::Sender<Event>) {
    let clock = visit.gate.app.keeper.clock().clone();
    let mut events = visit.gate.app.history.subscribe();
    let mut page = Page::of(&visit);
    let mut known = page.digest(&visit).await;
    let mut due = None;
    let mut told_at = clock.moment().boot;
    loop {
        clock.sleep(LOOK_EVERY).await;
        let now = clock.moment().boot;
        let digest = page.digest(&visit).await;
        loop {
            match events.try_recv() {
                Ok(event) if !page.shows(&event) => {}
                // Some were missed, which may have been its own.
                Ok(_) | Err(TryRecvError::Lagged(_)) => due = Some(now + WRITTEN_WITHIN),
                Err(_) => break,
            }
        }
        let is_due = due.take_if(|due| *due <= now).is_some()
            || now.saturating_sub(told_at) >= AT_LEAST_EVERY;
        if digest == known && !is_due {
            if to.is_closed() {
                return;
            }
            continue;
        }
        (known, told_at) = (digest, now);
        let goes_on = goes_on(&visit).await;
        let name = if goes_on { "changed" } else { "ended" };
        // An event without data is none to a browser. Who does not read does not get a second one meanwhile.
        if to
            .send(Event::default().event(name).data(name))
            .await
            .is_err()
            || !goes_on
        {
            return;
        }
    }
}

async fn goes_on(visit: &Visit) -> bool {
    match &visit.key {
        Some(key) => visit.console().session(key, false).await.is_some(),
        None => false,
    }
}

/// What comes out of the channel.
struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|event| event.map(Ok))
    }
}
