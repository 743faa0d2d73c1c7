//! Every order of events, up to a number of faults, for several nodes that share one classic
//! token: the newest token must always end up in the store.
//!
//! The search is breadth-first over the program's own functions. It covers one period, from the
//! moment at which the token is due until nobody has anything to do. Faults are a crash, a pause
//! that outlives the lease, and a failover that forgets writes.

mod search;

use std::collections::VecDeque;
use std::time::Duration;

use super::backoff::Caller;
use super::local::Local;
use super::policy::Policy;
use super::protocol::{self, LEASE, LEASE_NEEDED_TO_SEND, Plan};
use crate::account::AppId;
use crate::clock::{Moment, Timestamp};
use crate::credential::{Credential, Secret};
use crate::store::{Attempt, Record};
use crate::upstream::Issued;
use search::digest;

const POLICY: Policy = Policy::ClassicToken;

/// Time passes in strides that end every lease.
const STRIDE: Duration = Duration::from_secs(31);

/// A period ends well before so many strides.
const STRIDES: u32 = 24;

/// A plan to wait for so long is nothing to do.
const QUIET: Duration = Duration::from_secs(2_000);

/// Writes that a failover may forget.
const LOSSY: usize = 2;

/// The rules, or the rules with one of them taken out, to see that the search would notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rules {
    AsTheyAre,
    /// Strays are not counted.
    NoStrays,
    /// Any commit settles all strays, as a flag would be cleared.
    FlagInsteadOfCount,
    /// A store that went back in time is believed.
    NoHeal,
    /// A stray that the store forgot is not raised again.
    NoRaise,
}

/// How many faults of each kind may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Faults {
    crashes: u8,
    pauses: u8,
    failovers: u8,
}

#[derive(Clone)]
struct World {
    strides: u32,
    store: Record,
    /// What the store held before, the latest last.
    before: VecDeque<Record>,
    /// Tokens that WeChat has issued; the last one is the newest.
    minted: u8,
    attempts: u64,
    nodes: Vec<Node>,
    faults: Faults,
    /// A node has given up a generation for an older one.
    went_back: bool,
}

#[derive(Clone, Default)]
struct Node {
    local: Local,
    doing: Doing,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
enum Doing {
    #[default]
    Nothing,
    /// Holds the lease and is about to see whether enough of it remains.
    Leased { attempt: u64, at: u32 },
    /// Has seen that it does, and is about to send.
    Sending { attempt: u64, at: u32 },
    /// Has sent, and waits for the token of this number.
    Waiting { attempt: u64, at: u32, token: u8 },
}

impl World {
    /// One token, stored and known to all nodes, and just due.
    fn new(nodes: usize, faults: Faults) -> Self {
        let born = moment(0).wall.before(Duration::from_secs(5_200));
        let end = born + Duration::from_secs(7_200);
        let store = Record {
            credential: Some(Credential {
                value: token(1),
                generation: 1,
                first_seen: born,
                confirmed_at: born,
                expires_at: end,
                claimed_until: end,
            }),
            ..Record::default()
        };
        let mut node = Node::default();
        node.local.saw(store.clone(), moment(0));
        Self {
            strides: 0,
            store,
            before: VecDeque::new(),
            minted: 1,
            attempts: 0,
            nodes: vec![node; nodes],
            faults,
            went_back: false,
        }
    }

    fn now(&self) -> Moment {
        moment(self.strides)
    }

    fn write(&mut self, record: Record) {
        if record != self.store {
            let before = std::mem::replace(&mut self.store, record);
            self.before.push_back(before);
            if self.before.len() > LOSSY {
                self.before.pop_front();
            }
        }
    }

    /// Everything that may happen next.
    fn successors(&self, rules: Rules) -> Vec<Self> {
        let mut next = Vec::new();
        for index in 0..self.nodes.len() {
            next.extend(self.acts(index, rules));
            next.extend(self.crashes(index));
        }
        next.extend(self.fails_over());
        next.extend(self.time_passes(rules));
        next
    }

