//! Renews the credentials of all accounts and holds them ready for readers.
//!
//! One timer queue watches all accounts. When one is due or nudged, one step
//! runs for it as a task of its own, never two at a time; whatever becomes of a step,
//! there is a next one. A step carries out what the pure rules in `protocol` say: it alone
//! calls the [`Upstream`] for credentials, and what it brings is prepared once and then published.
//!
//! Readers take a [`Snapshot`]: no lock, no store, no waiting. A credential and the trouble in
//! renewing it are kept apart, so that a failure never hides a credential that WeChat accepts.

mod backoff;
mod local;
#[cfg(test)]
mod model;
mod pace;
mod policy;
mod protocol;
mod queue;
mod reconcile;
mod renewal;
mod report;
mod snapshot;
mod step;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::account::{Account, AppId};
use crate::clock::{Clock, Moment};
use crate::credential::{Fingerprint, Kind};
use crate::page_hosts::PageHosts;
use crate::store::Store;
use crate::upstream::Upstream;
pub use report::{Check, Outcome, Reported};
pub use snapshot::{Held, Served, Snapshot, Trouble, Unavailable};

use local::Local;
use pace::Pace;

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
    pace: Pace,
    nudges: mpsc::UnboundedSender<Nudge>,
    /// The queue's last sign of life: milliseconds on the boot clock.
    beat: AtomicU64,
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
        let shared = Arc::new(Shared {
            pace: Pace::new(clock.clone()),
            beat: AtomicU64::new(millis(clock.moment().boot)),
            clock,
            store,
            upstream,
            node: node.into(),
            accounts: ArcSwap::from_pointee(Accounts::following(&Accounts::default(), accounts)),
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

    /// Replaces the accounts. One that stays as it is goes on undisturbed; one that has changed
    /// goes on with the credentials it has; one that is new is looked at at once; one that is not
    /// among them any more is let go: those who wait for it are told, and a step that runs for it
    /// comes to its end.
    pub fn set_accounts(&self, accounts: Vec<Account>) {
        let former = self.shared.accounts.load_full();
        let next = Arc::new(Accounts::following(&former, accounts));
        self.shared.accounts.store(Arc::clone(&next));
        // Not by `nudge`: a step may just begin with the account as it was.
        let look = |kept: &Kept| drop(self.shared.nudges.send(Nudge::of(kept)));
        for kept in former.iter() {
            if next.get(kept.account.appid.as_str()).is_none() {
                kept.let_go();
                look(kept);
            }
        }
        for kept in next.iter() {
            let known = former.get(kept.account.appid.as_str());
            if known.is_none_or(|known| !Arc::ptr_eq(known, kept)) {
                look(kept);
            }
        }
    }

    /// This process in leases, for people to read.
    pub fn node(&self) -> &str {
        &self.shared.node.name
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
            let _ = self.shared.nudges.send(Nudge::of(kept));
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
                .tried
                .then(|| Err(self.unavailable(kept, snapshot)))
        });
        let found = found.await;
        found.unwrap_or_else(|| Err(self.unavailable(kept, &kept.snapshot())))
    }

    /// Waits up to `patience` until `look` finds something in what readers see of the account.
    pub async fn watch<T>(
        &self,
        kept: &Kept,
        patience: Duration,
        mut look: impl FnMut(&Arc<Snapshot>, Moment) -> Option<T>,
    ) -> Option<T> {
        let mut changes = kept.known.changed.subscribe();
        let watching = async {
            loop {
                let snapshot = kept.known.snapshot.load_full();
                if let Some(found) = look(&snapshot, self.shared.clock.moment()) {
                    return Some(found);
                }
                if kept.is_removed() {
                    return None;
                }
                changes.changed().await.ok()?;
            }
        };
        let found = tokio::time::timeout(patience, watching).await;
        found.ok().flatten()
    }

    /// What stands in the way of a credential that `snapshot` does not hold.
    pub fn unavailable(&self, kept: &Kept, snapshot: &Snapshot) -> Unavailable {
        let now = self.shared.clock.now();
        let trouble = snapshot.trouble().cloned();
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
    All,
}

