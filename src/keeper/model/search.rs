//! The search itself, and what it must find.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Faults, Node, Rules, STRIDES, World, token};
use crate::store::Record;

/// What a search found.
#[derive(Debug, Default)]
struct Found {
    states: usize,
    /// The most tokens that were fetched in a period.
    fetches: u8,
    /// States in which nobody has anything to do.
    ends: usize,
    /// Those of them in which the newest token is not stored, or a node has gone back.
    lost: usize,
}

fn search(nodes: usize, faults: Faults, rules: Rules) -> Found {
    let start = World::new(nodes, faults);
    let mut seen = HashSet::from([digest(&start)]);
    let mut todo = VecDeque::from([start]);
    let mut found = Found::default();
    while let Some(world) = todo.pop_front() {
        found.states += 1;
        found.fetches = found.fetches.max(world.minted - 1);
        if world.is_quiet(rules) {
            found.ends += 1;
            if world.stored() != Some(&token(world.minted)) || world.went_back {
                found.lost += 1;
                if rules != Rules::AsTheyAre {
                    return found;
                }
            }
            continue;
        }
        assert!(world.strides < STRIDES, "a period does not end");
        for next in world.successors(rules) {
            if seen.insert(digest(&next)) {
                todo.push_back(next);
            }
        }
    }
    found
}

/// A world's name: the nodes are alike, so their order does not count; neither do the names of
/// attempts, only which of them are the same.
pub(super) fn digest(world: &World) -> u128 {
    let mut nodes: Vec<u64> = world
        .nodes
        .iter()
        .map(|node| hash(&(node_view(node))))
        .collect();
    nodes.sort_unstable();
    let before: Vec<_> = world.before.iter().map(record_view).collect();
    let view = (
        (world.strides, world.minted, world.faults, world.went_back),
        record_view(&world.store),
        before,
        nodes,
    );
    u128::from(hash(&(0, &view))) << 64 | u128::from(hash(&(1, &view)))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn node_view(node: &Node) -> impl Hash {
    let local = &node.local;
    (
        node.doing,
        record_view(&local.record),
        (local.owed, local.raised, local.uncommitted, local.unsent),
    )
}

fn record_view(record: &Record) -> impl Hash + use<> {
    let credential = record.credential.as_ref().map(|credential| {
        let value = credential.value.expose().to_owned();
        (value, credential.generation, credential.confirmed_at)
    });
    let lease = record.lease.as_ref();
    (
        credential,
        lease.map(|lease| (lease.attempt, lease.until, lease.strays_seen)),
        (record.strays, record.settled, record.strayed_at),
        (record.calls.total, record.calls.confirming),
    )
}

fn faults(crashes: u8, pauses: u8, failovers: u8) -> Faults {
    Faults {
        crashes,
        pauses,
        failovers,
    }
}

#[test]
fn the_newest_token_is_stored_whatever_the_order_of_events() {
    // The last figure is the most tokens that are fetched in a period.
    for (faults, fetches) in [
        (faults(0, 0, 0), 1),
        (faults(1, 0, 0), 2),
        (faults(0, 1, 0), 3),
        (faults(0, 0, 1), 3),
        (faults(2, 0, 0), 3),
        (faults(0, 2, 0), 5),
        (faults(0, 0, 2), 5),
        (faults(1, 1, 0), 4),
        (faults(1, 0, 1), 4),
        (faults(0, 1, 1), 5),
    ] {
        let found = search(3, faults, Rules::AsTheyAre);
        println!("{faults:?}: {found:?}");
        assert!(found.ends > 0);
        assert_eq!((found.lost, found.fetches), (0, fetches), "{faults:?}");
    }
}

#[test]
fn each_rule_is_needed() {
    for (rules, faults) in [
        (Rules::NoStrays, faults(0, 1, 0)),
        (Rules::FlagInsteadOfCount, faults(0, 1, 0)),
        (Rules::NoHeal, faults(0, 0, 1)),
        (Rules::NoRaise, faults(0, 1, 1)),
    ] {
        let found = search(3, faults, rules);
        println!("{rules:?}: {found:?}");
        assert!(found.lost > 0, "{rules:?}");
    }
}
