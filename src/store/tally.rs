//! How often a store was called, and whether it answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Load,
        Self::Swap,
        Self::Directory,
        Self::SwapDirectory,
        Self::Changes,
    ];

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Swap => "swap",
            Self::Directory => "directory",
            Self::SwapDirectory => "swap_directory",
            Self::Changes => "changes",
        }
    }
}

/// Calls to a store since this process started. Written by each call, read by anyone.
#[derive(Default, Debug)]
pub struct Tally {
    calls: [AtomicU64; Op::ALL.len()],
    errors: [AtomicU64; Op::ALL.len()],
    /// What the last call met, if it failed.
    failing: Mutex<Option<StoreError>>,
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

    /// Why the last call failed, if it did.
    pub fn failing(&self) -> Option<StoreError> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.clone()
    }

    /// Notes a call. Returns whether the store answers for the first time after a failure, or
    /// fails for the first time after an answer.
    pub(super) fn note(&self, op: Op, error: Option<&StoreError>) -> bool {
        self.calls[op as usize].fetch_add(1, Ordering::Relaxed);
        if error.is_some() {
            self.errors[op as usize].fetch_add(1, Ordering::Relaxed);
        }
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = failing.is_some() != error.is_some();
        *failing = error.cloned();
        turned
    }
}
