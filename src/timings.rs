//! How long things took, by label, for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Up to how many seconds each bucket counts; the last one counts the rest.
pub(crate) const BOUNDS: [f64; 12] = [
    0.001,
    0.005,
    0.025,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    f64::INFINITY,
];

/// How long things took, by their labels, of which there must be few.
#[derive(Debug)]
pub(crate) struct Timings<L>(Mutex<BTreeMap<L, Spread>>);

/// How often something took how long.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Spread {
    /// How often, for each of [`BOUNDS`].
    pub(crate) buckets: [u64; BOUNDS.len()],
    /// All of it together, in seconds.
    pub(crate) seconds: f64,
}

impl<L> Default for Timings<L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<L: Ord + Clone> Timings<L> {
    /// Counts something that took so long.
    pub(crate) fn note(&self, labels: L, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let spread = table.entry(labels).or_default();
        spread.buckets[bucket.min(BOUNDS.len() - 1)] += 1;
        spread.seconds += seconds;
    }

    /// All that was counted until now.
    pub(crate) fn all(&self) -> Vec<(L, Spread)> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = table
            .iter()
            .map(|(labels, spread)| (labels.clone(), *spread));
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_counted_in_its_bucket() {
        let timings = Timings::default();
        for millis in [0, 1, 2, 100, 101, 3_600_000] {
            timings.note("a", Duration::from_millis(millis));
        }
        timings.note("b", Duration::ZERO);
        let all = timings.all();
        assert_eq!(all.len(), 2);
        let (labels, spread) = all[0];
        assert_eq!(labels, "a");
        assert_eq!(spread.buckets, [2, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert!((spread.seconds - 3600.204).abs() < 1e-6);
    }
}
