//! Months of renewal under random trouble, from a seed: five nodes, three accounts, one store.
//!
//! Everything runs in one thread under paused time, and everything random comes from the seed: the
//! same seed gives the same events at the same times. A seed that fails is printed;
//! `WXSIGN_SIM_SEED=N cargo test --test simulation` runs it again. `WXSIGN_SIM_SEEDS` and
//! `WXSIGN_SIM_DAYS` make the test longer.
//!
//! # Layout
//! `plan` makes storms of trouble; `world` lets them pass over the nodes; `machine` is what a node
//! runs on, with its ways to the store and to WeChat; `judge` looks whether promises are kept;
//! `controls` are wrong programs that the judge must catch.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "simulation/controls.rs"]
mod controls;
#[path = "simulation/judge.rs"]
mod judge;
#[path = "simulation/machine.rs"]
mod machine;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/shared.rs"]
mod shared;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use controls::Control;
use world::{Report, Violation, World};

const DAY: u64 = 86_400;

/// Runs go on so many threads.
const THREADS: usize = 2;

#[test]
fn under_any_trouble_every_promise_is_kept() {
    let (seeds, days) = (setting("SEEDS", 200), setting("DAYS", 30));
    let first = setting("SEED", 0);
    let seeds = if first > 0 {
        first..first + 1
    } else {
        1..seeds + 1
    };
    let (mut total, mut excused) = (Report::default(), BTreeMap::new());
    let mut broken = Vec::new();
    for (seed, outcome) in run_all(seeds.clone(), days, Control::Right) {
        match outcome {
            Ok(report) => {
                total.events += report.events;
                total.troubles += report.troubles;
                total.storms += report.storms;
                total.awake += report.awake;
                for (why, count) in report.excused {
                    *excused.entry(why).or_insert(0) += count;
                }
            }
            Err(violation) => {
                println!("WXSIGN_SIM_SEED={seed}: {}", violation.what);
                broken.push((seed, violation));
            }
        }
    }
    println!(
        "{} seeds of {days} days, {:.2} node-days awake a day: {} storms, {} troubles, {} events; \
         excused {excused:?}",
        seeds.end - seeds.start,
        total.awake.as_secs_f64() / ((seeds.end - seeds.start) * days * DAY) as f64,
        total.storms,
        total.troubles,
        total.events
    );
    if let Some((seed, violation)) = broken.first() {
        panic!("seed {seed}: {}\n{}", violation.what, violation.trace);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1..=3 {
        let first = run(seed, 3, Control::Right).unwrap();
        assert_eq!(first, run(seed, 3, Control::Right).unwrap());
        assert!(first.events > 1000);
    }
}

#[test]
fn programs_that_break_a_rule_are_caught() {
    for control in Control::WRONG {
        // One of them needs a rare moment: one seed in a hundred or two has it.
        let caught = run_all(1..301, 10, control).find(|(_, outcome)| outcome.is_err());
        let (seed, outcome) = caught.unwrap_or_else(|| panic!("{control:?} was not caught"));
        println!("{control:?}: seed {seed}, {}", outcome.unwrap_err().what);
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(format!("WXSIGN_SIM_{name}")).map_or(default, |text| text.parse().unwrap())
}

fn run(seed: u64, days: u64, control: Control) -> Result<Report, Violation> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        World::new(seed, control)
            .run(Duration::from_secs(days * DAY))
            .await
    })
}

/// Runs seeds as long as anyone asks for outcomes.
fn run_all(
    seeds: std::ops::Range<u64>,
    days: u64,
    control: Control,
) -> impl Iterator<Item = (u64, Result<Report, Violation>)> {
    let (done, outcomes) = std::sync::mpsc::sync_channel(0);
    let next = std::sync::Arc::new(AtomicU64::new(seeds.start));
    for _ in 0..THREADS {
        let (done, next, end) = (done.clone(), std::sync::Arc::clone(&next), seeds.end);
        std::thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end || done.send((seed, run(seed, days, control))).is_err() {
                    return;
                }
            }
        });
    }
    outcomes.into_iter()
}