    /// The node goes on with what it does.
    fn acts(&self, index: usize, rules: Rules) -> Option<Self> {
        let mut world = self.clone();
        let now = world.now();
        match world.nodes[index].doing {
            Doing::Nothing => world.looks(index, rules)?,
            Doing::Leased { attempt, at } => {
                let held = now.boot.saturating_sub(moment(at).boot);
                if held + LEASE_NEEDED_TO_SEND > LEASE {
                    let node = &mut world.nodes[index];
                    node.local.gave_up(Attempt::number(attempt));
                    node.doing = Doing::Nothing;
                    let released = protocol::release(&world.store, Attempt::number(attempt));
                    world.nodes[index].local.saw(released.clone(), now);
                    world.write(released);
                } else {
                    world.nodes[index].doing = Doing::Sending { attempt, at };
                }
            }
            Doing::Sending { attempt, .. } => {
                world.minted += 1;
                let (at, token) = (world.strides, world.minted);
                world.nodes[index].doing = Doing::Waiting { attempt, at, token };
            }
            Doing::Waiting {
                attempt,
                at,
                token: number,
            } => {
                let (attempt, sent_at) = (Attempt::number(attempt), moment(at).wall);
                let issued = Issued {
                    value: token(number),
                    lifetime: Duration::from_secs(7_200),
                };
                let committed = protocol::commit(POLICY, &world.store, attempt, sent_at, &issued);
                let mut record = committed
                    .clone()
                    .unwrap_or_else(|| protocol::count_stray(&world.store, attempt, sent_at));
                match rules {
                    Rules::NoStrays => (record.strays, record.settled) = (0, 0),
                    Rules::FlagInsteadOfCount if committed.is_some() => {
                        record.settled = record.strays;
                        record.strayed_at = None;
                    }
                    _ => {}
                }
                let node = &mut world.nodes[index];
                node.doing = Doing::Nothing;
                node.local.saw(record.clone(), now);
                if committed.is_none() && rules != Rules::NoRaise && rules != Rules::NoStrays {
                    node.local.counted(sent_at);
                }
                world.write(record);
            }
        }
        Some(world)
    }

    /// The node looks at the record, and takes the lease if it is to fetch. `None` if all that
    /// changes nothing.
    fn looks(&mut self, index: usize, rules: Rules) -> Option<()> {
        let (now, before) = (self.now(), digest(self));
        let local = &mut self.nodes[index].local;
        let known = local.generation();
        if rules == Rules::NoHeal {
            local.record.clone_from(&self.store);
        }
        let mended = super::reconcile::reconcile(POLICY, &self.store, local, now);
        let mut record = mended
            .as_ref()
            .map_or_else(|| self.store.clone(), |mended| mended.record.clone());
        match mended {
            Some(mended) => mended.written(local, now),
            None => local.saw(record.clone(), now),
        }
        match rules {
            Rules::NoRaise => local.raised = None,
            Rules::NoStrays => {
                (record.strays, record.settled) = (0, 0);
                local.record.clone_from(&record);
            }
            _ => {}
        }
        self.went_back |= local.generation() < known;
        self.write(record);
        let local = &self.nodes[index].local;
        if let Plan::Fetch(purpose) = protocol::plan(POLICY, &appid(), caller(), local, now) {
            self.attempts += 1;
            let attempt = Attempt::number(self.attempts);
            let mut leased = protocol::take_lease(POLICY, local, purpose, attempt, "", now.wall);
            if rules == Rules::NoStrays {
                (leased.strays, leased.settled) = (0, 0);
            }
            let node = &mut self.nodes[index];
            node.local.saw(leased.clone(), now);
            node.doing = Doing::Leased {
                attempt: self.attempts,
                at: self.strides,
            };
            self.write(leased);
        }
        (digest(self) != before).then_some(())
    }

