//! Copies of an SQLite file, made while others write to it.

use std::fs;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, ffi};

use super::layout::{APPLICATION_ID, BUSY_TIMEOUT, create_for_owner, is_empty, layout};

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

/// Puts the copy `from` in the place of the database at `to`, which no server may hold; that one is
/// kept beside it, under a name that ends with `dated`. Stored credentials are left out: WeChat may
/// have superseded them since, and issues new ones. A copy of a former layout keeps it, for the
/// version that it is of.
///
/// # Errors
/// Why all is as it was.
pub fn restore(from: &Path, to: &Path, dated: &str) -> Result<Restored, String> {
    let source = open_to_read(from)?;
    let was_there = to.exists();
    if was_there && from.canonicalize().ok() == to.canonicalize().ok() {
        return Err(format!(
            "{} is the database itself: name a copy of it",
            from.display()
        ));
    }
    // Until the end, so that no server begins to use it meanwhile.
    let held = was_there.then(|| hold(to)).transpose()?;
    let new = named(to, ".restoring");
    let replaced = named(to, &format!(".replaced-{dated}"));
    if replaced.exists() {
        return Err(format!(
            "{} is there already: move it away",
            replaced.display()
        ));
    }
    // One that broke off has left it.
    let _ = fs::remove_file(&new);
    copy(&source, &new, |copied| {
        copied.execute("DELETE FROM record", []).map(drop)
    })?;
    if let Err(why) = give_away(&new, to) {
        let _ = fs::remove_file(&new);
        return Err(why);
    }
    let is_whole = matches!(held, Some(Some(_)));
    for side in ["-wal", "-journal", "-shm"] {
        let left = named(to, side);
        if left.exists() && is_whole {
            // It is of the one who holds the database, and says nothing any more.
            fs::remove_file(&left)
                .map_err(|why| format!("{} cannot be removed: {why}", left.display()))?;
        } else if left.exists() {
            // The log of a database that broke off would be taken for that of the new one.
            rename(&left, &named(&replaced, side))?;
        }
    }
    // With two names for a moment there is no time at which a server would begin an empty one.
    if was_there && fs::hard_link(to, &replaced).is_err() {
        rename(to, &replaced)?;
    }
    rename(&new, to)?;
    drop(held);
    Ok(Restored {
        replaced: was_there.then_some(replaced),
    })
}

