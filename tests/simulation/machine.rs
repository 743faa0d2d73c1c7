//! A machine that a node runs on: it can be paused and can die at any point of a renewal, and its
//! ways to the store and to WeChat can fail.

#[path = "line.rs"]
mod line;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::task::AbortHandle;
use wxsign::clock::Timestamp;
use wxsign::credential::Secret;
use wxsign::store::{Backend, EncodedChanges, Entries, Key, StoreError, Stored, Version, Write};
use wxsign::upstream::CALL_TIMEOUT;

pub(crate) use line::Line;

use super::plan::{Deed, Point, StoreTrouble};
use super::shared::{Bill, Shared, What};
use super::world::LOOK;

/// A pause that is longer than this can lose the lease: a request may take the rest of it.
const BEYOND_THE_LEASE: Duration = Duration::from_secs(15);

/// How long what nodes make of a store that forgot something is watched.
const WATCH: Duration = Duration::from_secs(90);

/// A node that has read a record has done by then what follows from it.
const TO_ACT: Duration = Duration::from_secs(8);

/// So long it is remembered what a node had read.
const REMEMBERED: Duration = LOOK.saturating_add(TO_ACT);

/// When a machine that was shut down starts again by itself.
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// One life of a node: a restart is another machine.
pub(crate) struct Machine {
    pub(crate) number: usize,
    /// Which of all the lives in this world.
    pub(crate) life: u64,
    pub(crate) shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    queue: Option<AbortHandle>,
    /// Dead until then.
    dead_until: Option<Timestamp>,
    paused_until: Timestamp,
    store: StoreTrouble,
    /// When it last stood still: since when and until when.
    still: (Timestamp, Timestamp),
    /// Which records came here: the last of each that the node had the time to act on at the last
    /// look, and what came since.
    read: HashMap<Key, VecDeque<Read>>,
    /// Credentials that came and are not stored yet, and when they were asked for.
    in_hand: Vec<(Key, Secret, Timestamp)>,
    /// What was asked for after the lease was lost, and nobody was told yet.
    sent_late: Vec<Key>,
}

/// A record that came to a node.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    pub(crate) at: Timestamp,
    /// When WeChat was asked for what it holds.
    pub(crate) asked_at: Timestamp,
}

