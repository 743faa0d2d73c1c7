//! What all machines of a simulated world have in common: WeChat, the store's disk, chance, and
//! the trace of what happened.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wxsign::clock::{Clock, Timestamp};
use wxsign::simulator::Simulator;
use wxsign::store::{Key, Record, Stored, Version};

use super::controls::Control;
use super::plan::Trap;

/// How many writes of a record a failover can reach back.
const KEPT_WRITES: usize = 4;

/// How much of the trace is kept to be shown.
const SHOWN: usize = 4000;

/// What all machines have in common.
pub(crate) struct Shared {
    /// The true time.
    pub(crate) clock: Clock,
    pub(crate) simulator: Simulator,
    /// What is broken on purpose, to see whether it is noticed.
    pub(crate) control: Control,
    /// One seed was asked for: its trace shows what was written.
    pub(crate) explains: bool,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) random: StdRng,
    pub(crate) disk: Disk,
    pub(crate) traps: Vec<Trap>,
    pub(crate) trace: Trace,
    pub(crate) bill: HashMap<Key, Bill>,
    /// Until when to look more often, because the store has forgotten something.
    pub(crate) watched_until: Timestamp,
    lives: u64,
}

/// What happened to the fetches of one credential: each of these may cost another fetch.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Bill {
    /// Answers that reached a node.
    pub(crate) delivered: u64,
    /// Deaths of a node that had the lease or was about to have it.
    pub(crate) deaths: u64,
    /// Pauses of a node that had the lease, beyond the lease; the answer is lost besides.
    pub(crate) pauses: u64,
    /// Answers that reached a node which then found its lease lost.
    pub(crate) late: u64,
    /// Answers that a node could not store at once.
    pub(crate) untold: u64,
    /// Writes whose success was reported as a failure.
    pub(crate) lies: u64,
    /// Failovers that lost a write.
    pub(crate) failovers: u64,
    /// Tokens that WeChat refused when the ticket was asked for.
    pub(crate) rejected: u64,
    /// Fetches of which nobody will ever know.
    pub(crate) unknown: u64,
    /// By when the last of them was answered.
    pub(crate) unknown_at: Timestamp,
    /// When the store last heard of a fetch under a lease that was lost.
    pub(crate) told_at: Timestamp,
    /// When the last answer was asked for that is stored, unless the store forgot something since.
    pub(crate) asked_at: Timestamp,
}

impl Bill {
    /// So many fetches more than one per period.
    pub(crate) const fn allows(&self) -> u64 {
        self.deaths
            + self.pauses
            + 2 * (self.late + self.untold)
            + self.lies
            + 3 * self.failovers
            + self.rejected
            + 2 * self.unknown
    }
}

impl Shared {
    pub(crate) fn new(seed: u64, clock: Clock, simulator: Simulator, control: Control) -> Self {
        let state = State {
            random: StdRng::seed_from_u64(seed ^ 0x5eed),
            disk: Disk::default(),
            traps: Vec::new(),
            trace: Trace::default(),
            bill: HashMap::new(),
            watched_until: Timestamp::default(),
            lives: 0,
        };
        Self {
            clock,
            simulator,
            control,
            explains: std::env::var("WXSIGN_SIM_SEED").is_ok(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Never held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn next_life(&self) -> u64 {
        let mut state = self.state();
        state.lives += 1;
        state.lives
    }

    pub(crate) fn note(&self, node: Option<usize>, what: What) {
        let at = self.now();
        self.state().trace.note(at, node, what);
    }

    /// Adds to the last line of the trace what was written.
    pub(crate) fn explain(&self, bytes: &[u8]) {
        let record: Record = serde_json::from_slice(bytes).unwrap();
        let seconds = |at: Timestamp| at.as_secs() - super::world::T0.as_secs();
        let credential = record.credential.map(|credential| {
            let times = (
                seconds(credential.confirmed_at),
                seconds(credential.expires_at),
            );
            (credential.generation, credential.value.fingerprint(), times)
        });
        let lease = record
            .lease
            .map(|lease| (lease.holder, seconds(lease.until), lease.strays_seen));
        let strayed_at = record.strayed_at.map(seconds);
        let strays = (record.strays, record.settled, strayed_at);
        if let Some(event) = self.state().trace.last.back_mut() {
            event.written = format!(" {credential:?}, strays {strays:?}, lease {lease:?}");
        }
    }

    pub(crate) fn bill(&self, key: &Key, charge: impl FnOnce(&mut Bill)) {
        charge(self.state().bill.entry(key.clone()).or_default());
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<_> = self.state().disk.0.keys().cloned().collect();
        keys.sort_by_key(Key::to_string);
        keys
    }

    /// The record as it is stored.
    pub(crate) fn record(&self, key: &Key) -> Record {
        let stored = self.state().disk.load(key);
        stored.map_or_else(Record::default, |stored| {
            serde_json::from_slice(&stored.bytes).unwrap()
        })
    }

    /// A length of time up to `most`.
    pub(crate) fn up_to(&self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap();
        Duration::from_millis(self.state().random.random_range(0..=most))
    }

    pub(crate) fn chance(&self, probability: f64) -> bool {
        self.state().random.random_bool(probability)
    }
}

/// The records, each with its last writes.
#[derive(Default)]
pub(crate) struct Disk(HashMap<Key, VecDeque<Stored>>);

impl Disk {
    pub(crate) fn load(&self, key: &Key) -> Option<Stored> {
        self.0.get(key)?.back().cloned()
    }

    pub(crate) fn swap(&mut self, key: &Key, from: Version, to: Stored) -> bool {
        let writes = self.0.entry(key.clone()).or_default();
        let current = writes.back().map_or(Version::ABSENT, |last| last.version);
        if current != from {
            return false;
        }
        if writes.len() == KEPT_WRITES {
            writes.pop_front();
        }
        writes.push_back(to);
        true
    }

    /// Loses the last writes of a record, but not the oldest one.
    pub(crate) fn forget(&mut self, key: &Key, writes: usize) -> usize {
        let Some(kept) = self.0.get_mut(key) else {
            return 0;
        };
        let lost = writes.min(kept.len().saturating_sub(1));
        kept.truncate(kept.len() - lost);
        lost
    }
}

/// What happened, as a hash of all of it and the end of it in full.
#[derive(Default)]
pub(crate) struct Trace {
    hash: DefaultHasher,
    last: VecDeque<Event>,
    pub(crate) events: u64,
}

struct Event {
    at: Timestamp,
    node: Option<usize>,
    what: What,
    /// What the record was then, if that is to be shown.
    written: String,
}

impl Event {
    fn line(&self) -> String {
        let seconds = self.at.since(super::world::T0).as_secs_f64();
        let node = self
            .node
            .map_or_else(|| "    ".to_owned(), |node| format!("n{node}  "));
        format!("{seconds:>12.3} {node}{:?}{}", self.what, self.written)
    }
}

/// Something that happened.
#[derive(Hash, Debug)]
pub(crate) enum What {
    Unreachable(Key),
    Swapped(Key, &'static str),
    Sends(Key),
    Answered(Key, &'static str),
    Starts,
    Stops,
    Dies,
    Pauses(u64),
    Begins(String),
    Ends(String),
    Calm,
}

impl Trace {
    fn note(&mut self, at: Timestamp, node: Option<usize>, what: What) {
        (at, node, &what).hash(&mut self.hash);
        self.events += 1;
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        self.last.push_back(Event {
            at,
            node,
            what,
            written: String::new(),
        });
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub(crate) fn end(&self) -> String {
        Vec::from_iter(self.last.iter().map(Event::line)).join("\n")
    }
}
