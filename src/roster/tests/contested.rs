//! A store that others write to at the same moment, or that fails.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use tokio::sync::Mutex;

use super::ADDED;
use crate::store::{
    AccountRow, Backend, EncodedChanges, Entries, Key, Memory, StoreError, Stored, Version, Write,
};

/// A way to a memory on which others are faster, or that fails.
pub(super) struct Contested {
    memory: Arc<Memory>,
    faster: Mutex<VecDeque<AccountRow>>,
    /// Which calls fail, beginning with a swap.
    pub(super) failing: Mutex<VecDeque<Failing>>,
}

/// A call that fails.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Failing {
    /// Nothing is written.
    Swap,
    /// It is written, and the answer gets lost.
    AnswerToSwap,
    /// Nothing is read.
    Directory,
}

impl Contested {
    pub(super) fn new(memory: &Arc<Memory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            faster: Mutex::default(),
            failing: Mutex::default(),
        }
    }

    /// Others put these there as [`ADDED`], each before one of the next swaps.
    pub(super) fn before_next<const N: usize>(&self, rows: [AccountRow; N]) {
        self.faster.try_lock().unwrap().extend(rows);
    }
}

impl Backend for Contested {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.memory.load(key)
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.memory.swap(key, write)
    }

    fn is_embedded(&self) -> bool {
        true
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        Box::pin(async move {
            match self.failing.lock().await.front() {
                Some(Failing::Directory) => Err(StoreError("it cannot be read".to_owned())),
                _ => self.memory.directory(known).await,
            }
        })
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            if let Some(row) = self.faster.lock().await.pop_front() {
                let row = serde_json::to_vec(&row).unwrap();
                let theirs = [(format!("account/{ADDED}"), Some(row))].into();
                let then = Version::random();
                let swapped = self.memory.swap_directory(from, then, theirs).await?;
                assert!(swapped);
            }
            let failing = self.failing.lock().await.pop_front();
            if failing == Some(Failing::Swap) {
                return Err(StoreError("it cannot be written".to_owned()));
            }
            let swapped = self.memory.swap_directory(from, to, changes).await?;
            match failing {
                None => Ok(swapped),
                Some(_) => Err(StoreError("no answer".to_owned())),
            }
        })
    }
}