    /// The node ends and starts anew, knowing nothing.
    fn crashes(&self, index: usize) -> Option<Self> {
        let crashes = self.faults.crashes.checked_sub(1)?;
        match self.nodes[index].doing {
            Doing::Nothing => return None,
            // It has sent, its lease is gone from the store (because it was paused, or forgotten
            // by a failover), and it dies before it can say so: nobody can know of that token.
            // This is the one hole that the rules leave.
            Doing::Waiting { attempt, .. } if !self.is_leased(attempt) => return None,
            _ => {}
        }
        let mut world = self.clone();
        world.faults.crashes = crashes;
        world.nodes[index] = Node::default();
        Some(world)
    }

    fn is_leased(&self, attempt: u64) -> bool {
        let lease = self.store.lease.as_ref();
        lease.is_some_and(|lease| lease.attempt == Attempt::number(attempt))
    }

    /// The store forgets its last writes.
    fn fails_over(&self) -> Vec<Self> {
        let Some(failovers) = self.faults.failovers.checked_sub(1) else {
            return Vec::new();
        };
        self.before
            .iter()
            .map(|before| {
                let mut world = self.clone();
                world.faults.failovers = failovers;
                world.store.clone_from(before);
                world.before.clear();
                world
            })
            .collect()
    }

    /// All leases end. A node in the middle of something is paused meanwhile; one that has
    /// something to do does it first, and one that is paused goes on before all others sleep.
    fn time_passes(&self, rules: Rules) -> Option<Self> {
        if self.strides >= STRIDES || !self.is_settled(rules) || self.is_idle(rules) {
            return None;
        }
        let busy = self
            .nodes
            .iter()
            // One that was paused before goes on being so.
            .filter(|node| match node.doing {
                Doing::Nothing => false,
                Doing::Leased { at, .. }
                | Doing::Sending { at, .. }
                | Doing::Waiting { at, .. } => at == self.strides,
            })
            .count();
        let pauses = self.faults.pauses.checked_sub(u8::try_from(busy).ok()?)?;
        let mut world = self.clone();
        world.faults.pauses = pauses;
        world.strides += 1;
        Some(world)
    }

    /// Whether nobody has anything to do, whatever the order in which they look.
    fn is_quiet(&self, rules: Rules) -> bool {
        self.nodes.iter().all(|node| node.doing == Doing::Nothing) && self.is_idle(rules)
    }

    /// Whether no node that does nothing will have anything to do for long.
    fn is_idle(&self, rules: Rules) -> bool {
        self.is_settled(rules)
            && self
                .nodes
                .iter()
                .filter(|node| node.doing == Doing::Nothing)
                .all(|node| {
                    let now = self.now();
                    let plan = protocol::plan(POLICY, &appid(), caller(), &node.local, now);
                    matches!(plan, Plan::Wait(until) if until.since(now.wall) > QUIET)
                })
    }

    /// Whether no node that does nothing has anything to do at this time.
    fn is_settled(&self, rules: Rules) -> bool {
        (0..self.nodes.len()).all(|index| {
            self.nodes[index].doing != Doing::Nothing || self.clone().looks(index, rules).is_none()
        })
    }

    fn stored(&self) -> Option<&Secret> {
        self.store
            .credential
            .as_ref()
            .map(|credential| &credential.value)
    }
}

fn moment(strides: u32) -> Moment {
    Moment {
        wall: Timestamp::from_secs(1_700_000_000) + STRIDE * strides,
        boot: Duration::from_secs(100_000) + STRIDE * strides,
    }
}

fn token(number: u8) -> Secret {
    Secret::new(number.to_string())
}

fn appid() -> AppId {
    "wx0123456789abcdef".parse().unwrap()
}

fn caller() -> Caller<'static> {
    Caller {
        secret: Secret::new("appsecret").fingerprint(),
        host: "host",
    }
}
