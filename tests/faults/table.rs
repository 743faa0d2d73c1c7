//! The table: a row for each fault, with what is expected in each state.

use std::time::Duration;

use wxsign::simulator::{Action, Fault as Answer};
use wxsign::upstream::Class::{self, Address, Ambiguous, Credentials, Quota, Transient, Unknown};

use super::cell::check;
use super::parts::LineFault::{self, Dns, SameToken, SameTokenAsNew, Silent};
use super::parts::StoreFault;
use super::state::Fault::{self, Act, Corrupt, Kill, Line, Stop, Store, Suspend, Wall};
use super::state::STATES;
use super::state::State::{self, Draining, Empty};
use Served::{But, ForMinutes, Impossible, Never, Throughout, ToItsEnd};

/// Whether readers get a token, or a signature, during the hour that begins with the fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Served {
    /// Always.
    Throughout,
    /// At no time.
    Never,
    /// Always but for so many seconds.
    But(u64),
    /// The one that is served already, as long as it may be; then none.
    ToItsEnd,
    /// The one that is served already, for the 280 s that it has left for sure after a call that
    /// may have superseded it; then none.
    ForMinutes,
    /// The fault cannot strike in this state; why.
    Impossible(&'static str),
}

/// What is expected of one fault.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) fault: Fault,
    /// Whether readers get a token, by state.
    pub(crate) classic: [Served; 8],
    pub(crate) stable: [Served; 8],
    /// Whether pages are signed, in all states but the first, where it is as with tokens.
    pub(crate) signed: Served,
    /// What readers are told at the end of the hour.
    pub(crate) told: Option<(Class, Option<i64>)>,
    /// Calls for a token during the hour, at most.
    pub(crate) calls: u64,
    /// For how many seconds readers may get a token that WeChat no longer accepts.
    pub(crate) dead: u64,
    /// How many seconds after the end of the fault the newest token is stored and served, pages
    /// are signed, and no trouble is told.
    pub(crate) well_after: u64,
}

/// Longer than an outage before the fault lets WeChat wait.
const W: Served = But(150);

/// Nobody says that a token has died: it is seen when the ticket is asked for with it.
const UNTIL_THE_TICKET_IS_ASKED_FOR: u64 = 330 + 15;

/// With what an answer takes anyway, this is just within the limit of 10 s.
const ALMOST_TOO_LONG: Duration = Duration::from_millis(5900);

const NO_TOKEN_YET: Served = Impossible("there is no token yet");
const NOTHING_STORED_YET: Served = Impossible("nothing is stored yet");

/// The columns: empty, fresh, due, urgent, expired, fetching, committing, draining.
const STOPS: [Served; 8] = [
    Never, Throughout, ToItsEnd, ToItsEnd, Never, ToItsEnd, Throughout, ToItsEnd,
];
const STRAYS: [Served; 8] = [
    Never, Throughout, ForMinutes, ForMinutes, Never, ForMinutes, Throughout, ForMinutes,
];
const GOES_ON: [Served; 8] = [
    But(20),
    Throughout,
    Throughout,
    Throughout,
    W,
    Throughout,
    Throughout,
    Throughout,
];

/// No token can be had.
fn stops(fault: LineFault, told: (Class, Option<i64>), calls: u64, well_after: u64) -> Row {
    Row {
        fault: Line(fault),
        classic: STOPS,
        stable: STOPS,
        signed: Throughout,
        told: Some(told),
        calls,
        dead: 0,
        well_after,
    }
}

fn refused(errcode: i64, class: Class, calls: u64, well_after: u64) -> Row {
    let fault = LineFault::Answer(Answer::Errcode(errcode));
    stops(fault, (class, Some(errcode)), calls, well_after)
}

/// A human must mend it: after 10 s, 1 min, 5 min, 15 min, then hourly.
fn hopeless(errcode: i64) -> Row {
    refused(errcode, Credentials, 6, 3700)
}

/// It passes: ten calls within 3 minutes, then each 2 minutes, each 5 minutes.
fn passing(fault: Answer) -> Row {
    stops(LineFault::Answer(fault), (Transient, None), 42, 350)
}

/// It passes, and WeChat may have issued a token that never came.
fn strays(fault: LineFault) -> Row {
    Row {
        classic: STRAYS,
        ..stops(fault, (Ambiguous, None), 42, 350)
    }
}

fn lost(answer: Answer) -> Row {
    strays(LineFault::Answer(answer))
}

fn expires_in(text: &str) -> Row {
    lost(Answer::ExpiresIn(text.to_owned()))
}

/// Renewal goes on.
fn goes_on(fault: Fault) -> Row {
    Row {
        fault,
        classic: GOES_ON,
        stable: GOES_ON,
        signed: Throughout,
        told: None,
        calls: 2,
        dead: 0,
        well_after: 60,
    }
}

