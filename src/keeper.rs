//! Renews the credentials of all accounts and holds them ready for readers.
//!
//! One timer queue watches all accounts. When one is due or nudged, one step
//! runs for it as a task of its own, never two at a time; whatever becomes of a step,
//! there is a next one. A step carries out what the pure rules in `protocol` say: it alone
//! calls the [`Upstream`] for credentials, and what it brings is prepared once and then published.
//!
//! Readers take a [`Snapshot`]: no lock, no store, no waiting. A credential and the trouble in
//! renewing it are kept apart, so that a failure never hides a credential that WeChat accepts.

mod accounts;
mod adopt;
mod backoff;
mod corporations;
mod former_signers;
mod local;
#[cfg(test)]
mod model;
mod names;
mod overview;
mod pace;
mod policy;
mod protocol;
mod queue;
mod reconcile;
mod renewal;
mod report;
mod snapshot;
mod step;
mod telling;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::account::{Account, AppId};
use crate::clock::{Clock, Moment};
use crate::credential::Kind;
use crate::history::History;
use crate::signer::Signer;
use crate::store::Store;
use crate::upstream::Upstream;
pub use accounts::{Accounts, Kept};
pub use overview::Overview;
pub use protocol::{is_robbed, tokens_died_young};
pub use report::{Check, Outcome, Reported};
pub use snapshot::{Former, Held, Served, Snapshot, Trouble, Unavailable};

use corporations::Corporations;
use former_signers::FormerSigners;
use names::Names;
use pace::Pace;
use policy::Policy;

/// The queue wakes at least this often, to notice a clock that was set or a machine that slept.
const TICK: Duration = Duration::from_secs(15);

/// A queue that has been silent for so long is stuck.
const SILENT: Duration = Duration::from_secs(60);

/// A process among those that share a store.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name in leases, for people to read: its host, a slash, and what tells it from others
    /// there.
    pub name: String,
    /// Whether it renews classic tokens that are about to end while the store is lost. There may
    /// be but one such node: two would take each other's tokens.
    pub solo: bool,
}

impl Node {
    /// The one that is the process `id` of this machine.
    pub fn of_process(id: u32) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}/{id}", host.trim()).into()
    }
}

impl From<String> for Node {
    fn from(name: String) -> Self {
        Self { name, solo: false }
    }
}

/// The credentials of all accounts: a handle, cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    shared: Arc<Shared>,
}

/// What the queue, the steps and the readers share.
struct Shared {
    clock: Clock,
    store: Store,
    upstream: Arc<dyn Upstream>,
    node: Node,
    accounts: ArcSwap<Accounts>,
    corporations: Corporations,
    pace: Pace,
    names: Names,
    former_signers: FormerSigners,
    history: OnceLock<History>,
    nudges: mpsc::UnboundedSender<Nudge>,
    /// The queue's last sign of life: milliseconds on the boot clock.
    beat: AtomicU64,
}

impl Shared {
    fn policy(&self, kept: &Kept, kind: Kind) -> Policy {
        let Account {
            appid, token_api, ..
        } = &kept.account;
        Policy::of(kind, *token_api, self.corporations.apps_beside(appid))
    }

    fn history(&self) -> &History {
        static OFF: History = History::off();
        self.history.get().unwrap_or(&OFF)
    }
}

impl Keeper {
    /// A keeper of `accounts`, and the queue that renews their credentials once it
    /// [runs](Queue::run).
    pub fn new(
        clock: Clock,
        store: Store,
        upstream: Arc<dyn Upstream>,
        node: impl Into<Node>,
        accounts: Vec<Account>,
    ) -> (Self, Queue) {
        let (nudges, nudged) = mpsc::unbounded_channel();
        let mut kept = Accounts::default();
        let corporations = Corporations::default();
        for account in accounts {
            corporations.put(&kept, &account.appid);
            kept.put(account);
        }
        let shared = Arc::new(Shared {
            pace: Pace::new(clock.clone(), kept.tickets()),
            names: Names::default(),
            former_signers: FormerSigners::default(),
            history: OnceLock::new(),
            beat: AtomicU64::new(millis(clock.moment().boot)),
            clock,
            store,
            upstream,
            node: node.into(),
            accounts: ArcSwap::from_pointee(kept),
            corporations,
            nudges,
        });
        let keeper = Self {
            shared: Arc::clone(&shared),
        };
        (keeper, Queue { shared, nudged })
    }

    /// The accounts.
    pub fn accounts(&self) -> Guard<Arc<Accounts>> {
        self.shared.accounts.load()
    }

    /// Replaces all accounts, as [`change_accounts`](Self::change_accounts) does with those that
    /// differ.
    pub fn set_accounts(&self, accounts: Vec<Account>) {
        let known = self.accounts();
        let all = known.iter().map(|kept| (kept.account.appid.clone(), None));
        let mut changes: BTreeMap<_, _> = all.collect();
        changes
            .extend((accounts.into_iter()).map(|account| (account.appid.clone(), Some(account))));
        self.change_accounts(changes);
    }

