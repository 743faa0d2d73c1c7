//! `kill -9` at each point of a renewal, against the real binary and its database.
//!
//! Each story sets a scene, kills a server at one [`Point`], starts the next one on the same
//! file and waits for it to hold and serve the token that WeChat made last. There are few
//! repetitions by default; `WXSIGN_KILL_REPETITIONS=20` makes a long run, and
//! `cargo test --test kill -- --nocapture` shows the table.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "serve/canaries.rs"]
mod canaries;
#[path = "kill/database.rs"]
mod database;
#[path = "serve/harness.rs"]
#[expect(dead_code, reason = "what the tests of `serve` use besides")]
mod harness;
#[path = "kill/line.rs"]
mod line;
#[path = "kill/point.rs"]
mod point;
#[path = "kill/scene.rs"]
mod scene;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use wxsign::clock::Clock;
use wxsign::credential::Kind;
use wxsign::store::Record;

use database::{Database, Left};
use harness::Wxsign;
use point::Point;
use scene::{Fetch, Scene, TokenApi};

/// A lease that a killed server left open keeps the next one waiting for 30 seconds.
const RECOVERY: Duration = Duration::from_secs(60);

/// Stories mostly wait.
const AT_ONCE: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Story {
    point: Point,
    api: TokenApi,
    fetch: Fetch,
    repetition: u64,
}

/// How a story went.
struct Outcome {
    wasted_calls: u64,
    recovery: Duration,
    /// How often the server was killed too late for the point, which took another try.
    misses: u64,
}

#[test]
fn a_server_killed_at_any_point_costs_one_fetch_at_most_and_loses_nothing() {
    let repetitions = std::env::var("WXSIGN_KILL_REPETITIONS");
    let repetitions = repetitions.map_or(2, |number| number.parse().unwrap());
    let outcomes = tell_all(stories(repetitions));
    let mut table = BTreeMap::<_, Vec<_>>::new();
    for (story, outcome) in &outcomes {
        let row = table.entry((story.point, story.api)).or_default();
        row.push(outcome);
    }
    println!("point, token API: kills, calls wasted by one (most), slowest recovery, misses");
    for ((point, api), row) in table {
        let wasted = row.iter().map(|outcome| outcome.wasted_calls).max();
        let slowest = row.iter().map(|outcome| outcome.recovery).max();
        let misses: u64 = row.iter().map(|outcome| outcome.misses).sum();
        let (wasted, slowest) = (wasted.unwrap(), slowest.unwrap().as_secs_f64());
        let kills = row.len();
        println!("{point:?}, {api:?}: {kills}, {wasted}, {slowest:.1} s, {misses}");
    }
}

/// Half of them about a renewal and half about the first fetch.
fn stories(repetitions: u64) -> Vec<Story> {
    let mut stories = Vec::new();
    for repetition in 0..repetitions {
        let fetch = match repetition % 2 {
            0 => Fetch::Renewal,
            _ => Fetch::First,
        };
        for point in Point::ALL {
            for api in [TokenApi::Classic, TokenApi::Stable] {
                stories.push(Story {
                    point,
                    api,
                    fetch,
                    repetition,
                });
            }
        }
    }
    stories
}

/// Tells each story in a thread of its own, which is named after it in a failure.
fn tell_all(stories: Vec<Story>) -> Vec<(Story, Outcome)> {
    let left = Mutex::new(stories.into_iter());
    let (outcomes, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(story) = left.lock().unwrap().next() else {
                        break;
                    };
                    let teller = thread::Builder::new().name(format!("{story:?}"));
                    let told = teller.spawn(move || tell(story)).unwrap().join();
                    match told {
                        Ok(outcome) => outcomes.lock().unwrap().push((story, outcome)),
                        Err(_) => failed.lock().unwrap().push(story),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    outcomes.into_inner().unwrap()
}

fn tell(story: Story) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for misses in 0..20 {
        if let Some((wasted_calls, recovery)) = runtime.block_on(kill_and_restart(story)) {
            return Outcome {
                wasted_calls,
                recovery,
                misses,
            };
        }
    }
    panic!("the point is never met");
}

/// Returns the wasted calls and the time of recovery; `None` if the point was not met.
async fn kill_and_restart(story: Story) -> Option<(u64, Duration)> {
    let mut scene = Scene::set(story.api, story.fetch).await;
    let database = Database::of(scene.place.path());
    let before = database.record(Kind::AccessToken);
    let point = story.point;
    point.kill(&mut scene, &database, story.repetition).await;
    drop(database);

    let left = Left::behind(scene.place.path());
    if !point.was_met(&scene, &before, &left) {
        // Only here does a race decide.
        assert_eq!(point, Point::AfterCommit, "{left:?}");
        return None;
    }
    scene.line.release();
    scene.line.forget();
    let clock = Clock::system();
    let start = clock.moment().boot;
    let mut wxsign = scene.place.serve().await;
    let database = Database::of(scene.place.path());
    let recovered = recovers(&scene, story.fetch, &wxsign, &database, &before);
    let recovered = tokio::time::timeout(RECOVERY, recovered).await;
    let recovery = clock.moment().boot - start;
    assert!(
        recovered.is_ok(),
        "{:?}",
        database.record(Kind::AccessToken)
    );

    drop(database);
    wxsign.signal(Signal::INT);
    assert_eq!(wxsign.exit_code().await, Some(0));
    let database = Database::of(scene.place.path());
    database.assert_whole();
    let after = generation(&database.record(Kind::AccessToken));
    assert_eq!(after, generation(&before) + 1);
    assert!(scene.ticket_calls() <= 2, "{}", scene.ticket_calls());
    let wasted = scene.calls() - point.calls();
    assert_eq!(wasted, point.wasted());
    Some((wasted, recovery))
}

/// Waits until the server holds and serves the newest token and has no reason to fetch another.
async fn recovers(
    scene: &Scene,
    fetch: Fetch,
    wxsign: &Wxsign,
    database: &Database,
    before: &Record,
) {
    let mut last = generation(before);
    loop {
        let answer = wxsign.sign().await;
        let signs = answer.status == 200;
        assert!(signs || fetch == Fetch::First, "{answer:?}");
        assert!(!signs || scene.wechat.accepts(&answer.json), "{answer:?}");

        let record = database.record(Kind::AccessToken);
        assert!(generation(&record) >= last, "{record:?}");
        last = generation(&record);
        let settled = record.lease.is_none() && record.settled >= record.strays;
        if last > generation(before) && settled && signs && serves_newest(scene, wxsign, &record) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether the stored token is the one that WeChat made last, and the server has published it:
/// it says so after a renewal, and it asks for a ticket with no other.
fn serves_newest(scene: &Scene, wxsign: &Wxsign, record: &Record) -> bool {
    let Some(credential) = &record.credential else {
        return false;
    };
    let name = credential.value.fingerprint();
    let log = wxsign.log();
    let renewed = |line: &str| line.contains("renewed") && line.contains(&name.to_string());
    Some(name) == scene.newest() && (log.lines().any(renewed) || scene.line.carried(name))
}

fn generation(record: &Record) -> u64 {
    let credential = record.credential.as_ref();
    credential.map_or(0, |credential| credential.generation)
}
