//! wxsign with a hundred thousand accounts beside wxsign with one.
//!
//! The accounts are of the kind that is added at run time, each with a page host of its own, and
//! their credentials are stored and good for two hours: so WeChat is not asked.

#[path = "scale/database.rs"]
mod database;
#[path = "scale/operators.rs"]
mod operators;

use std::time::Duration;

use tokio::runtime::Runtime;
use wxsign::clock::Clock;

use crate::server::Server;
use crate::wrk::{self, median};
use database::Database;
use operators::{Line, all_sign, changed, watched};

/// What was found.
pub(crate) struct Scale {
    pub(crate) accounts: usize,
    /// From the start to the first signature, and from the start until all accounts sign.
    pub(crate) start: Duration,
    pub(crate) all_sign: Duration,
    /// The most memory that it had until then.
    pub(crate) most_memory: f64,
    pub(crate) bytes_each: f64,
    /// Asked for any of the accounts, and for one of them.
    pub(crate) any: OverOne,
    pub(crate) same: OverOne,
    /// The part of a core that is used while nobody asks.
    pub(crate) idle_cpu: f64,
    /// What operators find and do.
    pub(crate) operators: Vec<Line>,
}

/// What a signature takes, over what it takes with one account.
pub(crate) struct OverOne {
    pub(crate) per_second: f64,
    pub(crate) cpu: f64,
}

/// How long nobody asks, to see what it does by itself.
const IDLE: Duration = Duration::from_secs(10);

/// Compares the two.
pub(crate) fn scale(runtime: &Runtime, accounts: usize, rounds: usize) -> Scale {
    let one = runtime.block_on(Database::of(1));
    let many = runtime.block_on(Database::of(accounts));
    let (mut lone, mut crowded) = (one.server(), many.server());
    lone.start();
    let begun = Clock::system().moment().boot;
    let start = crowded.start();
    while !all_sign(&crowded) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let all_sign = Clock::system().moment().boot - begun;
    let most_memory = crowded.most_memory();
    let idle_cpu = crowded.cpu_during(IDLE);
    let memory = crowded.memory() - lone.memory();
    let mut operators = watched(&crowded, accounts);
    let (any, same) = over_one(&lone, &crowded, accounts, rounds);
    operators.extend(changed(&crowded, &many));
    Scale {
        accounts,
        start,
        all_sign,
        most_memory,
        bytes_each: memory / (accounts - 1) as f64,
        any,
        same,
        idle_cpu,
        operators,
    }
}

/// Signatures for any of many accounts, and for the first, over those for the only one.
fn over_one(lone: &Server, crowded: &Server, accounts: usize, rounds: usize) -> (OverOne, OverOne) {
    let [mut alone, mut any, mut same] = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        alone.push(signatures(lone, 1));
        any.push(signatures(crowded, accounts));
        same.push(signatures(crowded, 1));
    }
    let [alone, any, same] = [alone, any, same].map(|found| {
        let (rates, cpus): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        [rates, cpus].map(|figures| median(figures).unwrap())
    });
    let over = |of: [f64; 2]| OverOne {
        per_second: of[0] / alone[0],
        cpu: of[1] / alone[1],
    };
    (over(any), over(same))
}

/// How many there are in a second, and the CPU time of one in seconds. None may fail.
fn signatures(server: &Server, accounts: usize) -> (f64, f64) {
    let url = format!("http://{}", server.address());
    let before = server.cpu();
    let sample = wrk::load_pages(&url, database::PAGES, accounts);
    let cpu = (server.cpu() - before).as_secs_f64() / sample.requests.max(1.0);
    assert_eq!(sample.errors, 0.0, "with {accounts} accounts");
    (sample.per_second, cpu)
}
