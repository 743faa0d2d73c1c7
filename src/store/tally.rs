//! How often a store was called, and whether it answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::StoreError;

/// What a store is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Read a record.
    Load,
    /// Write a record.
    Swap,
    /// Read the directory, or see that it is as it was.
    Directory,
    /// Write the directory.
    SwapDirectory,
    /// Tell which accounts have news.
    Changes,
    /// Add to what happened.
    AppendEvents,
    /// Read what happened.
    Events,
    /// Forget what happened long ago.
    PruneEvents,
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Load,
        Self::Swap,
        Self::Directory,
        Self::SwapDirectory,
        Self::Changes,
        Self::AppendEvents,
        Self::Events,
        Self::PruneEvents,
    ];

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Swap => "swap",
            Self::Directory => "directory",
            Self::SwapDirectory => "swap_directory",
            Self::Changes => "changes",
            Self::AppendEvents => "append_events",
            Self::Events => "events",
            Self::PruneEvents => "prune_events",
        }
    }
}

/// Calls to a store since this process started. Written by each call, read by anyone.
#[derive(Default, Debug)]
pub struct Tally {
    calls: [AtomicU64; Op::ALL.len()],
    errors: [AtomicU64; Op::ALL.len()],
    /// What the last call of each kind met, if it failed.
    failing: Mutex<[Option<StoreError>; Op::ALL.len()]>,
    /// Why the record that was read last could not be opened, if it could not.
    locked: Mutex<Option<StoreError>>,
}

impl Tally {
    /// Calls, with those that failed.
    pub fn calls(&self, op: Op) -> u64 {
        self.calls[op as usize].load(Ordering::Relaxed)
    }

    /// Calls that failed.
    pub fn errors(&self, op: Op) -> u64 {
        self.errors[op as usize].load(Ordering::Relaxed)
    }

    /// Why the store is of no use for something, if it is not: it does not answer, or what it holds
    /// cannot be opened.
    pub fn failing(&self) -> Option<StoreError> {
        self.unanswered().or_else(|| lock(&self.locked).clone())
    }

    /// Why the last call of some kind was not answered, if it was not.
    pub fn unanswered(&self) -> Option<StoreError> {
        lock(&self.failing).iter().flatten().next().cloned()
    }

    /// Counts a call.
    pub(super) fn count(&self, op: Op, has_failed: bool) {
        self.calls[op as usize].fetch_add(1, Ordering::Relaxed);
        self.errors[op as usize].fetch_add(has_failed.into(), Ordering::Relaxed);
    }

    /// Notes a call. Returns whether all kinds of call are answered now, for the first time after a
    /// failure, or one is not, for the first time after an answer.
    pub(super) fn note(&self, op: Op, error: Option<&StoreError>) -> bool {
        self.count(op, error.is_some());
        let mut failing = lock(&self.failing);
        let before = failing.iter().any(Option::is_some);
        failing[op as usize] = error.cloned();
        before != failing.iter().any(Option::is_some)
    }

    /// Notes whether a record could be opened. Returns whether that is news.
    pub(super) fn note_locked(&self, error: Option<&StoreError>) -> bool {
        let mut locked = lock(&self.locked);
        let turned = locked.is_some() != error.is_some();
        *locked = error.cloned();
        turned
    }
}

/// No code that can panic runs under the locks.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_answers_some_calls_is_failing_until_it_answers_all() {
        let tally = Tally::default();
        let error = StoreError("NOREPLICAS".to_owned());
        assert!(!tally.note(Op::Load, None));
        assert!(tally.note(Op::Swap, Some(&error)));
        assert!(!tally.note(Op::Load, None));
        assert_eq!(tally.failing(), Some(error));
        assert!(tally.note(Op::Swap, None));
        assert_eq!(tally.failing(), None);
        assert_eq!((tally.calls(Op::Swap), tally.errors(Op::Swap)), (2, 1));
    }
}
