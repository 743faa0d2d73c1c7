//! Looks on while a fault lasts and after it, and compares what it sees with the table.

use std::sync::atomic::Ordering::Relaxed;

use wxsign::account::TokenApi;

use super::state::{self, STATES, State};
use super::table::{Row, Served};
use super::world::World;

const HOUR: u64 = 3600;

/// How often readers look, in seconds.
const LOOK: u64 = 10;

/// A process that was asked to end has ended after so many seconds.
const DRAINED: u64 = 25;

/// All cells of a row. Prints the names of those that do not fit and how they differ.
pub(crate) async fn check(name: &str, row: Row) {
    let mut failures = Vec::new();
    for token_api in [TokenApi::Classic, TokenApi::Stable] {
        for (column, state) in STATES.into_iter().enumerate() {
            let served = match token_api {
                TokenApi::Classic => row.classic[column],
                TokenApi::Stable | TokenApi::WeCom => row.stable[column],
            };
            if matches!(served, Served::Impossible(_)) {
                continue;
            }
            for difference in run(&row, served, state, token_api).await {
                failures.push(format!("{name}/{state:?}/{token_api:?}: {difference}"));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

/// What readers of one kind of credential saw during the hour.
#[derive(Default)]
struct Seen {
    /// The first and the last time at which there was one, and the seconds without one, counted
    /// from the beginning of the fault.
    first: Option<u64>,
    last: Option<u64>,
    without: u64,
    /// The seconds in which WeChat did not accept what there was.
    dead: u64,
}

impl Seen {
    fn look(&mut self, at: u64, step: u64, accepted: Option<bool>) {
        match accepted {
            Some(accepted) => {
                self.first = self.first.or(Some(at));
                self.last = Some(at);
                self.dead += if accepted { 0 } else { step };
            }
            None => self.without += step,
        }
    }

    /// How this differs from `expected`, for a credential with `left` seconds to serve.
    fn difference(&self, expected: Served, left: Option<u64>) -> Option<String> {
        let (first, last, without) = (self.first, self.last, self.without);
        let ends = |from: u64, to: u64| {
            let last = last.unwrap_or_default();
            first.is_some_and(|first| first <= LOOK)
                && (from..=to).contains(&last)
                && without <= HOUR.saturating_sub(last) + LOOK
        };
        let fits = match expected {
            Served::Throughout => without == 0,
            Served::Never => first.is_none(),
            Served::But(seconds) => without <= seconds,
            Served::ToItsEnd => {
                left.is_some_and(|left| ends(left.saturating_sub(5 + 2 * LOOK), left))
            }
            Served::ForMinutes => ends(270, 450),
            Served::Impossible(_) => true,
        };
        (!fits).then(|| {
            format!("{expected:?} ({left:?} s left), but from {first:?} to {last:?}, {without} s without")
        })
    }
}

async fn run(row: &Row, served: Served, state: State, token_api: TokenApi) -> Vec<String> {
    let mut world = World::new(token_api);
    state::strike(&mut world, state, &row.fault).await;
    let calls = world.line.token_calls.load(Relaxed);
    let calls = if state::is_struck_in_flight(state, &row.fault) {
        calls - 1
    } else {
        calls
    };
    let left = world.token_left();
    let mut differences = Vec::new();

    let (mut tokens, mut signatures) = (Seen::default(), Seen::default());
    for at in (0..HOUR).step_by(LOOK as usize) {
        match world.has_ended() {
            Some(true) => world.restart().await,
            Some(false) if (DRAINED..DRAINED + LOOK).contains(&at) => {
                differences.push(format!("it has not ended after {DRAINED} s"));
            }
            _ => {}
        }
        tokens.look(at, LOOK, world.token_is_accepted());
        signatures.look(at, LOOK, world.ticket_is_accepted());
        world.pass(LOOK).await;
    }
    differences.extend(
        tokens
            .difference(served, left)
            .map(|d| format!("token: {d}")),
    );
    let signed = if state == State::Empty {
        served
    } else {
        row.signed
    };
    differences.extend(
        signatures
            .difference(signed, None)
            .map(|d| format!("signature: {d}")),
    );
    let calls = world.line.token_calls.load(Relaxed) - calls;
    if calls > row.calls {
        differences.push(format!("{calls} calls, at most {}", row.calls));
    }
    let told = world.snapshot().and_then(|snapshot| {
        let trouble = snapshot.trouble()?;
        Some((trouble.class, trouble.errcode))
    });
    if told != row.told {
        differences.push(format!("told {told:?}, not {:?}", row.told));
    }

    state::end(&world, &row.fault);
    for at in (0..row.well_after).step_by(LOOK as usize) {
        tokens.look(HOUR + at, LOOK, world.token_is_accepted());
        signatures.look(HOUR + at, LOOK, world.ticket_is_accepted());
        world.pass(LOOK).await;
    }
    for (what, seen, dead) in [("token", &tokens, row.dead), ("signature", &signatures, 0)] {
        if seen.dead > dead {
            differences.push(format!("a dead {what} for {} s, at most {dead}", seen.dead));
        }
    }
    for at in (0..600).step_by(60) {
        if !world.ailments().await.is_empty() {
            // It may be renewing.
            world.pass(LOOK).await;
        }
        for ailment in world.ailments().await {
            differences.push(format!(
                "{ailment}, {} s after the end",
                row.well_after + at
            ));
        }
        world.pass(60).await;
    }
    differences
}
