//! Where processes share what they know: one [`Record`] per account and kind of credential, and
//! one [`Directory`] of what was added at run time.
//!
//! For records a store does two things, [`load`](Store::load) and [`swap`](Store::swap). All rules
//! about leases, renewal and conflicts are pure functions over `Record` in
//! [`crate::keeper`], so a backend is small and every backend passes the same tests. The directory
//! changes seldom, so it is read when its version is another one, and changed as a whole.
//!
//! With a master key, records are stored sealed.
//!
//! Beside them a store keeps what happened, for people: see [`crate::history`].

mod account_row;
mod backend;
mod client_row;
mod console_row;
mod dial;
mod directory;
mod entries;
mod event;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod laws;
mod link;
mod memory;
mod packed;
mod postgres;
mod record;
mod redis;
mod rows;
mod sealed;
mod server_url;
mod sqlite;
mod tally;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

pub use account_row::AccountRow;
pub use backend::{Backend, EncodedChanges, Hint, Key, Loaded, News, Seen, Stored, Version, Write};
pub use client_row::ClientRow;
pub use console_row::{ConsoleChanges, ConsoleRows, LinkRow, PasswordRow, SessionRow};
pub use directory::{AccountRows, Changes, ClientRows, Directory};
pub use entries::Entries;
pub use event::{EventId, EventRange, EventStream, PRUNED_AT_ONCE, StoredEvent};
pub use memory::Memory;
pub use postgres::Postgres;
pub use record::{Attempt, Backoff, Calls, Lease, Record};
pub use redis::Redis;
pub use server_url::{Endpoint, Engine, FORMS, ServerUrl};
pub use sqlite::{OpenError, Restored, Sqlite, back_up, restore};
pub use tally::{Op, Tally};

use crate::vault::Vault;
use futures_core::future::BoxFuture;

/// A call to the store is given up after this. A backend has its own, shorter limits; this one is
/// for what they do not see, such as a disk that hangs. It is longer than a write to an SQLite
/// file waits for another process, and so short that a lease outlives two such calls.
const CALL_TIMEOUT: Duration = Duration::from_secs(6);

/// Who else should hear of a write at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tell {
    /// The other processes: there is something new for their readers.
    Others,
    /// Nobody: who needs to know looks for himself.
    Nobody,
}

impl Tell {
    /// Others hear at once of what their readers are to get; all else they find when they look.
    pub fn of(former: &Record, next: &Record) -> Self {
        let value = |record: &Record| record.credential.as_ref().map(|c| c.value.clone());
        if value(former) == value(next) {
            Self::Nobody
        } else {
            Self::Others
        }
    }
}

/// Records and the directory, kept in a [`Backend`]; a handle, cheap to clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Box<dyn Backend>,
    /// Records are sealed with it, if there is one.
    vault: Option<Vault>,
    /// The directory as it was read last. Whoever reads or changes it holds it to the end.
    known: Mutex<Arc<Directory>>,
    tally: Tally,
}

impl Store {
    /// A store in `backend`, where records can be read by whoever can read the backend.
    pub fn new(backend: impl Backend) -> Self {
        Self::sealed(backend, None)
    }

    /// A store in `backend`, where records are sealed if there is a `vault`.
    pub fn sealed(backend: impl Backend, vault: Option<Vault>) -> Self {
        let shared = Shared {
            backend: Box::new(backend),
            vault,
            known: Mutex::default(),
            tally: Tally::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A store in this process's memory, gone when it ends.
    pub fn memory() -> Self {
        Self::new(Memory::default())
    }

    /// The record under `key` with its version; an empty one if there is none.
    ///
    /// A record that cannot be read counts as empty: it is reported, and stays where it is until
    /// the next swap.
    ///
    /// # Errors
    /// The store cannot be reached, or what it holds is sealed with another master key.
    pub async fn load(&self, key: &Key) -> Result<(Record, Version), StoreError> {
        let loaded = self.load_unless(key, None).await?;
        // Without anything to compare with, all is new.
        Ok((loaded.record.unwrap_or_default(), loaded.version))
    }

    /// The same, without the record if what is there is still what was `known`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn load_unless(&self, key: &Key, known: Option<Seen>) -> Result<Loaded, StoreError> {
        let stored = self.call(Op::Load, self.shared.backend.load(key)).await?;
        self.decode(key, stored, known)
    }

    /// The records under many keys, in their order; `None` for one that cannot be opened.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn load_many(&self, keys: &[Key]) -> Result<Vec<Option<Loaded>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.call(Op::Load, self.shared.backend.load_many(keys));
        let found = keys.iter().zip(found.await?);
        let decoded = found.map(|(key, stored)| self.decode(key, stored, None).ok());
        Ok(decoded.collect())
    }