/// Gives the file the owner of the one that it takes the place of, or of the directory: what root
/// puts there is to be the server's.
fn give_away(new: &Path, to: &Path) -> Result<(), String> {
    let failed = |why: std::io::Error| format!("{} cannot be given away: {why}", new.display());
    let (was_there, new) = (to.exists(), fs::File::open(new).map_err(failed)?);
    let of = if was_there { to } else { directory_of(to) };
    let (wanted, has) = (fs::metadata(of), new.metadata());
    let (wanted, has) = (wanted.map_err(failed)?, has.map_err(failed)?);
    let (user, group) = (wanted.uid(), wanted.gid());
    if (user, group) == (has.uid(), has.gid()) {
        return Ok(());
    }
    match fchown(&new, Some(user), Some(group)) {
        // It is not for this user to give away, nor is it anybody else's.
        Err(_) if !was_there || user == has.uid() => Ok(()),
        Err(why) => Err(format!(
            "{} belongs to the user {user}, whom the new one cannot be given to: {why}; restore as \
             that user or as root",
            to.display()
        )),
        Ok(()) => Ok(()),
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// What is called as `path` is, with something behind it.
fn named(path: &Path, behind: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(behind);
    PathBuf::from(name)
}

fn rename(from: &Path, to: &Path) -> Result<(), String> {
    let renamed = fs::rename(from, to);
    renamed.map_err(|why| {
        let (from, to) = (from.display(), to.display());
        format!("{from} cannot be renamed to {to}: {why}")
    })
}

/// Copies the database before its layout is changed; whoever does that holds its write lock. What
/// stands there from another time is left alone: nobody knows how whole or how old it is.
pub(super) fn keep_layout(path: &Path, version: i32) -> Result<(), String> {
    let name = format!(".layout-{version}");
    let new = named(path, &format!("{name}.new"));
    let mut to = named(path, &name);
    let mut number = 1;
    while to.exists() {
        number += 1;
        to = named(path, &format!("{name}-{number}"));
    }
    // One that broke off has left it.
    let _ = fs::remove_file(&new);
    copy(&open_to_read(path)?, &new, |_| Ok(()))?;
    rename(&new, &to)?;
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
/// returned is dropped. One that is damaged cannot be held, nor used by anybody.
fn hold(path: &Path) -> Result<Option<Connection>, String> {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
    let said = |why: &str| format!("{} cannot be replaced: {why}", path.display());
    let held = || -> rusqlite::Result<_> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(HELD)?;
        let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if !is_empty(&connection)? && APPLICATION_ID != id {
            return Ok(None);
        }
        // It leaves the write-ahead log only for the one who has it open alone
        // (<https://www.sqlite.org/wal.html>).
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        connection
            .transaction_with_behavior(TransactionBehavior::Exclusive)?
            .commit()?;
        Ok(Some(connection))
    };
    let failed = match held() {
        Ok(Some(connection)) => return Ok(Some(connection)),
        Ok(None) => return Err(said("it is a database of another program")),
        Err(failed) => failed,
    };
    match failed.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => Err(said(
            "a server or another program has it open: stop that first",
        )),
        Some(DatabaseCorrupt | NotADatabase) => Ok(None),
        _ => Err(said(&failed.to_string())),
    }
}

/// Copies all of it into a new file that nobody but its owner may read, changes it, and checks it.
fn copy(
    from: &Connection,
    to: &Path,
    change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), String> {
    let name = to.display();
    let failed = |why: String| format!("{name} cannot be written: {why}");
    create_for_owner(to).map_err(|why| failed(why.to_string()))?;
    let copied = || -> rusqlite::Result<String> {
        let mut copy = Connection::open(to)?;
        // In one step, so that nobody who writes meanwhile makes it begin anew.
        match Backup::new(from, &mut copy)?.step(-1)? {
            StepResult::Done => {}
            _ => {
                let busy = ffi::Error::new(ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(busy, None));
            }
        }
        // One file, without a log beside it.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        change(&copy)?;
        let checked = copy.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        copy.close().map_err(|(_, error)| error)?;
        Ok(checked)
    };
    let checked = match copied() {
        Ok(checked) if checked == "ok" => sync(to).map_err(|why| failed(why.to_string())),
        Ok(found) => Err(format!("the copy {name} is damaged: {found}")),
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
    fs::File::open(directory_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sqlite;

    fn database(path: &Path, record: &str) {
        drop(Sqlite::open(path).unwrap());
        let connection = Connection::open(path).unwrap();
        let sql = "INSERT INTO entry VALUES (?1, x'00')";
        connection.execute(sql, [record]).unwrap();
    }

    fn entries(path: &Path) -> Vec<String> {
        let connection = Connection::open(path).unwrap();
        let mut all = connection.prepare("SELECT name FROM entry").unwrap();
        let names = all.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }

    #[test]
    fn a_damaged_database_is_replaced_and_the_log_that_it_left_is_not_taken_for_the_new_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        database(&path("good.db"), "good");
        back_up(&path("good.db"), &path("copy.db")).unwrap();
        database(&path("w.db"), "damaged");
        let open = Connection::open(path("w.db")).unwrap();
        open.execute("INSERT INTO entry VALUES ('log', x'00')", [])
            .unwrap();
        let log = fs::read(path("w.db-wal")).unwrap();
        drop(open);
        fs::remove_file(path("w.db")).unwrap();
        fs::write(path("w.db-wal"), &log).unwrap();
        let restored = restore(&path("copy.db"), &path("w.db"), "1").unwrap();
        assert_eq!(restored.replaced, None);
        assert_eq!(entries(&path("w.db")), ["good"]);
        assert_eq!(fs::read(path("w.db.replaced-1-wal")).unwrap(), log);

        let text = "this is no database any more";
        fs::write(path("w.db"), text).unwrap();
        let restored = restore(&path("copy.db"), &path("w.db"), "now").unwrap();
        assert_eq!(restored.replaced, Some(path("w.db.replaced-now")));
        assert_eq!(entries(&path("w.db")), ["good"]);
        let kept = fs::read_to_string(path("w.db.replaced-now")).unwrap();
        assert_eq!(kept, text);
        let again = restore(&path("copy.db"), &path("w.db"), "now").unwrap_err();
        assert!(again.contains("move it away"), "{again}");
    }

    fn owner(path: &Path) -> (u32, u32) {
        let found = fs::metadata(path).unwrap();
        (found.uid(), found.gid())
    }

    #[test]
    fn what_is_put_back_belongs_to_whom_the_former_belonged_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        database(&path("copy.db"), "copy");
        database(&path("w.db"), "former");
        // The owner of the server's files is another one where root restores.
        let me = owner(&path("w.db"));
        let other = if me.0 == 0 { (12345, 12345) } else { me };
        let give = |name: &str| {
            let file = fs::File::open(path(name)).unwrap();
            fchown(&file, Some(other.0), Some(other.1)).unwrap();
        };
        give("w.db");
        restore(&path("copy.db"), &path("w.db"), "1").unwrap();
        assert_eq!(entries(&path("w.db")), ["copy"]);
        assert_eq!(owner(&path("w.db")), other);
        assert_eq!(owner(&path("w.db.replaced-1")), other);
        let mut names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("w.db."))
            .collect();
        names.sort();
        assert_eq!(names, ["w.db.replaced-1"]);
        assert!(!path("w.db-journal").exists());

        fs::create_dir(path("d")).unwrap();
        give("d");
        restore(&path("copy.db"), &path("d/w.db"), "2").unwrap();
        assert_eq!(owner(&path("d/w.db")), other);
    }

    #[test]
    fn a_newer_database_is_replaced_by_a_former_copy_and_that_of_another_program_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        database(&path("copy.db"), "former");
        database(&path("w.db"), "newer");
        let newer = Connection::open(path("w.db")).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        drop(newer);
        restore(&path("copy.db"), &path("w.db"), "1").unwrap();
        assert_eq!(entries(&path("w.db")), ["former"]);
        assert_eq!(entries(&path("w.db.replaced-1")), ["newer"]);

        let foreign = Connection::open(path("foreign.db")).unwrap();
        foreign.execute_batch("CREATE TABLE t (x)").unwrap();
        drop(foreign);
        let refused = restore(&path("copy.db"), &path("foreign.db"), "2").unwrap_err();
        assert!(refused.contains("another program"), "{refused}");
        let refused = restore(&path("foreign.db"), &path("w.db"), "2").unwrap_err();
        assert!(refused.contains("another program"), "{refused}");
        let itself = restore(&path("w.db"), &path("w.db"), "2").unwrap_err();
        assert!(itself.contains("the database itself"), "{itself}");
        assert!(!path("w.db.replaced-2").exists());

        let nowhere = restore(&path("copy.db"), &path("new.db"), "3").unwrap();
        assert_eq!(nowhere.replaced, None);
        assert_eq!(entries(&path("new.db")), ["former"]);
    }
}
