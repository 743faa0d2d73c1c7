//! The tables.

use std::fs;
use std::path::Path;

use crate::goals::{Bound, Goal, at_scale, control, goals};
use crate::results::{Pick, Results};
use crate::scale::Scale;
use crate::situation::{COMMON, Situation, USUAL};
use crate::subjects::{BARE, PEERS, WXSIGN};
use crate::table::Table;

const MIB: f64 = 1024.0 * 1024.0;

/// Everything, for the terminal.
pub(crate) fn print(results: &Results) {
    println!("Same server twice: {}\n", control(results));
    println!("{}", every_row(results).plain());
    if !results.footprints.is_empty() {
        println!("{}", footprints(results).plain());
    }
    if let Some(scale) = &results.scale {
        println!("{}", accounts(scale).plain());
    }
    println!("{}", judged(goals(results)).plain());
}

/// What was found with many accounts, for the terminal.
pub(crate) fn print_scale(scale: &Scale) {
    println!("{}", accounts(scale).plain());
    println!("{}", judged(at_scale(scale)).plain());
}

fn accounts(scale: &Scale) -> Table {
    let count = format!("{} accounts", scale.accounts);
    let mut table = Table::new(&[&count, ""]);
    let most = format!("{:.1} MiB", scale.most_memory / MIB);
    table.row(vec!["most memory until all sign".to_owned(), most]);
    for (of, over) in [("one", &scale.same), ("any", &scale.any)] {
        for (what, figure) in [("requests/s", over.per_second), ("CPU a request", over.cpu)] {
            let what = format!("{what} for {of} of them over one account");
            table.row(vec![what, format!("{figure:.3}")]);
        }
    }
    for (what, figure) in &scale.operators {
        table.row(vec![what.clone(), figure.clone()]);
    }
    table
}

fn judged(goals: impl IntoIterator<Item = Goal>) -> Table {
    let mut table = Table::new(&["goal", "must be", "is", ""]);
    for goal in goals {
        let bound = match goal.bound {
            Bound::AtLeast(bound) => format!(">= {bound:.2}"),
            Bound::AtMost(bound) => format!("<= {bound:.2}"),
        };
        let found = goal
            .found
            .map_or_else(|| "-".to_owned(), |found| format!("{found:.2}"));
        let verdict = goal.verdict().to_owned();
        table.row(vec![goal.what, bound, found, verdict]);
    }
    table
}

fn every_row(results: &Results) -> Table {
    let mut table = Table::new(&[
        "server",
        "situation",
        "requests/s",
        "ratio",
        "p50 us",
        "ratio",
        "p99 us",
        "ratio",
        "quiet",
        "ratio",
        "p99.9 us",
        "ratio",
        "CPU us",
        "ratio",
        "errors",
    ]);
    for row in &results.rows {
        let mut cells = vec![row.subject.to_owned(), row.situation.to_string()];
        let picks: [(Pick, usize); 6] = [
            (|f| f.per_second, 0),
            (|f| f.p50, 0),
            (|f| f.p99, 0),
            (|f| f.quiet_p99, 0),
            (|f| f.p999, 0),
            (|f| f.cpu, 1),
        ];
        for (pick, digits) in picks {
            cells.push(format!("{:.digits$}", pick(row.figures)));
            let ratio = results.over_bare(row.subject, row.situation, pick);
            cells.push(ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")));
        }
        cells.push(format!("{:.0}", row.figures.errors));
        table.row(cells);
    }
    table
}

fn footprints(results: &Results) -> Table {
    let mut table = Table::new(&[
        "alone",
        "first signature ms",
        "idle MiB",
        "after load MiB",
        "idle from disk MiB",
    ]);
    for one in &results.footprints {
        table.row(vec![
            one.subject.to_owned(),
            format!("{:.1}", one.start.as_secs_f64() * 1e3),
            format!("{:.1}", one.idle / MIB),
            format!("{:.1}", one.loaded / MIB),
            format!("{:.1}", one.from_disk / MIB),
        ]);
    }
    table
}

/// The tables of the README: the servers side by side, and wxsign in each situation.
pub(crate) fn markdown(results: &Results) -> String {
    let machine = machine();
    let rounds = results.rounds;
    format!(
        "{machine}; medians of {rounds} rounds, the quiet p99 is what a quarter of the seconds \
         stay below; the bare server is measured twice, and ratios are to the mean of both, which \
         differ by: {}.\n\n{}\n{}",
        control(results),
        side_by_side(results).markdown(),
        by_situation(results).markdown()
    )
}

fn side_by_side(results: &Results) -> Table {
    let mut table = Table::new(&[
        "32 connections",
        "requests/s",
        "to bare hyper",
        "p50 µs",
        "p99 µs",
        "quiet p99 µs",
        "p99.9 µs",
        "CPU µs a request",
        "memory MiB, idle",
        "after load",
        "start to first signature ms",
    ]);
    for subject in [BARE, WXSIGN].into_iter().chain(PEERS) {
        let (Some(figures), Some(footprint)) =
            (results.of(subject, USUAL), results.footprint(subject))
        else {
            continue;
        };
        let ratio = results.over_bare(subject, USUAL, |f| f.per_second).unwrap();
        table.row(vec![
            subject.to_owned(),
            format!("{:.0}", figures.per_second),
            format!("{ratio:.2}"),
            format!("{:.0}", figures.p50),
            format!("{:.0}", figures.p99),
            format!("{:.0}", figures.quiet_p99),
            format!("{:.0}", figures.p999),
            format!("{:.1}", figures.cpu),
            format!("{:.1}", footprint.idle / MIB),
            format!("{:.1}", footprint.loaded / MIB),
            format!("{:.1}", footprint.start.as_secs_f64() * 1e3),
        ]);
    }
    table
}

/// How wxsign stands to the bare server, and its requests/s to those of the peers.
fn by_situation(results: &Results) -> Table {
    let over: Vec<String> = PEERS.iter().map(|peer| format!("over {peer}")).collect();
    let mut head = vec!["wxsign", "requests/s", "to bare hyper", "quiet p99", "CPU"];
    head.extend(over.iter().map(String::as_str));
    let mut table = Table::new(&head);
    for situation in COMMON.into_iter().chain([Situation::Browser]) {
        let Some(figures) = results.of(WXSIGN, situation) else {
            continue;
        };
        let ratio = |pick| results.over_bare(WXSIGN, situation, pick);
        let over_peer = |peer: &str| results.ratio(WXSIGN, peer, situation, |f| f.per_second);
        let mut ratios = vec![
            ratio(|f| f.per_second),
            ratio(|f| f.quiet_p99),
            ratio(|f| f.cpu),
        ];
        ratios.extend(PEERS.map(over_peer));
        let ratios = ratios
            .into_iter()
            .map(|ratio| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")));
        let mut cells = vec![situation.to_string(), format!("{:.0}", figures.per_second)];
        cells.extend(ratios);
        table.row(cells);
    }
    table
}

/// What it was measured on.
fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = name.and_then(|line| line.split_once(": "));
    name.map_or("One core", |(_, name)| name).trim().to_owned()
}

/// Writes `tables` between the markers of the README.
pub(crate) fn write_into(readme: &Path, tables: &str) {
    const BEGIN: &str = "<!-- performance -->";
    const END: &str = "<!-- /performance -->";
    let text = fs::read_to_string(readme).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, behind) = rest.split_once(END).unwrap();
    let text = format!("{before}{BEGIN}\n{tables}{END}{behind}");
    fs::write(readme, text).unwrap();
}