/// What was in use when the process was last seen has come to its end, or may have.
fn away_for_400_s(fault: Fault) -> Row {
    let ask = But(20);
    Row {
        classic: [ask, Throughout, ask, ask, W, ask, ask, ask],
        stable: [ask, Throughout, W, W, W, ask, ask, ask],
        ..goes_on(fault)
    }
}

/// All lives are over, or the clock says so; it is noticed within 15 s.
fn all_is_over(fault: Fault) -> Row {
    let columns = [But(30), But(30), W, W, W, But(30), But(30), But(30)];
    Row {
        classic: columns,
        stable: columns,
        signed: W,
        ..goes_on(fault)
    }
}

/// No life seems longer for it. A classic token is not served while the first one after it is
/// asked for: when that was sent cannot be compared with when the old one was issued.
fn set_back(fault: Fault) -> Row {
    let while_asking = But(20);
    Row {
        classic: [
            But(20),
            Throughout,
            while_asking,
            while_asking,
            W,
            while_asking,
            Throughout,
            while_asking,
        ],
        ..goes_on(fault)
    }
}

/// The columns with another one for `state`.
fn but(mut columns: [Served; 8], state: State, served: Served) -> [Served; 8] {
    columns[state as usize] = served;
    columns
}

/// Makes each row a test of its own.
macro_rules! table {
    ($($name:ident: $row:expr;)*) => {
        fn rows() -> Vec<(&'static str, Row)> {
            vec![$((stringify!($name), $row)),*]
        }

        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                check(stringify!($name), $row).await;
            }
        )*
    };
}

table! {
    wechat_is_busy: Row { told: Some((Transient, Some(-1))), ..passing(Answer::Errcode(-1)) };
    status_500: passing(Answer::Status { status: 500, body: String::new() });
    html_502: passing(Answer::BadGateway);
    refused_connection: passing(Answer::Unreachable);
    dns: stops(Dns, (Transient, None), 42, 350);
    silent: strays(Silent);
    reset: lost(Answer::Reset);
    reset_mid_body: lost(Answer::CutOff);
    truncated_json: lost(Answer::TruncatedJson);
    empty_body: lost(Answer::EmptyBody);
    empty_object: lost(Answer::Body("{}".to_owned()));

    expires_in_absent: expires_in("");
    expires_in_zero: expires_in("0");
    expires_in_negative: expires_in("-1");
    expires_in_a_fraction: expires_in("1.5");
    expires_in_a_whole_fraction: expires_in("7200.0");
    expires_in_an_exponent: expires_in("72e2");
    expires_in_too_large: expires_in("99999999999999999999");
    expires_in_null: expires_in("null");
    expires_in_true: expires_in("true");
    expires_in_a_word: expires_in("\"abc\"");
    expires_in_with_a_unit: expires_in("\"7200s\"");
    expires_in_a_list: expires_in("[7200]");

    errcode_40001: hopeless(40001);
    errcode_40002: hopeless(40002);
    errcode_40013: hopeless(40013);
    errcode_40125: hopeless(40125);
    errcode_40243: hopeless(40243);
    errcode_41002: hopeless(41002);
    errcode_41004: hopeless(41004);
    errcode_43002: hopeless(43002);
    errcode_50004: hopeless(50004);
    errcode_50007: hopeless(50007);
    errcode_48001: hopeless(48001);
    errcode_48004: hopeless(48004);
    errcode_40164: refused(40164, Address, 3, 1900);
    errcode_61004: refused(61004, Address, 3, 1900);
    errcode_89501: refused(89501, Address, 20, 320);
    errcode_89503: refused(89503, Address, 20, 320);
    errcode_89507: refused(89507, Address, 1, 3700);
    errcode_89506: refused(89506, Address, 1, 86_500);
    errcode_45011: refused(45011, Quota, 36, 400);
    errcode_45009: refused(45009, Quota, 2, 3700);
    status_429: stops(LineFault::Answer(Answer::Status { status: 429, body: String::new() }), (Quota, None), 36, 400);
    errcode_unknown: refused(98765, Unknown, 25, 3700);

    slow: goes_on(Line(LineFault::Answer(Answer::Delay(ALMOST_TOO_LONG))));
    token_revoked_early: Row {
        classic: but(GOES_ON, Empty, NO_TOKEN_YET),
        stable: but(GOES_ON, Empty, NO_TOKEN_YET),
        calls: 3,
        dead: UNTIL_THE_TICKET_IS_ASKED_FOR,
        ..goes_on(Act(Action::RevokeTokens))
    };
    foreign_fetcher: Row {
        calls: 3,
        dead: UNTIL_THE_TICKET_IS_ASKED_FOR,
        ..goes_on(Act(Action::StealToken))
    };
    same_token_repeated: Row {
        // Only the one that WeChat has just issued is left when the hour is over.
        classic: [But(20), Throughout, But(40), But(40), W, But(40), Throughout, But(40)],
        stable: [But(20), Throughout, But(40), But(40), W, But(40), Throughout, But(40)],
        calls: 40,
        ..goes_on(Line(SameToken))
    };
    same_token_repeated_as_new: Row {
        dead: UNTIL_THE_TICKET_IS_ASKED_FOR,
        calls: 10,
        ..goes_on(Line(SameTokenAsNew))
    };

    store_down: Row {
        classic: but(GOES_ON, Draining, But(20)),
        stable: but(GOES_ON, Draining, But(20)),
        signed: But(20),
        ..goes_on(Store(StoreFault::Down))
    };
    store_silent: Row {
        classic: but(but(GOES_ON, Empty, But(60)), Draining, But(40)),
        stable: but(but(GOES_ON, Empty, But(60)), Draining, But(40)),
        signed: But(60),
        ..goes_on(Store(StoreFault::Silent))
    };
    store_slow: Row {
        classic: but(but(GOES_ON, Empty, But(60)), Draining, But(20)),
        stable: but(but(GOES_ON, Empty, But(60)), Draining, But(20)),
        signed: But(20),
        ..goes_on(Store(StoreFault::Slow))
    };
    store_read_only: goes_on(Store(StoreFault::ReadOnly));
    store_loses_a_write: goes_on(Store(StoreFault::LosesTheNextWrite));
    corrupt_record: Row {
        // What is stored is lost with the process that held it in memory.
        classic: but(but(GOES_ON, Empty, NOTHING_STORED_YET), Draining, But(20)),
        stable: but(but(GOES_ON, Empty, NOTHING_STORED_YET), Draining, But(20)),
        signed: But(20),
        ..goes_on(Corrupt)
    };

    kill_9: goes_on(Kill(0));
    kill_9_for_400_s: away_for_400_s(Kill(400));
    sigstop_5_s: goes_on(Stop(5));
    sigstop_40_s: goes_on(Stop(40));
    sigstop_400_s: away_for_400_s(Stop(400));
    wall_clock_an_hour_ahead: all_is_over(Wall(3600));
    wall_clock_an_hour_back: set_back(Wall(-3600));
    wall_clock_a_day_ahead: all_is_over(Wall(86_400));
    wall_clock_a_day_back: set_back(Wall(-86_400));
    suspend_3_h: all_is_over(Suspend(10_800));
}

