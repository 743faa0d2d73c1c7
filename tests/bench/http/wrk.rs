//! Loads a server with wrk for a second. Servers have the first core, wrk has the second.

use std::process::Command;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of the servers, and of wrk and everything else.
pub(crate) const SERVERS: usize = 0;
pub(crate) const CLIENTS: usize = 1;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/http/load.lua");

/// How a server is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Each connection is for one request.
    pub(crate) close: bool,
    /// How many requests are sent at a time.
    pub(crate) depth: usize,
    pub(crate) headers: &'static [&'static str],
}

impl Load {
    /// So many connections, which stay.
    pub(crate) const fn keep_alive(connections: usize) -> Self {
        Self {
            connections,
            close: false,
            depth: 1,
            headers: &[],
        }
    }
}

/// One second of load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    /// Requests that had no answer, or none with a status of 2xx.
    pub(crate) errors: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) p999: Duration,
}

/// Asks for `url` as often as it can.
pub(crate) fn load(url: &str, load: &Load) -> Sample {
    let mut command = Command::new("wrk");
    command
        .args(["-t1", "-d1s", "-s", SCRIPT])
        .args(["-c", &load.connections.to_string()]);
    for header in load.headers {
        command.args(["-H", header]);
    }
    if load.close {
        command.args(["-H", "Connection: close"]);
    }
    command.args([url, "--", &load.depth.to_string()]);
    run(&mut command)
}

/// Asks for any of so many pages as often as it can, on 32 connections. Each has its number in
/// `path`, wherever that has place for it as Lua's `string.format` takes it.
pub(crate) fn load_pages(url: &str, path: &str, pages: usize) -> Sample {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-d1s", "-s", SCRIPT, "-c32", url]);
    run(command.args(["--", "1", path, &pages.to_string()]))
}

fn run(command: &mut Command) -> Sample {
    let output = on_core(CLIENTS, || command.output());
    let output = output.unwrap_or_else(|why| panic!("{why}: apt-get install wrk"));
    let said = String::from_utf8(output.stdout).unwrap();
    Sample::read(&said).unwrap_or_else(|| panic!("{said}"))
}

impl Sample {
    /// What the script has printed.
    fn read(said: &str) -> Option<Self> {
        let figures = said.lines().find_map(|line| line.strip_prefix("figures "));
        let figures: Result<Vec<f64>, _> = figures?.split(' ').map(str::parse).collect();
        let [requests, duration, errors, p50, p99, p999] = figures.ok()?[..] else {
            return None;
        };
        let micros = |figure: f64| Duration::from_secs_f64(figure / 1e6);
        Some(Self {
            requests,
            per_second: requests / micros(duration).as_secs_f64(),
            errors,
            p50: micros(p50),
            p99: micros(p99),
            p999: micros(p999),
        })
    }
}

/// Does `something` on one core; what it starts stays there.
pub(crate) fn on_core<T>(core: usize, something: impl FnOnce() -> T) -> T {
    let before = sched_getaffinity(None).unwrap();
    keep_on(core);
    let done = something();
    sched_setaffinity(None, &before).unwrap();
    done
}

/// Keeps this thread, and all that it starts from now on, on one core.
pub(crate) fn keep_on(core: usize) {
    let mut only = CpuSet::new();
    only.set(core);
    let kept = sched_setaffinity(None, &only);
    kept.unwrap_or_else(|why| panic!("core {core} cannot be had ({why}): two are needed"));
}

/// The one in the middle; of none, nothing.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    after_quarters(2, figures)
}

/// The one that so many quarters of them are below; of none, nothing.
pub(crate) fn after_quarters(
    quarters: usize,
    figures: impl IntoIterator<Item = f64>,
) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() * quarters / 4).copied()
}
