//! How often a password may be tried.
//!
//! Each client address has a few tries; what others do only slows the right password down, and
//! never locks it out.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::Refused;

/// An address has so many failures within so long.
const FAILURES: usize = 5;
const WITHIN: Duration = Duration::from_secs(15 * 60);

/// So many failures a minute from anywhere cost nobody any time; each one more does.
const UNNOTICED: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);
const SLOWER_BY: Duration = Duration::from_millis(100);
const SLOWEST: Duration = Duration::from_secs(3);

/// So many tries may wait for their turn. Whoever was let in lately is not turned away for the
/// crowd: the addresses of the last few are remembered.
const WAITING: usize = 64;
const LET_IN: usize = 32;

/// So many addresses are remembered; a new one takes the place of the one that was silent longest.
const ADDRESSES: usize = 10_000;

/// The tries that failed, or have not succeeded yet; times are those of a clock that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The latest last.
    by_address: HashMap<u64, VecDeque<Duration>>,
    /// Those of the last minute, wherever they came from.
    lately: VecDeque<Duration>,
    /// How many were admitted and have no answer yet.
    waiting: usize,
    /// From where the right password came, the latest last.
    let_in: VecDeque<u64>,
}

impl Attempts {
    /// Counts a try from `address` at `now` as a failure until it [succeeds](Self::succeeded).
    /// Returns how long it is to be kept waiting. It is to be [`answered`](Self::answered) in any
    /// case.
    ///
    /// # Errors
    /// It is one too many from there, or there are too many at the same time.
    pub(super) fn admit(&mut self, address: u64, now: Duration) -> Result<Duration, Refused> {
        if self.waiting >= WAITING && !self.let_in.contains(&address) {
            return Err(Refused::Busy);
        }
        let is_old = |at: &Duration, within: Duration| now.saturating_sub(*at) >= within;
        while self.lately.front().is_some_and(|at| is_old(at, MINUTE)) {
            self.lately.pop_front();
        }
        if !self.by_address.contains_key(&address) && self.by_address.len() >= ADDRESSES {
            self.forget_one(now);
        }
        let failures = self.by_address.entry(address).or_default();
        while failures.front().is_some_and(|at| is_old(at, WITHIN)) {
            failures.pop_front();
        }
        if failures.len() >= FAILURES {
            let first = failures.front().copied().unwrap_or(now);
            return Err(Refused::TooMany((first + WITHIN).saturating_sub(now)));
        }
        self.waiting += 1;
        failures.push_back(now);
        self.lately.push_back(now);
        let more = self.lately.len().saturating_sub(UNNOTICED);
        let slower = SLOWER_BY.saturating_mul(u32::try_from(more).unwrap_or(u32::MAX));
        Ok(slower.min(SLOWEST))
    }

    /// One that was admitted waits no more.
    pub(super) const fn answered(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Takes the failures of the address back.
    pub(super) fn succeeded(&mut self, address: u64) {
        self.let_in.retain(|other| *other != address);
        if self.let_in.len() >= LET_IN {
            self.let_in.pop_front();
        }
        self.let_in.push_back(address);
        self.by_address.remove(&address);
        self.lately.pop_back();
    }

    /// Forgets those that count no more or, if there are none, the address that was silent longest.
    fn forget_one(&mut self, now: Duration) {
        let last = |failures: &VecDeque<Duration>| failures.back().copied().unwrap_or_default();
        self.by_address
            .retain(|_, failures| now.saturating_sub(last(failures)) < WITHIN);
        if self.by_address.len() >= ADDRESSES {
            let silent = self
                .by_address
                .iter()
                .min_by_key(|(_, failures)| last(failures));
            let silent = silent.map(|(address, _)| *address);
            silent.map(|address| self.by_address.remove(&address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn an_address_has_five_tries_and_others_are_not_locked_out() {
        let mut attempts = Attempts::default();
        for second in 0..5 {
            let at = NOW + Duration::from_secs(second);
            assert_eq!(attempts.admit(1, at), Ok(Duration::ZERO));
        }
        let at = NOW + Duration::from_secs(10);
        let left = WITHIN - Duration::from_secs(10);
        assert_eq!(attempts.admit(1, at), Err(Refused::TooMany(left)));
        assert_eq!(attempts.admit(2, at), Ok(Duration::ZERO));
        assert!(attempts.admit(1, NOW + WITHIN).is_ok());
        assert!(attempts.admit(1, NOW + WITHIN).is_err());
    }

    #[test]
    fn the_right_password_clears_what_came_before() {
        let mut attempts = Attempts::default();
        for _ in 0..5 {
            assert!(attempts.admit(1, NOW).is_ok());
        }
        attempts.succeeded(1);
        assert!(attempts.admit(1, NOW).is_ok());
    }

    #[test]
    fn many_addresses_slow_everybody_down_a_little() {
        let mut attempts = Attempts::default();
        let mut admit = |from| {
            let wait = attempts.admit(from, NOW);
            attempts.answered();
            wait
        };
        let waits: Vec<_> = (0..100).map(&mut admit).collect();
        assert_eq!(waits[19], Ok(Duration::ZERO));
        assert_eq!(waits[29], Ok(SLOWER_BY * 10));
        assert_eq!(waits[99], Ok(SLOWEST));
        assert_eq!(attempts.admit(200, NOW + MINUTE), Ok(Duration::ZERO));
    }

    #[test]
    fn a_crowd_is_turned_away_but_not_who_was_let_in_before() {
        let mut attempts = Attempts::default();
        assert!(attempts.admit(1, NOW).is_ok());
        attempts.succeeded(1);
        attempts.answered();
        for from in 0..WAITING as u64 {
            assert!(attempts.admit(100 + from, NOW).is_ok());
        }
        assert_eq!(attempts.admit(2, NOW), Err(Refused::Busy));
        assert!(attempts.admit(1, NOW).is_ok());
        attempts.answered();
        attempts.answered();
        assert!(attempts.admit(2, NOW).is_ok());
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let mut attempts = Attempts::default();
        for from in 0..ADDRESSES as u64 + 50 {
            let at = NOW + Duration::from_millis(from);
            assert!(attempts.admit(from, at).is_ok());
            attempts.answered();
        }
        assert_eq!(attempts.by_address.len(), ADDRESSES);
    }
}
