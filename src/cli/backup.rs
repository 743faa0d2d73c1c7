use std::path::PathBuf;

use super::database::{Database, must_be_there};
use super::{Failure, answer};
use crate::clock::Clock;
use crate::config::{Loaded, StoreUrl};
use crate::store::{Engine, ServerUrl, back_up, restore};

/// Copy the database into a file, also while the server runs
///
/// The copy is one whole state of the database, is checked, and can be read by nobody but its
/// owner: it holds AppSecrets, sealed with WXSIGN_MASTER_KEY, and tokens. Keep that key elsewhere.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  wxsign backup --store sqlite:/var/lib/wxsign/wxsign.db wxsign-$(date +%F).db")]
pub(super) struct BackupArgs {
    /// The file to make; it must not be there yet
    file: PathBuf,
    #[command(flatten)]
    database: Database,
}

/// Put a copy of the database in its place
///
/// No server may run on the database. The one that is there is kept beside it, and the new one gets
/// its owner. Tokens and tickets are not taken from the copy: WeChat may have superseded them, and
/// issues new ones when the server starts.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  systemctl stop wxsign
  wxsign restore --store sqlite:/var/lib/wxsign/wxsign.db wxsign-2026-01-31.db
  systemctl start wxsign")]
pub(super) struct RestoreArgs {
    /// A file that wxsign backup has made
    file: PathBuf,
    #[command(flatten)]
    database: Database,
}

pub(super) fn run_backup(args: &BackupArgs) -> Result<(), Failure> {
    let loaded = args.database.load()?;
    must_be_there(&loaded)?;
    let from = file_of(loaded)?;
    back_up(&from, &args.file).map_err(Failure::Other)?;
    answer(&format!(
        "copied {} to {}\n",
        from.display(),
        args.file.display()
    ))
}

pub(super) fn run_restore(args: &RestoreArgs) -> Result<(), Failure> {
    let to = file_of(args.database.load()?)?;
    let restored = restore(&args.file, &to, &dated()).map_err(Failure::Other)?;
    let (file, to) = (args.file.display(), to.display());
    answer(&format!("restored {to} from {file}\n"))?;
    if let Some(replaced) = restored.replaced {
        let replaced = replaced.display();
        anstream::eprintln!(
            "The database that was there is {replaced} now: delete it when all is well."
        );
    }
    anstream::eprintln!(
        "AppSecrets in it open with the WXSIGN_MASTER_KEY that they were sealed with. Tokens and \
         tickets are fetched anew when the server starts."
    );
    Ok(())
}

/// The file that the configuration names; of other stores, how they are copied.
fn file_of(loaded: Loaded) -> Result<PathBuf, Failure> {
    let url = match loaded.config.store {
        StoreUrl::Sqlite(path) => return Ok(path),
        StoreUrl::Memory => {
            return Err(Failure::Other(
                "the store is memory:, which ends with the server: there is nothing to copy"
                    .to_owned(),
            ));
        }
        StoreUrl::Shared(url) => url,
    };
    Err(Failure::Other(how_to_copy(&url)))
}

fn how_to_copy(url: &ServerUrl) -> String {
    match url.engine {
        Engine::Postgres => format!(
            "the store is PostgreSQL, which has tools of its own: pg_dump --format=custom \
             --table='{0}_*' copies the tables, pg_restore --clean puts them back while no server \
             runs; delete all rows of {0}_record after that, for WeChat may have superseded those \
             tokens",
            url.prefix
        ),
        _ => format!(
            "the store is Redis, which has tools of its own: redis-cli --rdb FILE copies all of it, \
             and a Redis that finds the file as its dump.rdb starts with it; delete the keys \
             {{{}}}:record:* after that, for WeChat may have superseded those tokens",
            url.prefix
        ),
    }
}

/// The time, as it can stand in a file's name.
fn dated() -> String {
    let now = jiff::Timestamp::from_second(Clock::system().now().as_secs());
    now.map_or_else(
        |_| "long-ago".to_owned(),
        |now| now.strftime("%Y%m%dT%H%M%SZ").to_string(),
    )
}
