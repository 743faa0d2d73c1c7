//! What takes long to find out, and may be asked for by anyone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinError;

use crate::clock::Clock;

/// What is found out is told for so many times as long as it took: however many ask, it takes no
/// more than a tenth of a core.
const TIMES: u32 = 10;

/// What takes no longer is found out each time: it is to be as fresh as it can be.
const CHEAP: Duration = Duration::from_millis(5);

/// What takes long to find out where there is much of it: it is found out by one at a time, on a
/// thread that may be busy, and told for a while.
pub(crate) struct Costly<T>(Arc<Mutex<Option<T>>>);

impl<T> Default for Costly<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Costly<T> {
    /// What was found out a moment ago, or what `find` finds.
    ///
    /// # Errors
    /// `find` has panicked.
    pub(crate) async fn get(
        &self,
        clock: &Clock,
        find: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let (slot, clock) = (Arc::clone(&self.0), clock.clone());
        // In a task of its own, so that those who hang up do not have it begun again and again.
        let finding = tokio::spawn(async move {
            let mut told = slot.lock().await;
            if let Some(known) = &*told {
                return Ok(known.clone());
            }
            let timing = clock.clone();
            let found = tokio::task::spawn_blocking(move || {
                let began = timing.moment().boot;
                let found = find();
                (found, timing.moment().boot.saturating_sub(began))
            });
            let (found, took) = found.await?;
            if took < CHEAP {
                return Ok(found);
            }
            *told = Some(found.clone());
            drop(told);
            tokio::spawn(async move {
                clock.sleep(took * TIMES).await;
                slot.lock().await.take();
            });
            Ok(found)
        });
        finding.await?
    }
}

impl<T> fmt::Debug for Costly<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Costly(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_by_many_is_found_out_once_and_then_anew() {
        let (costly, clock) = (Costly::default(), Clock::system());
        let found = Arc::new(AtomicU32::new(0));
        let find = || {
            let found = Arc::clone(&found);
            move || {
                std::thread::sleep(Duration::from_millis(20));
                found.fetch_add(1, Ordering::Relaxed) + 1
            }
        };
        // Those who hang up have it begun all the same.
        for _ in 0..100 {
            let asking = costly.get(&clock, find());
            let _ = tokio::time::timeout(Duration::ZERO, asking).await;
        }
        for _ in 0..100 {
            assert_eq!(costly.get(&clock, find()).await.unwrap(), 1);
        }
        while costly.get(&clock, find()).await.unwrap() == 1 {
            tokio::task::yield_now().await;
        }
    }
}
