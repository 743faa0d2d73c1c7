//! Records, the directory and what happened in an SQLite file.

mod backup;
mod events;
mod layout;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    Backend, EncodedChanges, Entries, EventId, EventRange, EventStream, Key, StoreError, Stored,
    StoredEvent, Version, Write,
};
pub use backup::{Restored, back_up, restore};
use futures_core::future::BoxFuture;
pub use layout::OpenError;
use layout::{Opener, create_for_owner, open};

/// Records, the directory and what happened in an SQLite file: a table for each, every write on the
/// disk before its call returns.
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    /// Opens the file at `path` as its server does: makes it if it is not there, and gives it the
    /// newest layout.
    ///
    /// # Errors
    /// It cannot be opened or written, or it is not a file of this program; the text says what
    /// to do.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        create_for_owner(path).map_err(|error| OpenError::new(path, error.to_string()))?;
        Self::open_by(path, Opener::Server)
    }

    /// Opens the file at `path` beside its server: it must be there, and of the newest layout.
    ///
    /// # Errors
    /// As [`open`](Self::open), and where only the server may do what is to be done.
    pub fn open_beside(path: &Path) -> Result<Self, OpenError> {
        Self::open_by(path, Opener::Other)
    }

    fn open_by(path: &Path, opener: Opener) -> Result<Self, OpenError> {
        let connection =
            open(path, opener).map_err(|error| OpenError::new(path, error.to_string()))??;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Runs `work` on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            // A panic under the lock drops its transaction, and with that its changes.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection)
        })
        .await
        .map_err(|error| StoreError(error.to_string()))?
        .map_err(|error| StoreError(error.to_string()))
    }
}

impl Backend for Sqlite {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        let columns = columns(key);
        Box::pin(self.run(move |connection| load(connection, &columns)))
    }

    fn load_many<'a>(
        &'a self,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, StoreError>> {
        let keys: Vec<_> = keys.iter().map(columns).collect();
        Box::pin(self.run(move |connection| {
            let found = keys.iter().map(|columns| load(connection, columns));
            found.collect()
        }))
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        let (appid, kind) = columns(key);
        Box::pin(self.run(move |connection| {
            let (from, to, bytes) = (write.from.to_bytes(), write.to.to_bytes(), write.bytes);
            // Each is one statement, and so one transaction that begins by taking the write lock.
            let changed = if write.from == Version::ABSENT {
                connection
                    .prepare_cached(
                        "INSERT INTO record (appid, kind, record, version) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![appid, kind, bytes, to])?
            } else {
                connection
                    .prepare_cached(
                        "UPDATE record SET record = ?3, version = ?4
                         WHERE appid = ?1 AND kind = ?2 AND version = ?5",
                    )?
                    .execute(params![appid, kind, bytes, to, from])?
            };
            Ok(changed == 1)
        }))
    }

    fn is_embedded(&self) -> bool {
        true
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        Box::pin(self.run(move |connection| {
            // Both reads see one state of the file.
            let reading = connection.transaction()?;
            let version = directory_version(&reading)?;
            if known == Some(version) {
                return Ok(None);
            }
            let mut found = Entries::new(version);
            let mut select = reading.prepare_cached("SELECT name, content FROM entry")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                found.push(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_blob()?);
            }
            Ok(Some(found))
        }))
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.run(move |connection| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if directory_version(&change)? != from {
                return Ok(false);
            }
            change.execute("DELETE FROM directory", [])?;
            change.execute(
                "INSERT INTO directory (version) VALUES (?1)",
                [to.to_bytes()],
            )?;
            for (name, content) in &changes {
                match content {
                    Some(content) => change
                        .prepare_cached(
                            "INSERT INTO entry (name, content) VALUES (?1, ?2)
                             ON CONFLICT DO UPDATE SET content = ?2",
                        )?
                        .execute(params![name, content])?,
                    None => change
                        .prepare_cached("DELETE FROM entry WHERE name = ?1")?
                        .execute([name])?,
                };
            }
            change.commit()?;
            Ok(true)
        }))
    }

    fn append_events(
        &self,
        stream: EventStream,
        events: Vec<StoredEvent>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.run(move |connection| events::append(connection, stream, &events)))
    }

    fn events(
        &self,
        stream: EventStream,
        range: EventRange,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(self.run(move |connection| events::find(connection, stream, &range)))
    }

    fn prune_events(
        &self,
        stream: EventStream,
        before: EventId,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.run(move |connection| events::prune(connection, stream, before, most)))
    }
}

fn load(
    connection: &Connection,
    (appid, kind): &(String, &'static str),
) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached("SELECT record, version FROM record WHERE appid = ?1 AND kind = ?2")?
        .query_row(params![appid, kind], |row| {
            let version: [u8; 16] = row.get(1)?;
            Ok(Stored {
                bytes: row.get(0)?,
                version: Version::from_bytes(version),
            })
        })
        .optional()
}

fn directory_version(connection: &Connection) -> rusqlite::Result<Version> {
    let version = connection
        .prepare_cached("SELECT version FROM directory")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(version.map_or(Version::ABSENT, Version::from_bytes))
}

fn columns(key: &Key) -> (String, &'static str) {
    (key.appid.as_str().to_owned(), key.kind.as_str())
}
