//! The accounts, and what is known of each.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;

use super::local::{Local, Remembered};
use super::queue::Nanos;
use super::snapshot::Snapshot;
use crate::account::{Account, AppId};
use crate::credential::{Fingerprint, Kind};
use crate::page_hosts::AllPageHosts;
use crate::sharded::Sharded;

/// The accounts by their AppIDs. A copy costs little, however many they are.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    by_appid: Sharded<ByAppid, ()>,
    /// The only one, if there is exactly one.
    only: Option<Arc<Kept>>,
    page_hosts: AllPageHosts,
    /// How many have a ticket beside their jsapi_ticket.
    further_tickets: usize,
    /// What readers see of each that nothing is known of yet.
    blank: Arc<Snapshot>,
}

/// An account, to be found by its AppID, of which there is no second copy.
#[derive(Clone, Debug)]
struct ByAppid(Arc<Kept>);

impl Borrow<str> for ByAppid {
    fn borrow(&self) -> &str {
        self.0.account.appid.as_str()
    }
}

impl PartialEq for ByAppid {
    fn eq(&self, other: &Self) -> bool {
        self.0.account.appid == other.0.account.appid
    }
}

impl Eq for ByAppid {}

impl Hash for ByAppid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.account.appid.hash(state);
    }
}

impl Accounts {
    /// Puts an account there; one that is there keeps what is known of it. Says whether it is
    /// another one than before.
    pub(super) fn put(&mut self, mut account: Account) -> bool {
        let former = self.get(account.appid.as_str()).map(Arc::clone);
        if former
            .as_ref()
            .is_some_and(|former| former.account == account)
        {
            return false;
        }
        if let Some(former) = &former {
            self.count_out(&former.account);
            self.by_appid.remove(former.account.appid.as_str());
        }
        self.page_hosts.add(&mut account.page_hosts);
        self.further_tickets += usize::from(account.further_ticket().is_some());
        let blank = || Arc::new(Known::new(Arc::clone(&self.blank)));
        let known = former.map_or_else(blank, |former| Arc::clone(&former.known));
        let kept = Arc::new(Kept::new(account, known));
        self.by_appid.insert(ByAppid(kept), ());
        self.find_only();
        true
    }

    /// Takes an account away.
    pub(super) fn remove(&mut self, appid: &AppId) -> Option<Arc<Kept>> {
        let kept = Arc::clone(self.get(appid.as_str())?);
        self.by_appid.remove(appid.as_str());
        self.count_out(&kept.account);
        self.find_only();
        Some(kept)
    }

    fn count_out(&mut self, account: &Account) {
        self.page_hosts.remove(&account.page_hosts);
        self.further_tickets -= usize::from(account.further_ticket().is_some());
    }

    fn find_only(&mut self) {
        let mut all = self.iter();
        let only = all.next().filter(|_| all.next().is_none()).cloned();
        drop(all);
        self.only = only;
    }

    /// The account of `appid`.
    pub fn get(&self, appid: &str) -> Option<&Arc<Kept>> {
        let found = self.by_appid.get_key_value(appid);
        found.map(|(ByAppid(kept), ())| kept)
    }

    /// The only account, if there is exactly one.
    pub const fn only(&self) -> Option<&Arc<Kept>> {
        self.only.as_ref()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.by_appid.len()
    }