/// All that can go wrong, by the names of the rows.
const FAULTS: [&str; 8] = [
    // WeChat and the line to it.
    "wechat_is_busy status_500 html_502 refused_connection dns silent reset reset_mid_body \
     truncated_json empty_body empty_object slow",
    "expires_in_absent expires_in_zero expires_in_negative expires_in_a_fraction \
     expires_in_a_whole_fraction expires_in_an_exponent expires_in_too_large expires_in_null \
     expires_in_true expires_in_a_word expires_in_with_a_unit expires_in_a_list",
    "errcode_40001 errcode_40002 errcode_40013 errcode_40125 errcode_40243 errcode_41002 \
     errcode_41004 errcode_43002 errcode_50004 errcode_50007 errcode_48001 errcode_48004",
    "errcode_40164 errcode_61004 errcode_89501 errcode_89503 errcode_89507 errcode_89506 \
     errcode_45011 errcode_45009 status_429 errcode_unknown",
    "token_revoked_early foreign_fetcher same_token_repeated same_token_repeated_as_new",
    // The store.
    "store_down store_silent store_slow store_read_only store_loses_a_write corrupt_record",
    // The process.
    "kill_9 kill_9_for_400_s sigstop_5_s sigstop_40_s sigstop_400_s",
    // The machine.
    "wall_clock_an_hour_ahead wall_clock_an_hour_back wall_clock_a_day_ahead \
     wall_clock_a_day_back suspend_3_h",
];

#[test]
fn no_cell_is_missing() {
    let rows = rows();
    for fault in FAULTS.iter().flat_map(|faults| faults.split_whitespace()) {
        assert!(rows.iter().any(|(name, _)| *name == fault), "{fault}");
    }
    let mut impossible = Vec::new();
    for (name, row) in &rows {
        for (api, columns) in [("Classic", row.classic), ("Stable", row.stable)] {
            for (state, served) in STATES.iter().zip(columns) {
                if let Impossible(reason) = served {
                    impossible.push(format!("{name}/{state:?}/{api}: {reason}"));
                }
            }
        }
    }
    let cells = rows.len() * STATES.len() * 2;
    println!("{cells} cells; {} cannot be:", impossible.len());
    println!("{}", impossible.join("\n"));
    assert_eq!(
        (cells, impossible.len()),
        (FAULTS.join(" ").split_whitespace().count() * 16, 4)
    );
}
