//! The server's database file, seen and held from another process.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, params};
use tempfile::TempDir;
use wxsign::credential::Kind;
use wxsign::store::{Record, Sqlite};

use crate::harness::APPID;

const FILE: &str = "wxsign.db";
const LOG: &str = "wxsign.db-wal";

/// A connection that leaves the file as it finds it.
pub(crate) struct Database {
    connection: Connection,
}

impl Database {
    /// Makes the file if it is not there.
    pub(crate) fn of(place: &Path) -> Self {
        let file = place.join(FILE);
        drop(Sqlite::open(&file).unwrap());
        Self::open(&file)
    }

    fn open(file: &Path) -> Self {
        let connection = Connection::open(file).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        // Otherwise the last connection to be closed tidies up what a killed server left.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .unwrap();
        Self { connection }
    }

    /// From now on nobody else can write; everybody can read.
    pub(crate) fn lock(&self) {
        self.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    }

    pub(crate) fn unlock(&self) {
        self.connection.execute_batch("ROLLBACK").unwrap();
    }

    pub(crate) fn record(&self, kind: Kind) -> Record {
        let bytes: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT record FROM record WHERE appid = ?1 AND kind = ?2")
            .unwrap()
            .query_row(params![APPID, kind.as_str()], |row| row.get(0))
            .optional()
            .unwrap();
        bytes.map_or_else(Record::default, |bytes| {
            serde_json::from_slice(&bytes).expect("a record that can be read")
        })
    }

    pub(crate) fn assert_whole(&self) {
        let check = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let word = self
            .connection
            .query_row("PRAGMA integrity_check", [], check)
            .unwrap();
        assert_eq!(word, "ok");
    }
}

/// What a killed server left, looked at in a copy, so that the next server is the first one to
/// open the file itself.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) token: Record,
    pub(crate) ticket: Record,
}

impl Left {
    pub(crate) fn behind(place: &Path) -> Self {
        let copy = TempDir::new().unwrap();
        for file in [FILE, LOG] {
            std::fs::copy(place.join(file), copy.path().join(file)).unwrap();
        }
        let database = Database::open(&copy.path().join(FILE));
        database.assert_whole();
        Self {
            token: database.record(Kind::AccessToken),
            ticket: database.record(Kind::JsapiTicket),
        }
    }
}

/// The length of the log into which SQLite writes each change first
/// (<https://www.sqlite.org/wal.html>).
pub(crate) fn log_bytes(place: &Path) -> u64 {
    std::fs::metadata(place.join(LOG)).unwrap().len()
}
