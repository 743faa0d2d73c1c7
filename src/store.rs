//! Where processes share what they know: one [`Record`] per account and kind of credential, and
//! one [`AccountRow`] per account that was added at run time.
//!
//! For records a store does two things, [`load`](Store::load) and [`swap`](Store::swap). All rules
//! about leases, renewal and conflicts are pure functions over `Record` in
//! [`crate::keeper`], so a backend is small and every backend passes the same tests. Accounts are
//! few and change seldom, so all of them are read, and swapped, at once.

mod account_row;
#[cfg(test)]
mod conformance;
mod memory;
mod record;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

pub use account_row::AccountRow;
pub use memory::Memory;
pub use record::{Attempt, Backoff, Calls, Lease, Record};
pub use sqlite::Sqlite;

use crate::account::AppId;
use crate::credential::Kind;
use futures_core::future::BoxFuture;

/// Which record.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// The account.
    pub appid: AppId,
    /// The kind of credential.
    pub kind: Kind,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.appid, self.kind)
    }
}

/// Names one write of one record.
///
/// It is random and not a count: after a failover that lost a write, two writers would hold the
/// same count, and each would believe that its own swap was the one that counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(u128);

impl Version {
    /// The version of a record that was never written.
    pub const ABSENT: Self = Self(0);

    fn random() -> Self {
        let mut bytes = [0; 16];
        rand::rng().fill_bytes(&mut bytes);
        Self(u128::from_le_bytes(bytes).max(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A backend: bytes under a key, and beside them all accounts as one, changed by compare-and-swap
/// and in no other way.
///
/// What a backend promises:
/// - **Consistency**: of several swaps from the same version at most one takes effect, whichever
///   processes they come from; a load that begins after a swap has returned sees it or a later one.
/// - **Durability**: when a swap has returned `Ok(true)`, the write survives the end of this
///   process; whether it survives that of the machine or a failover is the backend's own word.
/// - **Failure**: after an error of a swap the write may or may not have taken effect.
/// - **Retries**: none. The caller loads again and decides anew.
pub trait Backend: Send + Sync + 'static {
    /// The bytes under `key` and the version of the write that put them there.
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// Puts `bytes` under `key` as version `to`, if the version there is still `from`
    /// ([`Version::ABSENT`]: if there is nothing yet). Says whether it did.
    fn swap<'a>(
        &'a self,
        key: &'a Key,
        from: Version,
        to: Version,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Whether only this process can reach the store, so that no other node depends on it.
    fn is_embedded(&self) -> bool;

    /// All accounts, encoded, by their AppIDs.
    fn accounts(&self) -> BoxFuture<'_, Result<EncodedRows, StoreError>>;

    /// Replaces all accounts by `to` if they still are `from`. Says whether it did.
    fn swap_accounts(
        &self,
        from: EncodedRows,
        to: EncodedRows,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// Accounts as a [`Backend`] holds them: each is encoded, under its AppID.
pub type EncodedRows = BTreeMap<AppId, Vec<u8>>;

/// What a [`Backend`] holds under a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The record, encoded.
    pub bytes: Vec<u8>,
    /// The write that put it there.
    pub version: Version,
}

/// What was found under a key, to be told apart from what comes later.
///
/// A version alone would not do: it says nothing about a record that was changed behind the back
/// of all programs, by hand or by a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The version, for the next swap.
    pub version: Version,
    content: u64,
}

impl Seen {
    fn of(stored: Option<&Stored>) -> Self {
        let mut content = DefaultHasher::new();
        stored.map(|stored| &stored.bytes).hash(&mut content);
        Self {
            version: stored.map_or(Version::ABSENT, |stored| stored.version),
            content: content.finish(),
        }
    }
}

/// A call to the store is given up after this. A backend has its own, shorter limits; this one is
/// for what they do not see, such as a disk that hangs. It is longer than a write to an SQLite
/// file waits for another process, and so short that a lease outlives two such calls.
const CALL_TIMEOUT: Duration = Duration::from_secs(6);

/// The accounts that were added at run time; `None` for one that cannot be read.
pub type AccountRows = BTreeMap<AppId, Option<AccountRow>>;

/// What becomes of accounts; `None` takes one away. The others stay as they are.
pub type Changes = BTreeMap<AppId, Option<AccountRow>>;

/// Records and accounts, kept in a [`Backend`]; a handle, cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
}

impl Store {
    /// A store in `backend`.
    pub fn new(backend: impl Backend) -> Self {
        Self {
            backend: Arc::new(backend),
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
    /// The store cannot be reached.
    pub async fn load(&self, key: &Key) -> Result<(Record, Version), StoreError> {
        let loaded = self.load_unless(key, None).await?;
        let (record, seen) = loaded.expect("without anything to compare with, all is new");
        Ok((record, seen.version))
    }

    /// The same; `None` if what is there is still what was `known`.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn load_unless(
        &self,
        key: &Key,
        known: Option<Seen>,
    ) -> Result<Option<(Record, Seen)>, StoreError> {
        let stored = in_time(self.backend.load(key)).await?;
        let seen = Seen::of(stored.as_ref());
        if known == Some(seen) {
            return Ok(None);
        }
        let Some(Stored { bytes, .. }) = stored else {
            return Ok(Some((Record::default(), seen)));
        };
        let record = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            // Only the place: the message could quote the record, and the record is secret.
            tracing::error!(
                %key, line = error.line(), column = error.column(),
                "a stored record cannot be read; it is taken as empty"
            );
            Record::default()
        });
        Ok(Some((record, seen)))
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
    ) -> Result<Option<Version>, StoreError> {
        let bytes = serde_json::to_vec(record).expect("a record has only text keys");
        let to = Version::random();
        let swapped = in_time(self.backend.swap(key, from, to, bytes)).await?;
        Ok(swapped.then_some(to))
    }

    /// The accounts that were added at run time, by their AppIDs.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn accounts(&self) -> Result<AccountRows, StoreError> {
        Ok(decode(&in_time(self.backend.accounts()).await?))
    }

    /// Changes the accounts as `change` says for what is there, all at once or not at all. Returns
    /// what `change` returned beside; `None` if others changed them meanwhile.
    ///
    /// # Errors
    /// That of `change`, or the store cannot be reached; the change may or may not have taken
    /// effect.
    pub async fn change_accounts<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&AccountRows) -> Result<(Changes, T), E>,
    ) -> Result<Option<T>, E> {
        let from = in_time(self.backend.accounts()).await?;
        let (changes, returned) = change(&decode(&from))?;
        let mut to = from.clone();
        for (appid, row) in changes {
            match row {
                Some(row) => to.insert(appid, row.encode()),
                None => to.remove(&appid),
            };
        }
        let swapped = in_time(self.backend.swap_accounts(from, to)).await?;
        Ok(swapped.then_some(returned))
    }

    /// Whether only this process can reach the store.
    pub fn is_embedded(&self) -> bool {
        self.backend.is_embedded()
    }
}

fn decode(rows: &EncodedRows) -> AccountRows {
    let decoded = |(appid, row): (&AppId, &Vec<u8>)| (appid.clone(), AccountRow::decode(row));
    rows.iter().map(decoded).collect()
}

async fn in_time<T>(call: BoxFuture<'_, Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(done) => done,
        Err(_) => Err(StoreError(format!(
            "no answer within {} s",
            CALL_TIMEOUT.as_secs()
        ))),
    }
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