    /// How many tickets all of them have together.
    pub(super) const fn tickets(&self) -> usize {
        self.len() + self.further_tickets
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All accounts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kept>> {
        self.by_appid.iter().map(|(ByAppid(kept), ())| kept)
    }

    /// All AppIDs, in their order.
    pub(super) fn appids(&self) -> Vec<AppId> {
        let mut appids = Vec::with_capacity(self.len());
        appids.extend(self.iter().map(|kept| kept.account.appid.clone()));
        appids.sort();
        appids
    }

    /// The page hosts of all accounts together.
    pub const fn page_hosts(&self) -> &AllPageHosts {
        &self.page_hosts
    }
}

/// An account and what is known of its credentials.
pub struct Kept {
    /// The account.
    pub account: Account,
    /// The fingerprint of its AppSecret.
    pub(super) secret: Fingerprint,
    /// Stays when the account is changed.
    pub(super) known: Arc<Known>,
}

/// What is known of the credentials of an account.
pub(super) struct Known {
    /// Written by the account's step, of which there is one at a time; read by anyone.
    pub(super) snapshot: ArcSwap<Snapshot>,
    /// The account was removed: set once, never cleared.
    removed: AtomicBool,
    /// What the account's step knows; only a step, of which there is one at a time, takes it and
    /// puts it back.
    memory: Mutex<Remembering>,
    /// The generation of the token that back ends doubt, 0 for none: set by them, taken by a step.
    pub(super) doubted_token: AtomicU64,
    /// Someone wants to know how the token fares now: set by readers, taken by a step.
    pub(super) wants_check: AtomicBool,
    /// A human wants what failed to be tried again: set for him, taken by a step.
    pub(super) tries_again: AtomicBool,
    /// Pages doubt the tickets: set by them, taken by a step.
    pub(super) doubted_ticket: AtomicBool,
    /// Pages that complain cause no step before this: seconds on the boot clock.
    pub(super) next_ticket_nudge: AtomicU32,
    /// When the queue has the account looked at, one more than that; 0 while it does not wait for
    /// that. Only the queue's.
    due: AtomicU64,
    /// A nudge is on its way to the queue: set by readers, cleared when a step begins.
    pub(super) nudged: AtomicBool,
    /// Signatures that were made: counted by readers.
    signatures: AtomicU64,
    /// How many of them were taken, the lower half of the number: only the sampler's.
    taken: AtomicU32,
}

/// What is remembered of the token, of the jsapi_ticket, and of a further ticket, if there is one.
type Remembering = (Remembered, Remembered, Option<Box<Remembered>>);

impl Known {
    fn new(blank: Arc<Snapshot>) -> Self {
        Self {
            snapshot: ArcSwap::new(blank),
            removed: AtomicBool::default(),
            memory: Mutex::default(),
            doubted_token: AtomicU64::default(),
            wants_check: AtomicBool::default(),
            tries_again: AtomicBool::default(),
            doubted_ticket: AtomicBool::default(),
            next_ticket_nudge: AtomicU32::default(),
            due: AtomicU64::default(),
            nudged: AtomicBool::default(),
            signatures: AtomicU64::default(),
            taken: AtomicU32::default(),
        }
    }
}

/// What the account's step knows about its credentials.
pub(super) struct Memory {
    pub(super) token: Local,
    pub(super) ticket: Local,
    /// Of the ticket beside that one; of no account where there is none.
    pub(super) further: Local,
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

    /// Counts a signature.
    pub fn count_signature(&self) {
        self.known.signatures.fetch_add(1, Ordering::Relaxed);
    }

    /// How many signatures were made here since the account came.
    pub fn signatures(&self) -> u64 {
        self.known.signatures.load(Ordering::Relaxed)
    }

    /// How many were made since they were taken last.
    pub(crate) fn take_signatures(&self) -> u32 {
        let made = self.signatures() as u32;
        made.wrapping_sub(self.known.taken.swap(made, Ordering::Relaxed))
    }

    /// Whether the account is not among the keeper's any more.
    pub fn is_removed(&self) -> bool {
        self.known.removed.load(Ordering::Acquire)
    }

    /// Tells those who wait that nothing will come any more.
    pub(super) fn let_go(&self) {
        self.known.removed.store(true, Ordering::Release);
        self.changed().notify_waiters();
    }

    /// Tells those who wait that the snapshot is another one, or that the account was removed. A
    /// few accounts share it, so whoever is told looks whether it is about his.
    pub(super) fn changed(&self) -> &'static Notify {
        static CHANGED: [Notify; 256] = [const { Notify::const_new() }; 256];
        let place = Arc::as_ptr(&self.known).addr() / size_of::<Known>();
        &CHANGED[place % CHANGED.len()]
    }

    /// When the queue has it looked at, while it waits for that.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.known.due.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Notes when the queue is to have it looked at. Returns when it was to be.
    pub(super) fn set_due(&self, at: Option<Nanos>) -> Option<Nanos> {
        let former = self.due();
        let due = at.map_or(0, |at| at.saturating_add(1));
        self.known.due.store(due, Ordering::Relaxed);
        former
    }

    /// What the account's steps have found out so far.
    pub(super) fn recall(&self) -> Memory {
        let (token, ticket, further) = &*self.memory();
        let snapshot = self.snapshot();
        let kept = self.account.further_ticket().zip(further.as_deref());
        Memory {
            token: token.recall(snapshot.last(Kind::AccessToken)),
            ticket: ticket.recall(snapshot.last(Kind::JsapiTicket)),
            further: kept.map_or_else(Local::default, |(kind, further)| {
                further.recall(snapshot.last(kind))
            }),
        }
    }

    /// Remembers what a step has found out.
    pub(super) fn remember(&self, memory: Memory) {
        let snapshot = self.snapshot();
        let further = self.account.further_ticket();
        let further = further.map(|kind| Remembered::of(memory.further, snapshot.last(kind)));
        *self.memory() = (
            Remembered::of(memory.token, snapshot.last(Kind::AccessToken)),
            Remembered::of(memory.ticket, snapshot.last(Kind::JsapiTicket)),
            further.map(Box::new),
        );
    }

    /// What is under the lock is whole at any time.
    fn memory(&self) -> MutexGuard<'_, Remembering> {
        (self.known.memory.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a changed snapshot. Only the account's step calls this.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.known.snapshot.load());
        change(&mut next);
        self.known.snapshot.store(Arc::new(next));
        self.changed().notify_waiters();
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", self.account.appid)
    }
}
