//! Holds back calls to WeChat over all accounts, so that a start is no flood, however many they are.
//!
//! What the accounts need follows from their number: each ticket is asked for every five minutes,
//! each token every 80 minutes or less often. So does the pace: one call for each account in
//! [`ROUND`]; one that has a further ticket counts twice. After a start without credentials all of
//! them have their tokens and tickets after two rounds. The tokens of that start fall due again
//! together, half as many a second as calls were made then; with the tickets, which take another
//! half, that just fits. So the pace holds also in the worst wave, and the waves flatten, because
//! tokens are not due at the same age.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;

/// Each account may have one call in so long a time.
const ROUND: Duration = Duration::from_secs(150);

/// Of few accounts the calls need not be farther apart: 10 a second.
const LONGEST_DISTANCE: Duration = Duration::from_millis(100);

/// Calls that may go together before the distance is kept.
const BURST: u32 = 8;

/// Calls at one time: as many as go in the time that a slow answer takes, but not fewer than 8.
const SLOW_ANSWER: Duration = Duration::from_millis(800);

pub(super) struct Pace {
    clock: Clock,
    /// The distance of calls in the long run follows from it.
    accounts: AtomicUsize,
    at_once: Semaphore,
    /// How many permits the semaphore has, those that are out included.
    permits: Mutex<usize>,
    /// When the next call would be sent at an even pace, on the boot clock.
    next: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(clock: Clock, accounts: usize) -> Self {
        let permits = at_once(accounts);
        Self {
            clock,
            accounts: AtomicUsize::new(accounts),
            at_once: Semaphore::new(permits),
            permits: Mutex::new(permits),
            next: Mutex::default(),
        }
    }

    /// Goes at the pace of so many accounts from now on.
    pub(super) fn follow(&self, accounts: usize) {
        self.accounts.store(accounts, Ordering::Relaxed);
        // No code that can panic runs under the lock.
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = at_once(accounts);
        if wanted > *permits {
            self.at_once.add_permits(wanted - *permits);
            *permits = wanted;
        } else {
            // Those that are out stay out; it is seen to with the next change.
            *permits -= self.at_once.forget_permits(*permits - wanted);
        }
    }

    /// Waits for the right to send one call, which lasts as long as the permit.
    pub(super) async fn permit(&self) -> SemaphorePermit<'_> {
        let permit = self
            .at_once
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let wait = {
            let distance = distance(self.accounts.load(Ordering::Relaxed));
            let now = self.clock.moment().boot;
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let even = (*next).max(now);
            *next = even + distance;
            even.saturating_sub(distance * BURST).saturating_sub(now)
        };
        self.clock.sleep(wait).await;
        permit
    }
}

/// How far apart the calls for so many accounts are in the long run.
fn distance(accounts: usize) -> Duration {
    let count = u32::try_from(accounts).unwrap_or(u32::MAX);
    LONGEST_DISTANCE.min(ROUND / count.max(1))
}

fn at_once(accounts: usize) -> usize {
    let calls = SLOW_ANSWER.as_nanos() / distance(accounts).as_nanos().max(1);
    usize::try_from(calls).unwrap_or(Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn the_first_calls_go_at_once_and_then_ten_a_second() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
        clock.sleep(Duration::from_secs(3600)).await;
        let pace = Pace::new(clock.clone(), 1000);
        let start = clock.now();
        for _ in 0..9 {
            drop(pace.permit().await);
        }
        assert_eq!(clock.now(), start);
        for _ in 0..100 {
            drop(pace.permit().await);
        }
        let took = clock.now().since(start).as_secs_f64();
        assert!((9.9..=10.2).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_follows_the_number_of_accounts_so_that_each_has_its_calls() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
        let pace = Pace::new(clock.clone(), 1);
        for (accounts, calls_a_second) in [(1500, 10), (15_000, 100), (100_000, 666), (10, 10)] {
            pace.follow(accounts);
            clock.sleep(Duration::from_secs(3600)).await;
            let (start, calls) = (clock.now(), calls_a_second * 60);
            for _ in 0..calls {
                drop(pace.permit().await);
            }
            let took = clock.now().since(start).as_secs_f64();
            assert!((58.5..=60.2).contains(&took), "{accounts}: {took}");
            let permits = pace.at_once.available_permits();
            assert!(permits.abs_diff(calls_a_second * 4 / 5) <= 1, "{permits}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_eight_calls_run_together() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
        let pace = Pace::new(clock, 1000);
        let mut permits = Vec::new();
        for _ in 0..8 {
            permits.push(pace.permit().await);
        }
        let ninth = tokio::time::timeout(Duration::from_secs(60), pace.permit()).await;
        assert!(ninth.is_err());
        permits.pop();
        let ninth = tokio::time::timeout(Duration::from_secs(60), pace.permit()).await;
        assert!(ninth.is_ok());
    }
}
