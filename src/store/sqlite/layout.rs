//! How an SQLite file is made, opened, and brought to the newest layout.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::backup;

/// How long a write waits for another process that writes to the same file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Marks the file as ours (`PRAGMA application_id`): "wxsg".
pub(super) const APPLICATION_ID: i32 = 0x7778_7367;

/// The layout of the file (`PRAGMA user_version`): [`LAYOUTS`] has its parts.
const SCHEMA_VERSION: i32 = LAYOUTS.len() as i32;

/// What each layout adds to the one before.
const LAYOUTS: [&str; 5] = [
    "CREATE TABLE record (
         appid   TEXT NOT NULL,
         kind    TEXT NOT NULL,
         version BLOB NOT NULL,
         record  BLOB NOT NULL,
         PRIMARY KEY (appid, kind)
     ) STRICT, WITHOUT ROWID;",
    "CREATE TABLE account (
         appid   TEXT NOT NULL PRIMARY KEY,
         account BLOB NOT NULL
     ) STRICT, WITHOUT ROWID;",
    "CREATE TABLE entry (
         name    TEXT NOT NULL PRIMARY KEY,
         content BLOB NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE directory (
         version BLOB NOT NULL
     ) STRICT;
     INSERT INTO entry SELECT 'account/' || appid, account FROM account;
     INSERT INTO directory SELECT randomblob(16) WHERE EXISTS (SELECT 1 FROM entry);
     DROP TABLE account;",
    "CREATE TABLE event (
         id    BLOB NOT NULL PRIMARY KEY,
         appid TEXT,
         event BLOB NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX event_of_account ON event (appid, id) WHERE appid IS NOT NULL;",
    "CREATE TABLE audit (
         id    BLOB NOT NULL PRIMARY KEY,
         appid TEXT,
         event BLOB NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX audit_of_account ON audit (appid, id) WHERE appid IS NOT NULL;",
];

/// The file holds tokens: it is made so that nobody but its owner may read it, and SQLite gives
/// its side files the same rights.
pub(super) fn create_for_owner(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Who opens a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    Server,
    Other,
}

/// Opens the file; what is not ours is left as it is, and the inner error says why.
pub(super) fn open(path: &Path, opener: Opener) -> rusqlite::Result<Result<Connection, OpenError>> {
    let failed = |why: String| Ok(Err(OpenError::new(path, why)));
    let flags = OpenFlags::default().difference(OpenFlags::SQLITE_OPEN_CREATE);
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let version = match layout(&connection)? {
        Ok(version) => version,
        Err(why) => return failed(why),
    };
    if version != SCHEMA_VERSION && opener != Opener::Server {
        // A server of the version that wrote it may run on it.
        return Ok(Err(OpenError::former(path, version)));
    }
    if connection.is_readonly("main")? {
        return failed("it can be read but not written".to_owned());
    }
    // WAL lets other programs read while this one writes; FULL is an fsync per commit, without
    // which a power cut could take back a token that WeChat has already superseded another for.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    if version != SCHEMA_VERSION
        && let Err(why) = lay_out(&mut connection, path)?
    {
        return failed(format!(
            "it is to get a new layout, and a copy of it must be made before: {why}"
        ));
    }
    Ok(Ok(connection))
}

/// The layout of a database, 0 if nothing is in it yet; the inner error says why it is not for
/// this program to use.
pub(super) fn layout(connection: &Connection) -> rusqlite::Result<Result<i32, String>> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if is_empty(connection)? {
        return Ok(Ok(0));
    }
    if number("application_id")? != APPLICATION_ID {
        return Ok(Err("it is a database of another program".to_owned()));
    }
    let version = number("user_version")?;
    if !(1..=SCHEMA_VERSION).contains(&version) {
        return Ok(Err(format!(
            "it has layout {version} and this version of wxsign knows {SCHEMA_VERSION}: use the \
             version that wrote it, or a newer one"
        )));
    }
    Ok(Ok(version))
}

pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let count = "SELECT count(*) = 0 FROM sqlite_schema";
    connection.query_row(count, [], |row| row.get(0))
}

/// Brings the file to the newest layout, all at once or not at all; the inner error says why there
/// is no copy of it as it was.
fn lay_out(connection: &mut Connection, path: &Path) -> rusqlite::Result<Result<(), String>> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let version: usize = change.pragma_query_value(None, "user_version", |row| {
        row.get::<_, i32>(0)
            .map(|version| version.unsigned_abs() as usize)
    })?;
    let former = i32::try_from(version).unwrap_or(SCHEMA_VERSION);
    if (1..SCHEMA_VERSION).contains(&former)
        && let Err(why) = backup::keep_layout(path, former)
    {
        return Ok(Err(why));
    }
    for addition in LAYOUTS.iter().skip(version) {
        change.execute_batch(addition)?;
    }
    change.pragma_update(None, "application_id", APPLICATION_ID)?;
    change.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    change.commit()?;
    Ok(Ok(()))
}

