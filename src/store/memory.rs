//! Records and accounts in this process's memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Backend, EncodedRows, Key, StoreError, Stored, Version};
use futures_core::future::BoxFuture;

/// Records and accounts in this process's memory, gone when it ends.
#[derive(Default)]
pub struct Memory {
    records: Mutex<HashMap<Key, Stored>>,
    accounts: Mutex<EncodedRows>,
}

impl Memory {
    /// No code that can panic runs under the locks.
    fn records(&self) -> MutexGuard<'_, HashMap<Key, Stored>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> MutexGuard<'_, EncodedRows> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async { Ok(self.records().get(key).cloned()) })
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        from: Version,
        to: Version,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
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

    fn is_embedded(&self) -> bool {
        true
    }

    fn accounts(&self) -> BoxFuture<'_, Result<EncodedRows, StoreError>> {
        Box::pin(async { Ok(self.rows().clone()) })
    }

    fn swap_accounts(
        &self,
        from: EncodedRows,
        to: EncodedRows,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut rows = self.rows();
            let swapped = *rows == from;
            if swapped {
                *rows = to;
            }
            Ok(swapped)
        })
    }
}
