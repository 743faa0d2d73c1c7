//! What happens again and again is told seldom.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::account::AppId;
use crate::clock::Timestamp;
use crate::credential::Kind;
use crate::upstream::Class;

/// A failure that goes on is told of once in this time.
const FAILING: Duration = Duration::from_secs(3600);

/// The same report is told of once in this time.
const REPORTED: Duration = Duration::from_secs(60);

/// When so many are known, those that are long over are let go.
const MANY: usize = 4096;

/// The failures that go on, as this node has seen them.
#[derive(Default)]
pub(super) struct Failures(HashMap<(AppId, Kind), Failing>);

struct Failing {
    class: Class,
    errcode: Option<i64>,
    told_at: Timestamp,
    untold: u32,
}

impl Failures {
    /// Takes a failure that another one did (`goes_on`) or did not come before. Returns how many
    /// there were since the last one that was told of, if this one is to be.
    pub(super) fn note(
        &mut self,
        of: (&AppId, Kind),
        (class, errcode): (Class, Option<i64>),
        goes_on: bool,
        now: Timestamp,
    ) -> Option<u32> {
        let key = (of.0.clone(), of.1);
        let failing = Failing {
            class,
            errcode,
            told_at: now,
            untold: 0,
        };
        match self.0.get_mut(&key) {
            Some(known) if goes_on && (known.class, known.errcode) == (class, errcode) => {
                known.untold = known.untold.saturating_add(1);
                if now.since(known.told_at) < FAILING {
                    return None;
                }
                known.told_at = now;
                Some(std::mem::take(&mut known.untold))
            }
            // It was told of before this process started, or by another node.
            None if goes_on => {
                self.make_room(now);
                self.0.insert(key, failing);
                None
            }
            _ => {
                self.make_room(now);
                self.0.insert(key, failing);
                Some(1)
            }
        }
    }

    /// Notes that it is over.
    pub(super) fn over(&mut self, appid: &AppId, kind: Kind) {
        if !self.0.is_empty() {
            self.0.remove(&(appid.clone(), kind));
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.0.len() % MANY == MANY - 1 {
            self.0
                .retain(|_, known| now.since(known.told_at) < 2 * FAILING);
        }
    }
}

/// What was reported last, and when.
pub(super) struct Reports<K> {
    known: HashMap<K, Timestamp>,
    /// None of them was before.
    oldest: Timestamp,
}

impl<K> Default for Reports<K> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            oldest: Timestamp::from_millis(i64::MAX),
        }
    }
}

impl<K: Eq + Hash> Reports<K> {
    /// Whether this report is to be told of. When too many are known, none is.
    pub(super) fn note(&mut self, report: K, now: Timestamp) -> bool {
        let is_recent = |at: &Timestamp| now.since(*at) < REPORTED && *at <= now;
        if self.known.get(&report).is_some_and(is_recent) {
            return false;
        }
        if self.known.len() >= MANY {
            // All are looked through only when one is to go.
            if is_recent(&self.oldest) {
                return false;
            }
            self.known.retain(|_, at| is_recent(at));
            let oldest = self.known.values().min().copied();
            self.oldest = oldest.unwrap_or(now);
        }
        let has_room = self.known.len() < MANY;
        if has_room {
            self.oldest = self.oldest.min(now);
            self.known.insert(report, now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    #[test]
    fn a_failure_is_told_when_it_begins_when_it_changes_and_once_an_hour() {
        let appid: AppId = "wx0123456789abcdef".parse().unwrap();
        let mut failures = Failures::default();
        let mut note = |errcode: i64, goes_on: bool, minute: u64| {
            let reason = (Class::Address, Some(errcode));
            let now = NOW + Duration::from_secs(60 * minute);
            failures.note((&appid, Kind::AccessToken), reason, goes_on, now)
        };
        assert_eq!(note(40164, false, 0), Some(1));
        for minute in 1..60 {
            assert_eq!(note(40164, true, minute), None);
        }
        assert_eq!(note(40164, true, 60), Some(60));
        assert_eq!(note(40164, true, 61), None);
        assert_eq!(note(89503, true, 62), Some(1));
        assert_eq!(note(89503, true, 63), None);
        assert_eq!(note(89503, false, 64), Some(1));
    }

    #[test]
    fn a_failure_from_before_the_start_is_told_an_hour_later() {
        let appid: AppId = "wx0123456789abcdef".parse().unwrap();
        let mut failures = Failures::default();
        let mut note = |minute: u64| {
            let now = NOW + Duration::from_secs(60 * minute);
            let of = (&appid, Kind::JsapiTicket);
            failures.note(of, (Class::Unknown, None), true, now)
        };
        assert_eq!([note(0), note(59), note(60)], [None, None, Some(2)]);
    }

    #[test]
    fn the_same_report_is_told_once_a_minute() {
        let mut reports = Reports::default();
        let mut note = |what: &'static str, seconds: u64| {
            reports.note(what, NOW + Duration::from_secs(seconds))
        };
        assert!(note("a", 0) && note("b", 1));
        assert!(!note("a", 59));
        assert!(note("a", 60));
    }

    #[test]
    fn however_many_reports_come_only_so_many_are_told_a_minute() {
        let mut reports = Reports::default();
        let mut told = |seconds: u64| {
            let now = NOW + Duration::from_secs(seconds);
            (0..10 * MANY).filter(|of| reports.note(*of, now)).count()
        };
        assert_eq!([told(0), told(59), told(60)], [MANY, 0, MANY]);
    }
}