/// The database file cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the database {} cannot be used: {reason}; {advice}", path.display())]
pub struct OpenError {
    path: PathBuf,
    reason: String,
    advice: &'static str,
    is_former: bool,
}

impl OpenError {
    pub(super) fn new(path: &Path, reason: String) -> Self {
        Self {
            path: path.to_owned(),
            reason,
            advice: "check that the directory exists and that this user may write to it, or name \
                     another file with --store sqlite:PATH",
            is_former: false,
        }
    }

    /// One that is of a former layout, or has none yet.
    fn former(path: &Path, version: i32) -> Self {
        let reason = match version {
            0 => "nothing is in it yet".to_owned(),
            _ => format!(
                "a former version of wxsign wrote it (layout {version}, this one has \
                 {SCHEMA_VERSION})"
            ),
        };
        Self {
            reason,
            advice: "start the server with this version first, which sees to that and keeps a \
                     copy, or name another file with --store sqlite:PATH",
            is_former: true,
            ..Self::new(path, String::new())
        }
    }

    /// Whether the server has to be started with this version first.
    pub const fn is_former(&self) -> bool {
        self.is_former
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sqlite, directory_version, restore};
    use super::*;
    use crate::store::Version;

    #[test]
    fn a_file_that_cannot_be_used_says_why_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text");
        std::fs::write(&text, "this is no database, it is a text").unwrap();
        let foreign = directory.path().join("foreign.db");
        Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE t (x)")
            .unwrap();
        let newer = directory.path().join("newer.db");
        drop(Sqlite::open(&newer).unwrap());
        Connection::open(&newer)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        let before = [&foreign, &newer].map(|path| std::fs::read(path).unwrap());
        for (path, reason) in [
            (directory.path().to_owned(), "directory"),
            (directory.path().join("no/such/dir.db"), "No such file"),
            (text.clone(), "not a database"),
            (foreign.clone(), "another program"),
            (newer.clone(), "layout 99"),
        ] {
            let error = Sqlite::open(&path).map(drop).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(error.contains("--store sqlite:PATH"), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
        let after = [&foreign, &newer].map(|path| std::fs::read(path).unwrap());
        assert_eq!(before, after, "what is not ours is left as it is");
        let kept = std::fs::read_to_string(text).unwrap();
        assert_eq!(kept, "this is no database, it is a text");
    }

    #[test]
    fn a_file_of_a_former_layout_gets_the_newest_and_keeps_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wxsign.db");
        let former = Connection::open(&path).unwrap();
        former
            .execute_batch(&format!(
                "{} {} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 2;
                 INSERT INTO record VALUES ('wx0123456789abcdef', 'access_token', x'01', x'7b7d');
                 INSERT INTO account VALUES ('wx0123456789abcdef', x'7b7d');",
                LAYOUTS[0], LAYOUTS[1]
            ))
            .unwrap();
        drop(former);
        // From another time, and not whole.
        let stale = directory.path().join("wxsign.db.layout-2");
        std::fs::write(&stale, "").unwrap();
        std::fs::write(directory.path().join("wxsign.db.layout-2.new"), "broken").unwrap();
        let kept = directory.path().join("wxsign.db.layout-2-2");
        for _ in 0..2 {
            let sqlite = Sqlite::open(&path).unwrap();
            let copy = Connection::open(&kept).unwrap();
            let accounts = "SELECT count(*) FROM account";
            let accounts = copy.query_row(accounts, [], |row| row.get::<_, i64>(0));
            assert_eq!(accounts, Ok(1), "a copy of the former layout is kept");
            let connection = sqlite.connection.lock().unwrap();
            let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            assert_eq!(count("SELECT count(*) FROM record"), Ok(1));
            let entries = "SELECT count(*) FROM entry WHERE name = 'account/wx0123456789abcdef'";
            assert_eq!(count(entries), Ok(1));
            assert_ne!(directory_version(&connection), Ok(Version::ABSENT));
            assert_eq!(count("PRAGMA user_version"), Ok(SCHEMA_VERSION.into()));
            assert_eq!(count("PRAGMA application_id"), Ok(APPLICATION_ID.into()));
        }
        assert_eq!(std::fs::read(&stale).unwrap(), b"");
        assert!(!directory.path().join("wxsign.db.layout-2.new").exists());
        assert!(!directory.path().join("wxsign.db.layout-2-3").exists());

        // The way back: the former version finds its layout, and no token that is superseded.
        restore(&kept, &path, "now").unwrap();
        let former = Connection::open(&path).unwrap();
        let count = |sql| former.query_row(sql, [], |row| row.get::<_, i64>(0));
        assert_eq!(count("PRAGMA user_version"), Ok(2));
        assert_eq!(count("SELECT count(*) FROM account"), Ok(1));
        assert_eq!(count("SELECT count(*) FROM record"), Ok(0));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wxsign.db");
        drop(Sqlite::open(&path).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
