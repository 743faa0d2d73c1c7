//! Holds back calls to WeChat over all accounts, so that a start with a thousand of them is no
//! flood.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;

/// Calls at one time.
const AT_ONCE: u32 = 8;

/// The distance of calls in the long run: 10 a second.
const DISTANCE: Duration = Duration::from_millis(100);

/// Calls that may go together before the distance is kept.
const BURST: Duration = Duration::from_millis(100 * AT_ONCE as u64);

pub(super) struct Pace {
    clock: Clock,
    at_once: Semaphore,
    /// When the next call would be sent at an even pace, on the boot clock.
    next: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            at_once: Semaphore::new(AT_ONCE as usize),
            next: Mutex::default(),
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
            let now = self.clock.moment().boot;
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let even = (*next).max(now);
            *next = even + DISTANCE;
            even.saturating_sub(BURST).saturating_sub(now)
        };
        self.clock.sleep(wait).await;
        permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn the_first_calls_go_at_once_and_then_ten_a_second() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
        clock.sleep(Duration::from_secs(3600)).await;
        let pace = Pace::new(clock.clone());
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
    async fn no_more_than_eight_calls_run_together() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
        let pace = Pace::new(clock);
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