    fn decode(
        &self,
        key: &Key,
        stored: Option<Stored>,
        known: Option<Seen>,
    ) -> Result<Loaded, StoreError> {
        let seen = Seen::of(stored.as_ref());
        let version = (stored.as_ref()).map_or(Version::ABSENT, |stored| stored.version);
        let loaded = |record| Loaded {
            record,
            version,
            seen,
        };
        if known == Some(seen) {
            return Ok(loaded(None));
        }
        let Some(stored) = stored else {
            return Ok(loaded(Some(Record::default())));
        };
        let opened = sealed::open(self.shared.vault.as_ref(), key, stored.bytes);
        if self.shared.tally.note_locked(opened.as_ref().err()) {
            match &opened {
                Ok(_) => tracing::info!("the records in the store can be opened again"),
                Err(error) => tracing::error!("{error}"),
            }
        }
        let bytes = opened?;
        let record = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            // Only the place: the message could quote the record, and the record is secret.
            tracing::error!(
                %key, line = error.line(), column = error.column(),
                "a stored record cannot be read; it is taken as empty"
            );
            Record::default()
        });
        Ok(loaded(Some(record)))
    }

    /// Puts `record` under `key` if its version is still `from`; `None` if it is not.
    ///
    /// # Errors
    /// The store cannot be reached; the write may or may not have taken effect.
    pub async fn swap(
        &self,
        key: &Key,
        from: Version,
        record: &Record,
        tell: Tell,
    ) -> Result<Option<Version>, StoreError> {
        let bytes = serde_json::to_vec(record).expect("a record has only text keys");
        let to = Version::random();
        let write = Write {
            from,
            to,
            bytes: sealed::seal(self.shared.vault.as_ref(), key, bytes),
            is_news: tell == Tell::Others,
        };
        let swapped = self.call(Op::Swap, self.shared.backend.swap(key, write));
        Ok(swapped.await?.then_some(to))
    }

    /// Seals the record under `key` with another master key. One that is sealed with it already, or
    /// is not there, is left as it is.
    ///
    /// # Errors
    /// The store cannot be reached, others keep writing the record, or it cannot be opened.
    pub async fn reseal(&self, key: &Key, vault: &Vault) -> Result<(), StoreError> {
        let backend = &self.shared.backend;
        for _ in 0..4 {
            let Some(stored) = self.call(Op::Load, backend.load(key)).await? else {
                return Ok(());
            };
            if sealed::open(Some(vault), key, stored.bytes.clone()).is_ok()
                && sealed::is_sealed(&stored.bytes)
            {
                return Ok(());
            }
            let opened = sealed::open(self.shared.vault.as_ref(), key, stored.bytes)?;
            let write = Write {
                from: stored.version,
                to: Version::random(),
                bytes: sealed::seal(Some(vault), key, opened),
                is_news: false,
            };
            if self.call(Op::Swap, backend.swap(key, write)).await? {
                return Ok(());
            }
        }
        Err(StoreError(format!("others keep writing the record {key}")))
    }

    /// What was added at run time.
    ///
    /// If the store has lost some of it, it is given back what this process knows.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn directory(&self) -> Result<Arc<Directory>, StoreError> {
        let mut known = self.shared.known.lock().await;
        self.read_directory(&mut known).await?;
        Ok(Arc::clone(&known))
    }

    /// Changes what was added as `change` says for what is there, all at once or not at all.
    /// Returns what `change` returned beside; `None` if others changed something meanwhile.
    ///
    /// # Errors
    /// That of `change`, or the store cannot be reached; the change may or may not have taken
    /// effect.
    pub async fn change_directory<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&Directory) -> Result<(Changes, T), E>,
    ) -> Result<Option<T>, E> {
        let mut known = self.shared.known.lock().await;
        self.read_directory(&mut known).await?;
        let (changes, returned) = change(&known)?;
        let stored = Directory::clone(&known);
        let swapped = self.write_directory(&mut known, stored, changes.encode());
        let swapped = swapped.await?;
        Ok(swapped.then_some(returned))
    }

    async fn read_directory(&self, known: &mut Arc<Directory>) -> Result<(), StoreError> {
        let backend = &self.shared.backend;
        let version = Some(known.version);
        let Some(stored) = self.call(Op::Directory, backend.directory(version)).await? else {
            return Ok(());
        };
        let stored = Directory::following(known, &stored);
        let lost = directory::lost(known, &stored);
        if lost.is_empty() {
            *known = Arc::new(stored);
            return Ok(());
        }
        tracing::error!(
            entries = lost.len(),
            "the store has lost what was added or changed at run time: it gets back what is known \
             here"
        );
        // If others are faster, theirs is read the next time.
        self.write_directory(known, stored, lost).await?;
        Ok(())
    }

    /// Changes what is `stored`, and takes it for known if nobody else has changed it.
    async fn write_directory(
        &self,
        known: &mut Arc<Directory>,
        mut stored: Directory,
        mut changes: EncodedChanges,
    ) -> Result<bool, StoreError> {
        let (from, to) = (stored.version, Version::random());
        directory::count(known, &stored, &mut changes);
        stored.apply(changes.clone(), to);
        let swapped = self.shared.backend.swap_directory(from, to, changes);
        let swapped = self.call(Op::SwapDirectory, swapped).await?;
        if swapped {
            *known = Arc::new(stored);
        }
        Ok(swapped)
    }

    /// Which accounts have news since `position`: `None` for the first question, which only asks
    /// for the position.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn changes(&self, position: Option<u64>) -> Result<News, StoreError> {
        if self.is_embedded() {
            // There are no others. Nothing is asked, which tells nothing of whether it answers.
            return Ok(News::none(position));
        }
        self.call(Op::Changes, self.shared.backend.changes(position))
            .await
    }

    /// Waits until the store has answered, but no longer than `patience`.
    pub async fn reached(&self, patience: Duration) {
        let reaching = async {
            while self.directory().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        // Whoever asks next finds out that it does not answer.
        let _ = tokio::time::timeout(patience, reaching).await;
    }

    /// Hints of what others have changed, for whoever asks first. They may come late or get lost.
    pub fn hints(&self) -> Option<mpsc::UnboundedReceiver<Hint>> {
        self.shared.backend.hints()
    }

    /// Whether only this process can reach the store.
    pub fn is_embedded(&self) -> bool {
        self.shared.backend.is_embedded()
    }

    /// How often the store was called, and whether it answers.
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// Makes a call that no credential depends on: it is counted, and says nothing of whether the
    /// store is of use.
    async fn call_beside<T>(
        &self,
        op: Op,
        call: BoxFuture<'_, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let called = in_time(call).await;
        self.shared.tally.count(op, called.is_err());
        called
    }

    /// Makes a call, for a limited time, and takes note of it.
    async fn call<T>(
        &self,
        op: Op,
        call: BoxFuture<'_, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let called = in_time(call).await;
        if self.shared.tally.note(op, called.as_ref().err()) {
            match &called {
                Ok(_) => tracing::info!("the store answers again"),
                Err(error) => tracing::error!(
                    %error,
                    "going on without the store, with what is known here: check that it runs, and \
                     that the URL of the store is right"
                ),
            }
        }
        called
    }
}

async fn in_time<T>(call: BoxFuture<'_, Result<T, StoreError>>) -> Result<T, StoreError> {
    let called = tokio::time::timeout(CALL_TIMEOUT, call).await;
    called.unwrap_or_else(|_| {
        let limit = CALL_TIMEOUT.as_secs();
        Err(StoreError(format!("no answer within {limit} s")))
    })
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(…)")
    }
}

/// The store did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);

impl StoreError {
    /// The store was not asked, because it failed a moment ago.
    pub(crate) fn unreachable() -> Self {
        Self("it could not be reached a moment ago".to_owned())
    }
}
