//! What happened, for people: renewals and why they failed, reports, who changed what.
//!
//! Whoever does something records it with [`History::record`], which neither waits nor fails. One
//! task writes what was recorded into the store, about once a second; other nodes and the command
//! line find it there ([`Query`], [`Following`]). What happens on this node is told at once
//! ([`History::subscribe`]). No secret is in it, only fingerprints.
//!
//! It is kept for so many days and up to so many events as [`Retention`] says. What happens again
//! and again is told seldom, and who changed what is kept apart, so that nothing pushes it out.

mod event;
mod query;
mod seldom;
mod what;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

pub use event::{CLI, CONSOLE, Event};
pub use query::{Following, Found, Query};
pub(crate) use what::Utc;
pub use what::What;

use seldom::{Failures, Reports};

use crate::account::AppId;
use crate::clock::Clock;
use crate::config::Retention;
use crate::store::{Backoff, EventId, EventStream, Key, Store, StoreError};

/// What is recorded waits so long for others, to be written with them.
const GATHERING: Duration = Duration::from_secs(1);

/// So many events are written at once.
const BATCH: usize = 1000;

/// So many of each stream wait for the store; what comes then is lost.
const WAITING: usize = 8192;

/// So many changes are kept, unless everything is.
const AUDITED: u32 = 10_000;

/// Who listens and falls behind by more than this misses some.
const LISTENING: usize = 1024;

/// Why nothing can be written down is said when that begins, and another reason so much later.
const TELLING: Duration = Duration::from_secs(60);

/// What is too old is forgotten this often.
const PRUNING: Duration = Duration::from_secs(60);

/// Where what happens is recorded; a handle, cheap to clone. The default one records nothing.
#[derive(Clone, Default)]
pub struct History {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    clock: Clock,
    store: Store,
    node: String,
    retention: Retention,
    waiting: Mutex<Waiting>,
    /// Tells the writer that something waits.
    recorded: Notify,
    live: broadcast::Sender<Arc<Event>>,
    lost: AtomicU64,
    failures: Mutex<Failures>,
    reports: Mutex<Reports<(AppId, String, &'static str)>>,
}

#[derive(Default)]
struct Waiting {
    course: VecDeque<Arc<Event>>,
    audit: VecDeque<Arc<Event>>,
    last: Option<EventId>,
    /// Some got lost since the last one that did not.
    is_losing: bool,
}

impl Waiting {
    const fn of(&mut self, stream: EventStream) -> &mut VecDeque<Arc<Event>> {
        match stream {
            EventStream::Course => &mut self.course,
            EventStream::Audit => &mut self.audit,
        }
    }
}

impl History {
    /// One that records nothing.
    pub const fn off() -> Self {
        Self { shared: None }
    }

    /// The history that this `node` keeps in `store`.
    pub fn new(retention: Retention, store: Store, clock: Clock, node: &str) -> Self {
        let shared = Shared {
            clock,
            store,
            node: node.to_owned(),
            retention,
            waiting: Mutex::default(),
            recorded: Notify::new(),
            live: broadcast::channel(LISTENING).0,
            lost: AtomicU64::default(),
            failures: Mutex::default(),
            reports: Mutex::default(),
        };
        Self {
            shared: (retention.days > 0).then(|| Arc::new(shared)),
        }
    }

    /// Whether anything is recorded.
    pub const fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Records what happened to the account, and who did it: a client, [`CONSOLE`], [`CLI`], or
    /// wxsign itself. It neither waits nor fails.
    pub fn record(&self, what: What, appid: Option<&AppId>, actor: Option<&str>) {
        let Some(shared) = &self.shared else { return };
        if shared.retention.skip_renewals && matches!(what, What::Renewed { .. }) {
            return;
        }
        let now = shared.clock.now();
        let mut waiting = lock(&shared.waiting);
        let id = EventId::new(now, waiting.last);
        waiting.last = Some(id);
        let event = Arc::new(Event {
            id,
            node: shared.node.clone(),
            appid: appid.cloned(),
            actor: actor.map(str::to_owned),
            what,
        });
        // Nobody listens: then nobody wants to know.
        let _ = shared.live.send(Arc::clone(&event));
        let queue = waiting.of(event.what.stream());
        let is_full = queue.len() >= WAITING;
        if is_full {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            queue.push_back(event);
        }
        let begins = is_full && !waiting.is_losing;
        waiting.is_losing = is_full;
        drop(waiting);
        if begins {
            tracing::warn!(
                "events come faster than the store takes them: some are lost to the history"
            );
        }
        shared.recorded.notify_one();
    }

