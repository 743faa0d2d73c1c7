//! The states of an account in which a fault strikes, and how it comes into them.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use wxsign::account::TokenApi;
use wxsign::simulator::{Action, Fault as Answer, FaultRule};

use super::parts::{LineFault, StoreFault};
use super::world::{World, appid};

/// The states, in the order of the columns of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// The node has just been started for the first time.
    Empty,
    /// The token is 1000 s old.
    Fresh,
    /// WeChat issued no token when it was due.
    Due,
    /// WeChat has issued none for so long that the old one is about to end.
    Urgent,
    /// WeChat has issued none for too long.
    Expired,
    /// A token that was due is being asked for; a fault of WeChat strikes that very call.
    Fetching,
    /// It was issued, and is being written to the store.
    Committing,
    /// As fetching, and the node has been asked to end. When it has ended, it is started again.
    Draining,
}

pub(crate) const STATES: [State; 8] = [
    State::Empty,
    State::Fresh,
    State::Due,
    State::Urgent,
    State::Expired,
    State::Fetching,
    State::Committing,
    State::Draining,
];

/// What strikes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Fault {
    /// WeChat, or the line to it, until the hour is over.
    Line(LineFault),
    /// Something happens at WeChat.
    Act(Action),
    /// The store, until the hour is over.
    Store(StoreFault),
    /// What is stored becomes unreadable.
    Corrupt,
    /// The process ends, and another one begins so many seconds later.
    Kill(u64),
    /// The process stands still for so many seconds.
    Stop(u64),
    /// The wall clock is set by so many seconds, and back when the hour is over.
    Wall(i64),
    /// The machine sleeps for so many seconds.
    Suspend(u64),
}

/// The seconds after the start at which WeChat stops issuing tokens so that the states below are
/// reached, and those at which they are.
const fn outage(token_api: TokenApi, state: State) -> (u64, u64) {
    match (token_api, state) {
        (TokenApi::Classic, State::Due) => (4700, 5200),
        (TokenApi::Classic, State::Urgent) => (4700, 6650),
        (TokenApi::Classic, _) => (4700, 7300),
        (TokenApi::Stable | TokenApi::WeCom, State::Due) => (6900, 6950),
        (TokenApi::Stable | TokenApi::WeCom, State::Urgent) => (6900, 7010),
        (TokenApi::Stable | TokenApi::WeCom, _) => (6900, 7300),
    }
}

/// Brings the account into `state` and lets `fault` begin.
pub(crate) async fn strike(world: &mut World, state: State, fault: &Fault) {
    world.start();
    match state {
        State::Empty => begin(world, fault).await,
        State::Fresh => {
            world.pass_until(1000).await;
            begin(world, fault).await;
        }
        State::Due | State::Urgent | State::Expired => {
            let (from, to) = outage(world.token_api, state);
            world.pass_until(from).await;
            let rule = FaultRule::new(Answer::Unreachable).on(world.token_path());
            world.simulator.inject(rule);
            world.pass_until(to).await;
            world.line.strike(None);
            begin(world, fault).await;
        }
        State::Fetching => {
            if !fetching(world, Some(fault)).await {
                begin(world, fault).await;
            }
        }
        State::Committing => {
            fetching(world, None).await;
            world.shelf.hold_writes(Duration::from_secs(2));
            while !world.shelf.writing.load(Relaxed) {
                world.pass(1).await;
            }
            world.shelf.hold_writes(Duration::ZERO);
            begin(world, fault).await;
        }
        State::Draining => {
            let begun = fetching(world, Some(fault)).await;
            world.drain();
            if !begun {
                begin(world, fault).await;
            }
        }
    }
}

/// Lets time pass until the answer to a call for a token is on its way. Says whether `fault` has
/// struck that call.
async fn fetching(world: &World, fault: Option<&Fault>) -> bool {
    world
        .pass_until(outage(world.token_api, State::Due).0)
        .await;
    let armed = match fault {
        Some(Fault::Line(fault)) => {
            world.line.arm(fault.clone());
            true
        }
        _ => false,
    };
    let before = world.line.token_calls.load(Relaxed);
    while world.line.token_calls.load(Relaxed) == before {
        world.pass(1).await;
    }
    armed
}

async fn begin(world: &mut World, fault: &Fault) {
    match fault {
        Fault::Line(fault) => world.line.strike(Some(fault.clone())),
        Fault::Act(action) => world.simulator.act(&appid(), *action).unwrap(),
        Fault::Store(fault) => world.shelf.strike(Some(*fault)),
        Fault::Corrupt => world.shelf.corrupt().await,
        Fault::Kill(away) => {
            world.kill();
            world.pass(*away).await;
            world.restart().await;
        }
        // Timers are late then, and nothing has run meanwhile.
        Fault::Stop(seconds) => tokio::time::advance(Duration::from_secs(*seconds)).await,
        Fault::Wall(seconds) => world.clock.skew_wall(seconds * 1000),
        Fault::Suspend(seconds) => {
            let asleep = Duration::from_secs(*seconds);
            world.clock.suspend(asleep);
            world.simulator.advance(asleep);
        }
    }
}

/// Lets `fault` end, unless it was over at once.
pub(crate) fn end(world: &World, fault: &Fault) {
    match fault {
        Fault::Line(_) => world.line.strike(None),
        Fault::Store(_) => world.shelf.strike(None),
        Fault::Wall(seconds) => world.clock.skew_wall(-seconds * 1000),
        Fault::Act(_) | Fault::Corrupt | Fault::Kill(_) | Fault::Stop(_) | Fault::Suspend(_) => {}
    }
}

/// Whether `fault` strikes the very call that `state` is about.
pub(crate) const fn is_struck_in_flight(state: State, fault: &Fault) -> bool {
    matches!(state, State::Fetching | State::Draining) && matches!(fault, Fault::Line(_))
}