impl Machine {
    pub(crate) fn new(number: usize, shared: Arc<Shared>) -> Self {
        let state = State {
            queue: None,
            dead_until: None,
            paused_until: Timestamp::default(),
            store: StoreTrouble::default(),
            still: (shared.now(), shared.now()),
            read: HashMap::new(),
            in_hand: Vec::new(),
            sent_late: Vec::new(),
        };
        Self {
            number,
            life: shared.next_life(),
            shared,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn runs(&self, queue: AbortHandle) {
        self.state().queue = Some(queue);
        self.shared.note(Some(self.number), What::Starts);
    }

    pub(crate) fn die(&self, down_for: Duration) {
        let now = self.shared.now();
        let mut state = self.state();
        if state.dead_until.is_none() {
            state.dead_until = Some(now + down_for);
            if let Some(queue) = state.queue.take() {
                queue.abort();
            }
            let sent_late = std::mem::take(&mut state.sent_late);
            drop(state);
            self.shared.note(Some(self.number), What::Dies);
            for key in self.shared.keys() {
                if self.has_lease(&key) {
                    self.shared.bill(&key, |bill| bill.deaths += 1);
                }
            }
            for key in sent_late {
                self.shared.bill(&key, |bill| {
                    bill.unknown += 1;
                    bill.unknown_at = now + CALL_TIMEOUT;
                });
            }
        }
    }

    /// Nothing of it is left after an orderly stop.
    pub(crate) fn is_shut_down(&self) -> Result<(), String> {
        let now = self.shared.now();
        let mut state = self.state();
        let queue = state.queue.take();
        state.dead_until = Some(NEVER);
        drop(state);
        self.shared.note(Some(self.number), What::Stops);
        if !queue.is_some_and(|queue| queue.is_finished()) {
            return Err(format!("{} did not stop", self.name()));
        }
        for key in self.shared.keys() {
            let lease = self.shared.record(&key).lease;
            let left = lease.filter(|lease| lease.holder == self.name());
            if let Some(lease) = left.filter(|l| (l.acquired_at..l.until).contains(&now)) {
                let age = now.since(lease.acquired_at);
                let node = self.name();
                return Err(format!(
                    "{node} left with the lease for {key} of {age:?} ago"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        self.state().dead_until == Some(NEVER)
    }

    pub(crate) fn pause(&self, length: Duration) {
        let now = self.shared.now();
        if length > BEYOND_THE_LEASE {
            for key in self.shared.keys().iter().filter(|key| self.has_lease(key)) {
                self.shared.bill(key, |bill| bill.pauses += 1);
            }
        }
        let mut state = self.state();
        state.paused_until = state.paused_until.max(now + length);
        let until = state.paused_until;
        // Two pauses with no time between them to look around are one.
        if now > state.still.1 + Duration::from_secs(30) {
            state.still.0 = now;
        }
        state.still.1 = until;
        drop(state);
        let millis = u64::try_from(length.as_millis()).unwrap();
        self.shared.note(Some(self.number), What::Pauses(millis));
    }

    pub(crate) fn set_store(&self, trouble: StoreTrouble) {
        self.state().store = trouble;
    }

    /// Since when and until when it last stood still.
    pub(crate) fn still(&self) -> (Timestamp, Timestamp) {
        self.state().still
    }

    /// What the node knew of a record `then`, at the last look or later, and had had the time to
    /// act on.
    pub(crate) fn knew(&self, key: &Key, then: Timestamp) -> Option<Read> {
        let long_ago = then.before(TO_ACT);
        let state = self.state();
        let mut read = state.read.get(key)?.iter().rev().copied();
        read.find(|read| read.at <= long_ago)
    }

    /// Whether it asked for a credential after it lost the lease and could not say so yet.
    pub(crate) fn owes_word(&self, key: &Key) -> bool {
        self.state().sent_late.contains(key)
    }

    fn reads(&self, key: &Key) -> Read {
        let bill = self.shared.state().bill.get(key).copied();
        Read {
            at: self.shared.now(),
            asked_at: bill.unwrap_or_default().asked_at,
        }
    }

    fn has_read(&self, key: &Key, came: Read) {
        let long_ago = self.shared.now().before(REMEMBERED);
        let mut state = self.state();
        let read = state.read.entry(key.clone()).or_default();
        while read.get(1).is_some_and(|next| next.at <= long_ago) {
            read.pop_front();
        }
        read.push_back(came);
    }

    pub(crate) fn dead_until(&self) -> Option<Timestamp> {
        self.state().dead_until
    }

    pub(crate) fn paused_until(&self) -> Timestamp {
        self.state().paused_until
    }

    fn is_alive(&self) -> bool {
        self.state().dead_until.is_none()
    }

    /// Lets happen what is to happen at this point.
    fn strike(&self, point: Point, key: &Key) {
        let deed = {
            let mut shared = self.shared.state();
            let sprung = shared
                .traps
                .iter_mut()
                .position(|trap| trap.springs(point, key.kind));
            sprung.map(|sprung| shared.traps.remove(sprung).deed)
        };
        match deed {
            Some(Deed::Die(down_for)) => self.die(down_for),
            Some(Deed::Pause(length)) => self.pause(length),
            Some(Deed::Failover(writes)) => forget(&self.shared, key, writes),
            None => {}
        }
    }

    /// The same; comes back only if the machine is there then.
    async fn reach(&self, point: Point, key: &Key) {
        self.strike(point, key);
        // A request that was on its way goes out before anything else happens.
        self.wait_while_paused(Duration::from_millis(1)).await;
        if !self.is_alive() {
            std::future::pending::<()>().await;
        }
    }

    async fn wait_while_paused(&self, then: Duration) {
        loop {
            let until = self.state().paused_until;
            if until == Timestamp::default() {
                return;
            }
            let pause = until.since(self.shared.now());
            if pause.is_zero() {
                return;
            }
            self.shared.clock.sleep(pause + then).await;
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("node {}", self.number)
    }

    fn has_lease(&self, key: &Key) -> bool {
        // Asked before each call: reading the whole record would take a tenth of all time.
        let holder = format!("\"holder\":\"{}\"", self.name());
        let stored = self.shared.state().disk.load(key);
        stored.is_some_and(|stored| {
            let mut parts = stored.bytes.windows(holder.len());
            parts.any(|part| part == holder.as_bytes())
        })
    }

    /// The way to the store and back, which may fail.
    async fn travel(&self) -> Result<(), StoreError> {
        let trouble = self.state().store;
        if !trouble.slow.is_zero() {
            let wait = self.shared.up_to(trouble.slow);
            self.shared.clock.sleep(wait).await;
        } else if self.shared.chance(0.1) {
            self.shared.clock.sleep(Duration::from_millis(2)).await;
        }
        if trouble.down {
            return Err(StoreError("it cannot be reached".to_owned()));
        }
        Ok(())
    }

    /// Watches what becomes of a credential that came.
    fn stores(&self, key: &Key, bytes: Option<&[u8]>) {
        let mut state = self.state();
        if bytes.is_some() && state.sent_late.contains(key) {
            state.sent_late.retain(|of| of != key);
            let now = self.shared.now();
            self.shared.bill(key, |bill| bill.told_at = now);
        }
        let Some(held) = state.in_hand.iter().position(|(of, ..)| of == key) else {
            return;
        };
        let (_, value, asked_at) = state.in_hand.remove(held);
        drop(state);
        let value = value.expose().as_bytes();
        match bytes {
            None => self.shared.bill(key, |bill| bill.untold += 1),
            Some(bytes) if bytes.windows(value.len()).any(|part| part == value) => {
                let last = |bill: &mut Bill| bill.asked_at = bill.asked_at.max(asked_at);
                self.shared.bill(key, last);
            }
            Some(_) => self.shared.bill(key, |bill| bill.late += 1),
        }
    }
}

/// Loses the last writes of a record.
pub(crate) fn forget(shared: &Shared, key: &Key, writes: usize) {
    let lost = shared.state().disk.forget(key, writes);
    if lost > 0 {
        shared.state().watched_until = shared.now() + WATCH;
        shared.bill(key, |bill| {
            bill.failovers += 1;
            bill.asked_at = Timestamp::default();
        });
    }
}

/// A call to the store that is on its way. Who gives it up does not learn what became of it.
struct Errand<'a> {
    machine: &'a Machine,
    key: &'a Key,
    came_back: bool,
    wrote: bool,
}

impl<'a> Errand<'a> {
    fn begin(machine: &'a Machine, key: &'a Key) -> Self {
        Self {
            machine,
            key,
            came_back: false,
            wrote: false,
        }
    }
}

impl Drop for Errand<'_> {
    fn drop(&mut self) {
        if self.came_back || !self.machine.is_alive() {
            return;
        }
        if self.wrote {
            self.machine.shared.bill(self.key, |bill| bill.lies += 1);
        } else {
            self.machine.stores(self.key, None);
        }
    }
}

/// A machine's way to the store.
pub(crate) struct Reach(pub(crate) Arc<Machine>);

impl Backend for Reach {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let (machine, shared) = (&self.0, &self.0.shared);
            let mut errand = Errand::begin(machine, key);
            machine.reach(Point::BeforeLoad, key).await;
            let arrived = machine.travel().await;
            if arrived.is_err() {
                shared.note(Some(machine.number), What::Unreachable(key.clone()));
            }
            arrived?;
            let stored = shared.state().disk.load(key);
            let read = machine.reads(key);
            machine.reach(Point::AfterLoad, key).await;
            errand.came_back = true;
            if stored.is_some() {
                machine.has_read(key, read);
            }
            Ok(stored.map(|stored| shared.control.loaded(stored)))
        })
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let (machine, shared) = (&self.0, &self.0.shared);
            let mut errand = Errand::begin(machine, key);
            machine.reach(Point::BeforeSwap, key).await;
            let arrived = machine.travel().await;
            let lies = machine.state().store.lies;
            let (lied, applied) = match lies {
                0.0 => (false, true),
                lies => (shared.chance(lies), shared.chance(0.7)),
            };
            let before = shared.state().disk.load(key);
            let bytes = shared.control.swapped(before.as_ref(), write.bytes);
            let stored = Stored {
                bytes,
                version: write.to,
            };
            let outcome = match arrived {
                Err(error) => Err(error),
                Ok(()) if lied && !applied => Err(StoreError("the write got lost".to_owned())),
                Ok(()) => Ok(shared.state().disk.swap(key, write.from, stored.clone())),
            };
            let outcome = match outcome {
                Ok(true) => {
                    errand.wrote = true;
                    machine.stores(key, Some(&stored.bytes));
                    if lied {
                        Err(StoreError("the answer got lost".to_owned()))
                    } else {
                        Ok(true)
                    }
                }
                other => other,
            };
            let word = match &outcome {
                Ok(true) => "yes",
                Ok(false) => "no",
                Err(_) => "fails",
            };
            shared.note(Some(machine.number), What::Swapped(key.clone(), word));
            if shared.explains {
                shared.explain(&stored.bytes);
            }
            machine.reach(Point::AfterSwap, key).await;
            errand.came_back = outcome.is_ok();
            outcome
        })
    }

    fn is_embedded(&self) -> bool {
        false
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        Box::pin(async move { Ok(known.is_none().then(Entries::default)) })
    }

    fn swap_directory(
        &self,
        _: Version,
        _: Version,
        _: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async { Err(StoreError("its directory does not change".to_owned())) })
    }
}