    /// Changes accounts, or adds them; `None` takes one away. One that stays as it is goes on
    /// undisturbed; one that has changed goes on with the credentials it has; one that is new is
    /// looked at at once; one that is taken away is let go: those who wait for it are told, and a
    /// step that runs for it comes to its end.
    pub fn change_accounts(&self, changes: BTreeMap<AppId, Option<Account>>) {
        let mut accounts = Accounts::clone(&self.shared.accounts.load());
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        let corporations = &self.shared.corporations;
        for (appid, change) in changes {
            let has_changed = match change {
                Some(account) => {
                    corporations.put(&accounts, &account.appid);
                    accounts.put(account)
                }
                None => accounts
                    .remove(&appid)
                    .inspect(|_| corporations.remove(&appid))
                    .map(|kept| gone.push(kept))
                    .is_some(),
            };
            if has_changed {
                changed.push(appid);
            }
        }
        self.shared.pace.follow(accounts.tickets());
        self.shared.accounts.store(Arc::new(accounts));
        gone.iter().for_each(|kept| kept.let_go());
        // Not by `nudge`: a step may just begin with the account as it was. The queue is gone only
        // when the program ends.
        let _ = self.shared.nudges.send(Nudge::Changed(changed, gone));
    }

    /// Has what happens recorded there; without one it is not.
    pub fn record_into(&self, history: History) {
        // There is one, for as long as the program runs.
        let _ = self.shared.history.set(history);
    }

    /// Where what happens is recorded.
    pub fn history(&self) -> &History {
        self.shared.history()
    }

    /// This process in leases, for people to read.
    pub fn node(&self) -> &str {
        &self.shared.node.name
    }

    /// What signed the pages of an account with the ticket before, if that was replaced here not
    /// long ago.
    pub fn former_signer(&self, appid: &AppId) -> Option<Signer> {
        self.shared.former_signers.of(appid)
    }

    /// The clock by which the keeper works.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Whether the queue still turns.
    pub fn is_alive(&self) -> bool {
        let beat = Duration::from_millis(self.shared.beat.load(Ordering::Relaxed));
        self.shared.clock.moment().boot.saturating_sub(beat) < SILENT
    }

    /// Has the account looked at now; what is not due stays as it is.
    pub fn nudge(&self, kept: &Kept) {
        if !kept.known.nudged.swap(true, Ordering::AcqRel) {
            // The queue is gone only when the program ends.
            let _ = self
                .shared
                .nudges
                .send(Nudge::One(kept.account.appid.clone()));
        }
    }

    /// Has an account looked at, since another process may have renewed something of it.
    pub fn look(&self, appid: &AppId) {
        if let Some(kept) = self.accounts().get(appid.as_str()) {
            self.nudge(kept);
        }
    }

    /// Has all accounts looked at, a little apart.
    pub fn look_at_all(&self) {
        // The queue is gone only when the program ends.
        let _ = self.shared.nudges.send(Nudge::All);
    }

    /// A snapshot that holds a credential of `kind`, and the moment at which it is good: at once,
    /// or once the first renewal has brought one.
    ///
    /// It waits only where waiting may help, which is while the first step runs. The fetch itself
    /// goes on whether anybody waits for it or not.
    ///
    /// # Errors
    /// There is none, and what stands in the way.
    pub async fn available(
        &self,
        kept: &Kept,
        kind: Kind,
        patience: Duration,
    ) -> Result<(Arc<Snapshot>, Moment), Unavailable> {
        let found = self.watch(kept, patience, |snapshot, now| {
            if snapshot.served(kind, now).is_some() {
                return Some(Ok((Arc::clone(snapshot), now)));
            }
            // After the first step the queue knows when the next one makes sense.
            snapshot
                .has_tried(kind)
                .then(|| Err(self.unavailable(kept, snapshot, kind)))
        });
        let found = found.await;
        found.unwrap_or_else(|| Err(self.unavailable(kept, &kept.snapshot(), kind)))
    }

    /// Waits up to `patience` until `look` finds something in what readers see of the account.
    pub async fn watch<T>(
        &self,
        kept: &Kept,
        patience: Duration,
        mut look: impl FnMut(&Arc<Snapshot>, Moment) -> Option<T>,
    ) -> Option<T> {
        let watching = async {
            let mut changed = pin!(kept.changed().notified());
            loop {
                let snapshot = kept.known.snapshot.load_full();
                if let Some(found) = look(&snapshot, self.shared.clock.moment()) {
                    return Some(found);
                }
                if kept.is_removed() {
                    return None;
                }
                changed.as_mut().await;
                changed.set(kept.changed().notified());
            }
        };
        let found = tokio::time::timeout(patience, watching).await;
        found.ok().flatten()
    }

    /// What stands in the way of a credential of `kind` that `snapshot` does not hold.
    pub fn unavailable(&self, kept: &Kept, snapshot: &Snapshot, kind: Kind) -> Unavailable {
        let now = self.shared.clock.now();
        let trouble = snapshot.in_the_way_of(kind).cloned();
        let wait = trouble
            .as_ref()
            .map_or(Duration::ZERO, |t| t.next_at.since(now));
        Unavailable {
            removed: kept.is_removed(),
            trouble,
            retry_after: wait.clamp(Duration::from_secs(1), Duration::from_secs(3600)),
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper(…)")
    }
}

/// What the queue is to have looked at, out of turn.
enum Nudge {
    One(AppId),
    /// Accounts that were added, changed or taken away, and once more those that were taken away.
    Changed(Vec<AppId>, Vec<Arc<Kept>>),
    All,
}

/// The task that watches over the accounts.
pub struct Queue {
    shared: Arc<Shared>,
    nudged: mpsc::UnboundedReceiver<Nudge>,
}

impl Queue {
    /// Renews until `stop` is cancelled; then lets running steps end, and returns.
    pub async fn run(self, stop: CancellationToken) {
        queue::run(self.shared, self.nudged, stop).await;
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue(…)")
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
