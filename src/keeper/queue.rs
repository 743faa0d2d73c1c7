//! One timer for all accounts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Kept, Nudge, Shared, TICK, adopt, millis, step};
use crate::account::AppId;
use crate::clock::{Moment, Timestamp};

/// At the start, accounts are looked at this far apart, but all within [`START_SPREAD`].
const START_DISTANCE: Duration = Duration::from_millis(10);
const START_SPREAD: Duration = Duration::from_secs(10);

/// What is stored of so many new accounts is read together before their first steps; that of fewer
/// is read by these.
const MANY: usize = 100;

/// So many steps run at one time, most of them waiting for their turn to call WeChat. Each takes a
/// few kilobytes.
const MOST_STEPS: usize = 2000;

/// When an account is looked at again after its step ended in a panic.
const AFTER_PANIC: Duration = Duration::from_secs(30);

/// The wall clock was set when it has moved so much more or less than the boot clock.
const CLOCK_SET: Duration = Duration::from_secs(2);

/// A time on the boot clock in nanoseconds: it takes less room than a [`Duration`], of which each
/// account has one in the queue.
pub(super) type Nanos = u64;

fn nanos(at: Duration) -> Nanos {
    u64::try_from(at.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Everything here belongs to the one task that runs the queue.
struct Queue {
    shared: Arc<Shared>,
    /// Accounts that wait, by the time at which they are due. Until it is told of them here, what
    /// was taken away or changed stays as it was: [`Queue::start_due`] looks.
    waiting: BTreeSet<Waiting>,
    steps: JoinSet<Timestamp>,
    ids: HashMap<Id, AppId>,
    /// Accounts whose step runs, and whether there is to be another one right after it.
    running: HashMap<AppId, bool>,
    stop: CancellationToken,
}

/// An account that waits, and until when. It is known by its AppID, of which there is no second
/// copy here: there may be very many.
struct Waiting(Nanos, Arc<Kept>);

impl Waiting {
    fn key(&self) -> (Nanos, &AppId) {
        (self.0, &self.1.account.appid)
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

/// Runs steps until `stop`, then waits for those that run.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut nudged: mpsc::UnboundedReceiver<Nudge>,
    stop: CancellationToken,
) {
    let mut queue = Queue {
        shared,
        waiting: BTreeSet::new(),
        steps: JoinSet::new(),
        ids: HashMap::new(),
        running: HashMap::new(),
        stop: stop.clone(),
    };
    // What was told so far is about accounts that are all looked at now. For some somebody waits.
    let told = std::iter::from_fn(|| nudged.try_recv().ok());
    let awaited = told.filter_map(|nudge| match nudge {
        Nudge::One(appid) => Some(appid),
        Nudge::Changed(..) | Nudge::All => None,
    });
    let awaited: Vec<_> = awaited.collect();
    queue
        .adopt(queue.shared.accounts.load_full().appids())
        .await;
    for appid in awaited {
        queue.wait(appid, Duration::ZERO);
    }
    let mut last = queue.shared.clock.moment();
    loop {
        let now = queue.shared.clock.moment();
        queue.shared.beat.store(millis(now.boot), Ordering::Relaxed);
        if clock_was_set(last, now) {
            tracing::warn!("the wall clock was set: looking at all accounts");
            queue.fill();
        }
        last = now;
        queue.start_due(now);
        let pause = queue.pause(now);
        // In this order, so that what a test repeats goes as before. None of the others can keep
        // the last one from its turn: what is due was started above.
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(nudge) = nudged.recv() => queue.nudge(nudge).await,
            Some(done) = queue.steps.join_next_with_id() => queue.finished(done),
            () = queue.shared.clock.sleep(pause) => {}
        }
    }
    while queue.steps.join_next().await.is_some() {}
}

impl Queue {
    /// Has all accounts looked at, a little apart.
    fn fill(&mut self) {
        let appids = self.shared.accounts.load_full().appids();
        let distance = distance(appids.len());
        let mut at = self.shared.clock.moment().boot;
        for appid in appids {
            self.wait(appid, at);
            at += distance;
        }
    }

    /// Takes over what is stored of accounts, and has each looked at in its time; those that are
    /// due, a little apart.
    async fn adopt(&mut self, appids: Vec<AppId>) {
        let mut spread = self.shared.clock.moment().boot;
        let (distance, mut can_read) = (distance(appids.len()), true);
        for some in appids.chunks(adopt::TOGETHER) {
            can_read &= !self.stop.is_cancelled();
            let wakes = if can_read {
                adopt::adopt(&self.shared, some, &self.stop).await.ok()
            } else {
                None
            };
            can_read &= wakes.is_some();
            let now = self.shared.clock.moment();
            self.shared.beat.store(millis(now.boot), Ordering::Relaxed);
            for (number, appid) in some.iter().enumerate() {
                let wake = wakes.as_ref().map_or(now.wall, |wakes| wakes[number]);
                let mut at = now.boot + wake.since(now.wall);
                if wake <= now.wall {
                    at = spread;
                    spread += distance;
                }
                self.wait(appid.clone(), at);
            }
        }
    }

    /// Has an account looked at, at that time and not at the one that was thought of before; right
    /// after its step, if that runs.
    fn wait(&mut self, appid: AppId, at: Duration) {
        if let Some(again) = self.running.get_mut(&appid) {
            *again = true;
            return;
        }
        if let Some(kept) = self.shared.accounts.load().get(appid.as_str()) {
            let at = nanos(at);
            self.set_due(kept, Some(at));
            self.waiting.insert(Waiting(at, Arc::clone(kept)));
        }
    }

    /// Notes when an account is due; it waits no longer as it did.
    fn set_due(&mut self, kept: &Arc<Kept>, at: Option<Nanos>) {
        if let Some(former) = kept.set_due(at) {
            self.waiting.remove(&Waiting(former, Arc::clone(kept)));
        }
    }

    async fn nudge(&mut self, nudge: Nudge) {
        match nudge {
            Nudge::One(appid) => self.wait(appid, Duration::ZERO),
            Nudge::Changed(appids, gone) => {
                // First: one that is gone may have come again.
                gone.iter().for_each(|kept| self.set_due(kept, None));
                let accounts = self.shared.accounts.load_full();
                let is_new = |appid: &AppId| {
                    let kept = accounts.get(appid.as_str());
                    let waits = kept.is_none_or(|kept| kept.due().is_some());
                    !waits && !self.running.contains_key(appid)
                };
                let (new, known): (Vec<_>, Vec<_>) = appids.into_iter().partition(is_new);
                let few = if new.len() < MANY {
                    new.as_slice()
                } else {
                    &[]
                };
                for appid in known.iter().chain(few) {
                    self.wait(appid.clone(), Duration::ZERO);
                }
                if few.is_empty() {
                    self.adopt(new).await;
                }
            }
            Nudge::All => self.fill(),
        }
    }

    fn start_due(&mut self, now: Moment) {
        while let Some(Waiting(at, _)) = self.waiting.first()
            && *at <= nanos(now.boot)
            && self.has_room(*at)
            && let Some(Waiting(at, known)) = self.waiting.pop_first()
        {
            let appid = known.account.appid.clone();
            // As it is now: it may just have been changed.
            let kept = self.shared.accounts.load().get(appid.as_str()).cloned();
            let Some(kept) = kept.filter(|kept| kept.due() == Some(at)) else {
                continue;
            };
            kept.set_due(None);
            let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
            let task = self
                .steps
                .spawn(async move { step::step(&shared, &kept, &stop).await });
            self.ids.insert(task.id(), appid.clone());
            self.running.insert(appid, false);
        }
    }

    /// Whether a step may begin that is due `at`. Those that somebody waits for go in any case.
    fn has_room(&self, at: Nanos) -> bool {
        at == 0 || self.steps.len() < MOST_STEPS
    }

    /// How long nothing is to be done, unless something happens.
    fn pause(&self, now: Moment) -> Duration {
        let next = self.waiting.first();
        let next = next.filter(|Waiting(at, _)| self.has_room(*at));
        next.map_or(TICK, |Waiting(at, _)| {
            Duration::from_nanos(*at).saturating_sub(now.boot).min(TICK)
        })
    }

    fn finished(&mut self, done: Result<(Id, Timestamp), JoinError>) {
        let now = self.shared.clock.moment();
        let (id, at) = match done {
            Ok((id, wake)) => (id, now.boot + wake.since(now.wall)),
            Err(error) => {
                tracing::error!(%error, "a renewal step ended in a panic; it runs again in 30 s");
                (error.id(), now.boot + AFTER_PANIC)
            }
        };
        let Some(appid) = self.ids.remove(&id) else {
            return;
        };
        let again = self.running.remove(&appid) == Some(true);
        self.wait(appid, if again { now.boot } else { at });
    }
}

/// How far apart so many accounts are looked at.
fn distance(accounts: usize) -> Duration {
    let count = u32::try_from(accounts).unwrap_or(u32::MAX);
    START_DISTANCE.min(START_SPREAD / count.max(1))
}

fn clock_was_set(last: Moment, now: Moment) -> bool {
    let boot = now.boot.saturating_sub(last.boot);
    let wall = now.wall.since(last.wall);
    let back = last.wall.since(now.wall);
    wall.abs_diff(boot) > CLOCK_SET || back > CLOCK_SET
}
