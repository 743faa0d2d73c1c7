//! What a signature costs over HTTP: `cargo bench --bench http`, or `tests/run bench`, which
//! installs what the comparison needs.
//!
//! wxsign's release binary stands beside a bare hyper server, which answers the same without
//! doing anything for it, and beside peers that sign the same page. All servers are pinned to the
//! first core and loaded in turn by wrk from the second, a second each, round by round; what is
//! compared are medians, and the p99 of quiet seconds. The bare server is there twice: others are
//! compared with the mean of both, and how far the two differ is how far any figure can be trusted.
//!
//! `cargo bench --bench http -- 3` makes three rounds; `-- --write` rewrites the README's tables
//! and the chart, if there are seven at least; `-- scale` asks only what a hundred thousand
//! accounts cost, and `-- close` only how close wxsign comes to the bare server; neither writes.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the benchmark"
)]

#[path = "http/bare.rs"]
mod bare;
#[path = "http/chart.rs"]
mod chart;
#[path = "../engines/harness.rs"]
#[expect(dead_code, reason = "tests need the rest")]
mod engines;
#[path = "http/goals.rs"]
mod goals;
#[path = "http/peers.rs"]
mod peers;
#[path = "http/report.rs"]
mod report;
#[path = "http/results.rs"]
mod results;
#[path = "http/scale.rs"]
mod scale;
#[path = "http/server.rs"]
mod server;
#[path = "http/situation.rs"]
mod situation;
#[path = "http/subjects.rs"]
mod subjects;
#[path = "http/table.rs"]
mod table;
#[path = "../cluster/wechat.rs"]
#[expect(dead_code, reason = "tests need the rest")]
mod wechat;
#[path = "http/wrk.rs"]
#[expect(dead_code, reason = "the other benchmark needs the rest")]
mod wrk;

use std::fs;
use std::path::Path;
use std::time::Duration;

use results::{Figures, Footprint, Results, Row};
use server::Reading;
use situation::{COMMON, Situation, USUAL};
use subjects::{PEERS, Subject};
use tokio::runtime::Runtime;
use wrk::median;

/// Fewer rounds say too little to be published.
const ENOUGH: usize = 7;

/// How often a round comes by at those that hardly differ: one slow moment of the machine is the
/// slowest hundredth of a second's requests.
const PASSES: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, address, file] = &args[..]
        && first == bare::ARGUMENT
    {
        return bare::serve(address.parse().unwrap(), Path::new(file));
    }
    let plan = Plan::from_args(&args);
    // WeChat is simulated in this process, beside wrk.
    wrk::keep_on(wrk::CLIENTS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    if args.iter().any(|arg| arg == "scale") {
        return report::print_scale(&scale::scale(&runtime, plan.accounts, plan.rounds));
    }
    let results = bench(&runtime, &plan);
    report::print(&results);
    let is_whole = !plan.is_close && results.rounds >= ENOUGH;
    if args.iter().any(|arg| arg == "--write") && is_whole {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        report::write_into(&package.join("README.md"), &report::markdown(&results));
        let chart = package.join("tests/bench/performance.svg");
        fs::write(chart, chart::svg(&results)).unwrap();
    }
}

/// How thorough it is.
struct Plan {
    rounds: usize,
    situations: Vec<Situation>,
    /// Whether the peers, memory, starts and many accounts are left out.
    is_close: bool,
    starts: usize,
    accounts: usize,
}

impl Plan {
    fn from_args(args: &[String]) -> Self {
        // `cargo test --benches` asks whether it works at all.
        if !args.iter().any(|arg| arg == "--bench") {
            return Self {
                rounds: 1,
                situations: vec![USUAL],
                is_close: false,
                starts: 1,
                accounts: 100,
            };
        }
        let is_close = args.iter().any(|arg| arg == "close");
        let all = COMMON.into_iter().chain([Situation::Browser]);
        let compared = |one: &Situation| !is_close || Situation::CLOSE.contains(one);
        Self {
            situations: all.filter(compared).collect(),
            is_close,
            rounds: args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(11),
            starts: 11,
            accounts: 100_000,
        }
    }
}

fn bench(runtime: &Runtime, plan: &Plan) -> Results {
    let mut subjects = subjects::compared(runtime);
    let (mut footprints, mut scale) = (Vec::new(), None);
    if plan.is_close {
        subjects.retain(|subject| !PEERS.contains(&subject.name));
    } else {
        let alone = subjects.iter_mut();
        footprints.extend(alone.map(|subject| footprint(subject, plan.starts)));
        scale = Some(scale::scale(runtime, plan.accounts, plan.rounds));
    }
    subjects.iter_mut().for_each(Subject::start);
    let wxsign = subjects.iter().find(|one| one.name == subjects::WXSIGN);
    let mut controls = subjects::controls(runtime, &wxsign.unwrap().server);
    controls.iter_mut().for_each(Subject::start);
    subjects.extend(controls);
    Results {
        rounds: plan.rounds,
        rows: rounds(&subjects, plan),
        footprints,
        scale,
        signer: results::signer(),
    }
}

/// What a server takes while no other of its kind runs, with which it would share memory.
fn footprint(subject: &mut Subject, starts: usize) -> Footprint {
    const SETTLED: Duration = Duration::from_millis(500);
    let server = &mut subject.server;
    let times: Vec<f64> = (0..starts)
        .map(|_| {
            server.stop();
            server.start().as_secs_f64()
        })
        .collect();
    std::thread::sleep(SETTLED);
    let idle = server.memory();
    server.load(&Situation::KeepAlive(256).load());
    std::thread::sleep(SETTLED);
    let loaded = server.memory();
    server.stop();
    server.forget_program();
    server.start();
    std::thread::sleep(SETTLED);
    let from_disk = server.memory();
    server.stop();
    Footprint {
        subject: subject.name,
        start: Duration::from_secs_f64(median(times).unwrap()),
        idle,
        loaded,
        from_disk,
    }
}

/// Loads every server in every situation that is its own, again and again.
fn rounds(subjects: &[Subject], plan: &Plan) -> Vec<Row> {
    let mut cells: Vec<(&Subject, Situation, Vec<Reading>)> = Vec::new();
    // Those that are compared come one after the other.
    for &situation in &plan.situations {
        let asked = |subject: &&Subject| subject.situations.contains(&situation);
        let asked = subjects.iter().filter(asked);
        cells.extend(asked.map(|subject| (subject, situation, Vec::new())));
    }
    // The first round is for them to warm up.
    for round in 0..=plan.rounds {
        for pass in 0..PASSES {
            for (subject, situation, readings) in &mut cells {
                if pass > 0 && !subject.is_close(*situation) {
                    continue;
                }
                let reading = subject.server.load(&situation.load());
                if round > 0 {
                    readings.push(reading);
                }
            }
        }
        println!("Round {round} of {}", plan.rounds);
    }
    let rows = cells.iter().map(|(subject, situation, readings)| Row {
        subject: subject.name,
        situation: *situation,
        figures: Figures::of(readings),
    });
    rows.collect()
}
