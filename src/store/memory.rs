//! Records and the directory in this process's memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;

use super::directory::apply;
use super::{Backend, EncodedChanges, Entries, Key, StoreError, Stored, Version, Write};

/// Records and the directory in this process's memory, gone when it ends.
#[derive(Default)]
pub struct Memory {
    records: Mutex<HashMap<Key, Stored>>,
    directory: Mutex<Entries>,
}

impl Memory {
    /// No code that can panic runs under the locks.
    fn records(&self) -> MutexGuard<'_, HashMap<Key, Stored>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async { Ok(self.records().get(key).cloned()) })
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let Write {
                from, to, bytes, ..
            } = write;
            let mut records = self.records();
            let current = records
                .get(key)
                .map_or(Version::ABSENT, |stored| stored.version);
            let swapped = current == from;
            if swapped {
                records.insert(key.clone(), Stored { bytes, version: to });
            }
            Ok(swapped)
        })
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        Box::pin(async move {
            let entries = self.entries();
            Ok((known != Some(entries.version)).then(|| entries.clone()))
        })
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut directory = self.entries();
            let swapped = directory.version == from;
            if swapped {
                directory.version = to;
                apply(&mut directory.entries, &changes);
            }
            Ok(swapped)
        })
    }

    fn is_embedded(&self) -> bool {
        true
    }
}