impl Nudge {
    fn of(kept: &Kept) -> Self {
        Self::One(kept.account.appid.clone())
    }
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

/// The accounts by their AppIDs.
#[derive(Debug, Default)]
pub struct Accounts {
    by_appid: HashMap<AppId, Arc<Kept>>,
    page_hosts: PageHosts,
}

impl Accounts {
    /// `accounts`, where those that were among `former` keep what is known of them.
    fn following(former: &Self, accounts: Vec<Account>) -> Self {
        let mut all = Self::default();
        for account in accounts {
            all.page_hosts.extend(&account.page_hosts);
            let appid = account.appid.clone();
            let kept = match former.get(appid.as_str()) {
                Some(known) if known.account == account => Arc::clone(known),
                Some(known) => Arc::new(Kept::new(account, Arc::clone(&known.known))),
                None => Arc::new(Kept::new(account, Arc::default())),
            };
            all.by_appid.insert(appid, kept);
        }
        all
    }

    /// The account of `appid`.
    pub fn get(&self, appid: &str) -> Option<&Arc<Kept>> {
        self.by_appid.get(appid)
    }

    /// The only account, if there is exactly one.
    pub fn only(&self) -> Option<&Arc<Kept>> {
        self.by_appid
            .values()
            .next()
            .filter(|_| self.by_appid.len() == 1)
    }

    /// All accounts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kept>> {
        self.by_appid.values()
    }

    /// The page hosts of all accounts together.
    pub const fn page_hosts(&self) -> &PageHosts {
        &self.page_hosts
    }
}

/// An account and what is known of its credentials.
pub struct Kept {
    /// The account.
    pub account: Account,
    /// The fingerprint of its AppSecret.
    secret: Fingerprint,
    /// Stays when the account is changed.
    known: Arc<Known>,
}

/// What is known of the credentials of an account.
#[derive(Default)]
struct Known {
    /// Written by the account's step, of which there is one at a time; read by anyone.
    snapshot: ArcSwap<Snapshot>,
    /// Tells those who wait that `snapshot` is another one, or that the account was removed.
    changed: watch::Sender<()>,
    /// The account was removed: set once, never cleared.
    removed: AtomicBool,
    /// What the account's step knows; only a step takes this lock.
    memory: Mutex<Memory>,
    /// The generation of the token that back ends doubt, 0 for none: set by them, taken by a step.
    doubted_token: AtomicU64,
    /// Someone wants to know how the token fares now: set by readers, taken by a step.
    wants_check: AtomicBool,
    /// Pages doubt the ticket: set by them, taken by a step.
    doubted_ticket: AtomicBool,
    /// Pages that complain cause no step before this: milliseconds on the boot clock.
    next_ticket_nudge: AtomicU64,
    /// A nudge is on its way to the queue: set by readers, cleared when a step begins.
    nudged: AtomicBool,
}

#[derive(Default)]
struct Memory {
    token: Local,
    ticket: Local,
}

impl Kept {
    fn new(account: Account, known: Arc<Known>) -> Self {
        Self {
            secret: account.secret.fingerprint(),
            account,
            known,
        }
    }

    /// What readers may use now.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.known.snapshot.load()
    }

    /// Whether the account is not among the keeper's any more.
    pub fn is_removed(&self) -> bool {
        self.known.removed.load(Ordering::Acquire)
    }

    /// Tells those who wait that nothing will come any more.
    fn let_go(&self) {
        self.known.removed.store(true, Ordering::Release);
        self.known.changed.send_replace(());
    }

    /// Publishes a changed snapshot. Only the account's step calls this.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.known.snapshot.load());
        change(&mut next);
        self.known.snapshot.store(Arc::new(next));
        self.known.changed.send_replace(());
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", self.account.appid)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