    /// Records that a renewal has failed, `former` being what the one before had met: when that
    /// begins, when it changes, and once an hour.
    pub(crate) fn record_failure(&self, key: &Key, former: Option<&Backoff>, backoff: &Backoff) {
        let Some(shared) = &self.shared else { return };
        let (class, errcode) = (backoff.class, backoff.errcode);
        let times = lock(&shared.failures).note(
            (&key.appid, key.kind),
            (class, errcode),
            former.is_some_and(|former| (former.class, former.errcode) == (class, errcode)),
            shared.clock.now(),
        );
        if let Some(times) = times {
            let what = What::RenewalFailed {
                kind: key.kind,
                class,
                error: backoff.error.clone(),
                errcode,
                errmsg: backoff.errmsg.clone(),
                next_at: backoff.next_at,
                times,
            };
            self.record(what, Some(&key.appid), None);
        }
    }

    /// Records that renewals work again.
    pub(crate) fn record_recovery(&self, key: &Key) {
        let Some(shared) = &self.shared else { return };
        lock(&shared.failures).over(&key.appid, key.kind);
        let what = What::Recovered { kind: key.kind };
        self.record(what, Some(&key.appid), None);
    }

    /// Records the report of a token: of those of a client about an account with the same outcome,
    /// one a minute. The errcode tells none apart, for it is whatever the client says.
    pub(crate) fn record_report(
        &self,
        appid: &AppId,
        client: &str,
        errcode: i64,
        outcome: &'static str,
    ) {
        let Some(shared) = &self.shared else { return };
        let report = (appid.clone(), client.to_owned(), outcome);
        if lock(&shared.reports).note(report, shared.clock.now()) {
            let outcome = outcome.to_owned();
            let what = What::TokenReported { errcode, outcome };
            self.record(what, Some(appid), Some(client));
        }
    }

    /// What happens on this node from now on, at once. Who falls behind by more than a thousand
    /// events misses some.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        match &self.shared {
            Some(shared) => shared.live.subscribe(),
            // Its sender is gone: it tells so, and nothing else.
            None => broadcast::channel(1).1,
        }
    }

    /// How many events were lost since this process started.
    pub fn lost(&self) -> u64 {
        let shared = self.shared.as_ref();
        shared.map_or(0, |shared| shared.lost.load(Ordering::Relaxed))
    }

    /// Writes down what is recorded until `stop`, and forgets what is too old. One task does this.
    pub async fn keep_writing(&self, stop: CancellationToken) {
        let Some(shared) = &self.shared else { return };
        tokio::join!(
            self.keep_flushing(shared, &stop),
            stop.run_until_cancelled(shared.keep_pruning()),
        );
    }

    async fn keep_flushing(&self, shared: &Shared, stop: &CancellationToken) {
        let mut told: Option<(StoreError, Duration)> = None;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = shared.recorded.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = shared.clock.sleep(GATHERING) => {}
            }
            let Err(error) = self.flush().await else {
                if told.take().is_some() {
                    tracing::info!("what happens is written down again");
                }
                continue;
            };
            // They wait, and are written with the next ones.
            shared.recorded.notify_one();
            let now = shared.clock.moment().boot;
            let is_told = told
                .as_ref()
                .is_some_and(|(known, at)| *known == error || now.saturating_sub(*at) < TELLING);
            if !is_told {
                tracing::warn!(%error, "what happens cannot be written down, and waits");
                told = Some((error, now));
            }
        }
    }

    /// Writes down what is recorded so far.
    ///
    /// # Errors
    /// The store cannot be reached: what is not written waits for the next time.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        shared.flush(EventStream::Audit).await?;
        shared.flush(EventStream::Course).await
    }
}

impl Shared {
    async fn flush(&self, stream: EventStream) -> Result<(), StoreError> {
        loop {
            let batch: Vec<_> = (lock(&self.waiting).of(stream).iter())
                .take(BATCH)
                .cloned()
                .collect();
            let (Some(last), count) = (batch.last().map(|event| event.id), batch.len()) else {
                return Ok(());
            };
            let events = batch.iter().map(|event| event.store()).collect();
            self.store.append_events(stream, events).await?;
            let mut waiting = lock(&self.waiting);
            let queue = waiting.of(stream);
            // Those in front are the same, unless another call has written them meanwhile.
            let is_written = (queue.get(count - 1)).is_some_and(|event| event.id == last);
            if is_written {
                queue.drain(..count);
            }
        }
    }

    async fn keep_pruning(&self) {
        loop {
            self.clock.sleep(PRUNING).await;
            self.prune().await;
        }
    }

    async fn prune(&self) {
        let Retention {
            days, max_events, ..
        } = self.retention;
        let age = Duration::from_secs(u64::from(days) * 24 * 3600);
        let before = EventId::first_of(self.clock.now().before(age));
        let most = match max_events {
            0 => [u32::MAX; 2],
            most => [most, AUDITED],
        };
        for (stream, most) in EventStream::ALL.into_iter().zip(most) {
            if let Err(error) = self.store.prune_events(stream, before, most).await {
                tracing::debug!(%error, "the history is not pruned now");
            }
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("History(…)")
    }
}

/// What is under the locks is whole at any time.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
