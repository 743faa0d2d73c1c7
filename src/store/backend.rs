//! What a place to keep records in must do.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;

use futures_core::future::BoxFuture;
use rand::Rng;
use tokio::sync::mpsc;

use super::{Entries, EventId, EventRange, EventStream, Record, StoreError, StoredEvent};
use crate::account::AppId;
use crate::credential::Kind;

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

/// Names one write of one record, or of the directory.
///
/// It is random and not a count: after a failover that lost a write, two writers would hold the
/// same count, and each would believe that its own swap was the one that counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version([u8; 16]);

impl Version {
    /// The version of what was never written.
    pub const ABSENT: Self = Self([0; 16]);

    /// A new one.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        rand::rng().fill_bytes(&mut bytes);
        // Not that of what was never written.
        bytes[15] |= u8::from(bytes == [0; 16]);
        Self(bytes)
    }

    pub(super) const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A backend: bytes under a key, and beside them a directory of named entries that is one as a
/// whole. Both are changed by compare-and-swap and in no other way.
///
/// What a backend promises:
/// - **Consistency**: of several swaps from the same version at most one takes effect, whichever
///   processes they come from; a load that begins after a swap has returned sees it or a later one.
/// - **Durability**: when a swap has returned `Ok(true)`, the write survives the end of this
///   process; whether it survives that of the machine or a failover is the backend's own word.
/// - **Failure**: after an error of a swap the write may or may not have taken effect.
/// - **Retries**: none. The caller loads again and decides anew.
/// - **News**: none. Hints may come late or not at all; [`changes`](Self::changes) tells what they
///   would have.
pub trait Backend: Send + Sync + 'static {
    /// The bytes under `key` and the version of the write that put them there.
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// What is under each of `keys`, in their order: the same as so many loads, at the price of
    /// few.
    fn load_many<'a>(
        &'a self,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, StoreError>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(self.load(key).await?);
            }
            Ok(found)
        })
    }

    /// Puts something under `key`, if the version there still is the one that the write starts
    /// from ([`Version::ABSENT`]: if there is nothing yet). Says whether it did.
    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// The directory; `None` if it still is of the version that is `known`.
    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>>;

    /// Changes entries of the directory, if its version still is `from`, and calls the result `to`;
    /// those that are changed to `None` are taken away. Says whether it did.
    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Whether only this process can reach the store, so that no other node depends on it.
    fn is_embedded(&self) -> bool;

    /// Which accounts have news since `position`, and the position after them.
    fn changes(&self, position: Option<u64>) -> BoxFuture<'_, Result<News, StoreError>> {
        let none = News::none(position);
        Box::pin(async { Ok(none) })
    }

    /// Adds to what happened, all at once or not at all; what is there already under an id stays.
    /// One that keeps none of it does nothing.
    fn append_events(
        &self,
        _stream: EventStream,
        _events: Vec<StoredEvent>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    /// What happened, the newest first.
    fn events(
        &self,
        _stream: EventStream,
        _range: EventRange,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Forgets the events of the stream before `before`, and all but the newest `most`, the oldest
    /// first. Says how many; with [`PRUNED_AT_ONCE`](super::PRUNED_AT_ONCE) there may be more.
    fn prune_events(
        &self,
        _stream: EventStream,
        _before: EventId,
        _most: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async { Ok(0) })
    }

    /// The hints of this backend, for whoever asks first.
    fn hints(&self) -> Option<mpsc::UnboundedReceiver<Hint>> {
        None
    }
}

/// What is to be put under a key.
pub struct Write {
    /// The version that it takes the place of.
    pub from: Version,
    /// Its own version.
    pub to: Version,
    /// The record, encoded.
    pub bytes: Vec<u8>,
    /// Whether other processes wait to hear of it.
    pub is_news: bool,
}

/// What a [`Backend`] holds under a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The record, encoded.
    pub bytes: Vec<u8>,
    /// The write that put it there.
    pub version: Version,
}

/// What becomes of entries of the directory; `None` takes one away.
pub type EncodedChanges = BTreeMap<String, Option<Vec<u8>>>;

/// Another process has changed something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hint {
    /// A credential of this account.
    Account(AppId),
    /// The directory.
    Directory,
}

impl Hint {
    const DIRECTORY: &'static str = "directory";

    /// The hint as it is sent.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Account(appid) => appid.as_str(),
            Self::Directory => Self::DIRECTORY,
        }
    }

    /// `None` for what another version may have sent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            Self::DIRECTORY => Some(Self::Directory),
            _ => text.parse().ok().map(Self::Account),
        }
    }
}

/// What others have changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct News {
    /// Where the next question begins.
    pub position: u64,
    /// The accounts whose credentials have changed; `None` where nobody can say which, because
    /// the store went back in time.
    pub accounts: Option<Vec<AppId>>,
}

impl News {
    /// Nothing since `position`.
    pub(super) fn none(position: Option<u64>) -> Self {
        Self {
            position: position.unwrap_or_default(),
            accounts: Some(Vec::new()),
        }
    }
}

/// What was found under a key, to be told apart from what comes later.
///
/// A version alone would not do: it says nothing about a record that was changed behind the back
/// of all programs, by hand or by a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen(NonZeroU64);

impl Seen {
    pub(super) fn of(stored: Option<&Stored>) -> Self {
        let mut content = DefaultHasher::new();
        let stored = stored.map(|stored| (stored.version, &stored.bytes));
        stored.hash(&mut content);
        Self(NonZeroU64::new(content.finish()).unwrap_or(NonZeroU64::MAX))
    }
}

/// A record as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// What it says; an empty one if there is none. `None` if it still is what was known.
    pub record: Option<Record>,
    /// The version, for the next swap.
    pub version: Version,
    /// What to know it by the next time.
    pub seen: Seen,
}
