//! Copies of an SQLite file, made while others write to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{BUSY_TIMEOUT, create_for_owner, layout};

/// So long is a file waited for that a server may hold.
const HELD: Duration = Duration::from_millis(500);

/// What became of a file that was put back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Where the database is now that was there before, if there was one.
    pub replaced: Option<PathBuf>,
}

/// Copies the database at `from` into the new file `to`, as it is at one moment, and checks the
/// copy. Servers may go on writing meanwhile.
///
/// # Errors
/// Why there is no copy; nothing is left of it then.
pub fn back_up(from: &Path, to: &Path) -> Result<(), String> {
    let source = open_to_read(from)?;
    if to.exists() {
        return Err(format!(
            "{} is there already: name a file that is not, or move it away",
            to.display()
        ));
    }
    copy(&source, to, |_| Ok(()))
}

/// Puts the copy `from` in the place of the database at `to`, which no server may hold. Stored
/// credentials are left out: WeChat may have superseded them since, and issues new ones.
///
/// # Errors
/// Why all is as it was.
pub fn restore(from: &Path, to: &Path, dated: &str) -> Result<Restored, String> {
    let source = open_to_read(from)?;
    let beside = |what: &str| {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{what}"));
        PathBuf::from(name)
    };
    let (new, replaced) = (beside("restoring"), beside(&format!("replaced-{dated}")));
    let held = to.exists().then(|| hold(to)).transpose()?;
    if held.is_some() && replaced.exists() {
        let replaced = replaced.display();
        return Err(format!("{replaced} is there already: move it away"));
    }
    // One that broke off has left it.
    let _ = fs::remove_file(&new);
    copy(&source, &new, |copied| {
        copied.execute("DELETE FROM record", []).map(drop)
    })?;
    let moved = |what: &Path, to: &Path| {
        let named = (what.display(), to.display());
        fs::rename(what, to)
            .map_err(|why| format!("{} cannot be moved to {}: {why}", named.0, named.1))
    };
    if held.is_some() {
        moved(to, &replaced)?;
    }
    if let Err(why) = moved(&new, to) {
        let back = held.map(|_| moved(&replaced, to)).transpose();
        return Err(back
            .err()
            .map_or_else(|| why.clone(), |also| format!("{why}; {also}")));
    }
    Ok(Restored {
        replaced: held.map(|_| replaced),
    })
}

/// Copies the database before its layout is changed, unless that was done before.
pub(super) fn keep_layout(
    connection: &Connection,
    path: &Path,
    version: i32,
) -> Result<(), String> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".layout-{version}"));
    let to = PathBuf::from(name);
    if to.exists() {
        return Ok(());
    }
    copy(connection, &to, |_| Ok(()))?;
    tracing::info!(
        copy = %to.display(),
        "the database gets a new layout: a copy of the former is kept, which can be deleted"
    );
    Ok(())
}

/// Opens a database of ours to read it.
fn open_to_read(path: &Path) -> Result<Connection, String> {
    let said = |why: String| format!("{} cannot be read: {why}", path.display());
    let open = || -> rusqlite::Result<_> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok((layout(&connection)?, connection))
    };
    let (found, connection) = open().map_err(|why| said(why.to_string()))?;
    match found.map_err(said)? {
        0 => Err(said("nothing is in it".to_owned())),
        _ => Ok(connection),
    }
}

/// Makes sure that nobody else has the database open, and keeps it so until the connection that is
/// returned is dropped.
fn hold(path: &Path) -> Result<Connection, String> {
    let said = |why: String| format!("{} cannot be replaced: {why}", path.display());
    let held = || -> rusqlite::Result<_> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(HELD)?;
        if let Err(why) = layout(&connection)? {
            return Ok(Err(why));
        }
        // It leaves the write-ahead log only for the one who has it open alone
        // (<https://www.sqlite.org/wal.html>).
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        connection
            .transaction_with_behavior(TransactionBehavior::Exclusive)?
            .commit()?;
        Ok(Ok(connection))
    };
    match held() {
        Ok(held) => held.map_err(said),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if matches!(
                failure.code,
                rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked
            ) =>
        {
            Err(said(
                "a server or another program has it open: stop that first".to_owned(),
            ))
        }
        Err(why) => Err(said(why.to_string())),
    }
}

/// Copies all of it into a new file that nobody but its owner may read, changes it, and checks it.
fn copy(
    from: &Connection,
    to: &Path,
    change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), String> {
    let named = to.display();
    let failed = |why: String| format!("{named} cannot be written: {why}");
    create_for_owner(to).map_err(|why| failed(why.to_string()))?;
    let copied = || -> rusqlite::Result<String> {
        let mut copy = Connection::open(to)?;
        // In one step, so that nobody who writes meanwhile makes it begin anew.
        Backup::new(from, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
        // One file, without a log beside it.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        change(&copy)?;
        let checked = copy.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        copy.close().map_err(|(_, error)| error)?;
        Ok(checked)
    };
    let checked = match copied() {
        Ok(checked) if checked == "ok" => sync(to).map_err(|why| failed(why.to_string())),
        Ok(found) => Err(format!("the copy {named} is damaged: {found}")),
        Err(why) => Err(failed(why.to_string())),
    };
    if checked.is_err() {
        // What is left of it is of no use to anybody.
        let _ = fs::remove_file(to);
    }
    checked
}

/// Has a file and its name on the disk.
fn sync(path: &Path) -> std::io::Result<()> {
    fs::File::open(path)?.sync_all()?;
    match path.parent() {
        Some(parent) if parent != Path::new("") => fs::File::open(parent)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}
