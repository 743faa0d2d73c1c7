//! How much is kept of what happened.

use super::report::Report;
use super::section::Section;

/// How much is kept of what happened, for `wxsign events` and the console.
///
/// An account whose renewals go well has about 25 events a day, so that 100 000 accounts make about
/// 30 a second: with so many, `skip_renewals` leaves what is worth reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// `days`: events are kept for so long; 0 keeps none. Default 30.
    pub days: u32,
    /// `max_events`: the newest ones are kept, 0 for any number. Default 100000. Beside them are
    /// kept the newest 10000 changes and logins, or any number.
    pub max_events: u32,
    /// `skip_renewals`: renewals that go well are not recorded. Default false.
    pub skip_renewals: bool,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            days: 30,
            max_events: 100_000,
            skip_renewals: false,
        }
    }
}

pub(super) fn read(top: &mut Section<'_>, report: &mut Report) -> Retention {
    let default = Retention::default();
    let mut section = top.table("history", "[history] ", report);
    let retention = Retention {
        days: section.number("days", default.days, report),
        max_events: section.number("max_events", default.max_events, report),
        skip_renewals: section.truth("skip_renewals", false, report),
    };
    section.close(report);
    retention
}
