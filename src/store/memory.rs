//! Records and the directory in this process's memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;

use super::directory::apply;
use super::{
    Backend, EncodedChanges, Entries, EventId, EventRange, EventStream, Key, StoreError, Stored,
    StoredEvent, Version, Write,
};

/// Records and the directory in this process's memory, gone when it ends.
#[derive(Default)]
pub struct Memory {
    records: Mutex<HashMap<Key, Stored>>,
    directory: Mutex<Directory>,
    course: Mutex<Happened>,
    audit: Mutex<Happened>,
}

/// As it was changed last.
struct Directory {
    version: Version,
    entries: BTreeMap<String, Vec<u8>>,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            version: Version::ABSENT,
            entries: BTreeMap::new(),
        }
    }
}

type Happened = BTreeMap<EventId, StoredEvent>;

impl Memory {
    /// No code that can panic runs under the locks.
    fn records(&self) -> MutexGuard<'_, HashMap<Key, Stored>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn happened(&self, stream: EventStream) -> MutexGuard<'_, Happened> {
        let happened = match stream {
            EventStream::Course => &self.course,
            EventStream::Audit => &self.audit,
        };
        happened.lock().unwrap_or_else(PoisonError::into_inner)
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
            let directory = self.directory();
            if known == Some(directory.version) {
                return Ok(None);
            }
            let mut found = Entries::new(directory.version);
            for (name, content) in &directory.entries {
                found.push(name, content);
            }
            Ok(Some(found))
        })
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut directory = self.directory();
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

    fn append_events(
        &self,
        stream: EventStream,
        events: Vec<StoredEvent>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut happened = self.happened(stream);
            for event in events {
                happened.entry(event.id).or_insert(event);
            }
            Ok(())
        })
    }

    fn events(
        &self,
        stream: EventStream,
        range: EventRange,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(async move {
            let (after, before) = range.bounds();
            if after >= before {
                return Ok(Vec::new());
            }
            let happened = self.happened(stream);
            let between = (Bound::Excluded(after), Bound::Excluded(before));
            let wanted = happened.range(between).map(|(_, event)| event);
            let wanted = wanted.filter(|event| range.appid.is_none() || event.appid == range.appid);
            let newest = wanted.rev().take(range.limit as usize);
            Ok(newest.cloned().collect())
        })
    }

    /// All at once: it takes no time.
    fn prune_events(
        &self,
        stream: EventStream,
        before: EventId,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move {
            let mut happened = self.happened(stream);
            let oldest = happened.keys().rev().nth((most as usize).saturating_sub(1));
            let oldest = oldest.map_or(before, |oldest| before.max(*oldest));
            let kept = happened.split_off(&oldest);
            *happened = kept;
            Ok(0)
        })
    }
}
