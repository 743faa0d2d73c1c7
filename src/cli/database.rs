//! The database that verbs change beside the server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{ConfigFlags, Failure, StoreParser, answer, print_warnings};
use crate::app::{App, LOOK_EVERY, open_store_beside};
use crate::config::{Loaded, Source, StoreUrl};
use crate::keeper::Node;
use crate::roster::{Roster, RosterError};
use crate::store::Sqlite;

/// Where what is added at run time is kept.
#[derive(clap::Args)]
pub(super) struct Database {
    /// The configuration file [default: wxsign.toml, if there is one; env: WXSIGN_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the server keeps its records: sqlite:PATH, redis://… or postgres://… [default:
    /// sqlite:wxsign.db]
    #[arg(long, value_name = "URL", value_parser = StoreParser)]
    store: Option<String>,
}

impl Database {
    /// Does `work` on the accounts and clients that are kept there.
    pub(super) async fn with_roster<T>(
        &self,
        work: impl AsyncFnOnce(&Roster) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_app(async |app| work(&app.roster).await).await
    }

    /// Does `work` on what is kept there, and writes down what is recorded of it.
    pub(super) async fn with_app<T>(
        &self,
        work: impl AsyncFnOnce(&App) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let app = self.open().await?;
        let done = work(&app).await;
        if let Err(error) = app.history.flush().await {
            anstream::eprintln!("it is not in the history: {error}");
        }
        done
    }

    /// Reads the configuration that names it.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        let flags = ConfigFlags {
            config: self.config.clone(),
            listen: None,
            store: self.store.clone(),
        };
        let loaded = flags.load_without_accounts()?;
        print_warnings(&loaded.warnings);
        Ok(loaded)
    }

    /// Makes the file that is named, if it is one and is not there, and says so.
    pub(super) fn make(&self) -> Result<(), Failure> {
        let StoreUrl::Sqlite(path) = self.load()?.config.store else {
            return Ok(());
        };
        if !path.exists() {
            Sqlite::open(&path).map_err(|why| Failure::Other(why.to_string()))?;
            let path = std::path::absolute(&path).unwrap_or(path);
            anstream::eprintln!(
                "Made the database {}, for none was there: let the server use that one, as this \
                 user.",
                path.display()
            );
        }
        Ok(())
    }

    /// Opens what is kept there.
    pub(super) async fn open(&self) -> Result<Arc<App>, Failure> {
        let loaded = self.load()?;
        must_be_there(&loaded)?;
        if loaded.config.store == StoreUrl::Memory {
            return Err(Failure::Other(
                "the store is memory:, which no other program sees and which ends with the \
                 server: let it keep a database (sqlite:PATH), or ask the running server with \
                 PUT /v1/accounts/APPID or PUT /v1/clients/NAME"
                    .to_owned(),
            ));
        }
        let failed = |error: Box<dyn std::error::Error>| Failure::Other(error.to_string());
        let store = open_store_beside(&loaded.config).map_err(failed)?;
        let node = Node::of_process(std::process::id());
        // Nobody runs the queue, so nothing is renewed here.
        let (app, _queue) =
            App::of_store(loaded.config, store, node, None, CancellationToken::new())
                .map_err(failed)?;
        app.store.reached(PATIENCE).await;
        Ok(app)
    }
}

/// Refuses a file that is not there: who names a wrong one is not to work on a new, empty database.
pub(super) fn must_be_there(loaded: &Loaded) -> Result<(), Failure> {
    match &loaded.config.store {
        StoreUrl::Sqlite(path) if !path.exists() => {
            let setting = loaded
                .settings
                .iter()
                .find(|setting| setting.key == "store");
            let source = setting.map_or(&Source::Default, |setting| &setting.source);
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            Err(Failure::Other(format!(
                "there is no database {} (store: {source}): start the server first, which makes \
                 it; or name the one that the server uses, with --store sqlite:PATH, WXSIGN_STORE, \
                 or its configuration file (--config FILE, WXSIGN_CONFIG)",
                path.display()
            )))
        }
        _ => Ok(()),
    }
}

impl From<RosterError> for Failure {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Refused { .. } => Self::Refused(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}

/// So long is a store waited for that is far away, or on its way up.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// Says when a change takes effect.
pub(super) fn tell_when() {
    let seconds = LOOK_EVERY.as_secs();
    anstream::eprintln!("A server that runs on this database sees it within {seconds} seconds.");
}

/// Writes rows to stdout, as JSON or as a table.
pub(super) fn show<T: Serialize>(
    rows: &[T],
    as_json: bool,
    table: impl FnOnce(&[T]) -> String,
) -> Result<(), Failure> {
    if !as_json {
        return answer(&table(rows));
    }
    let json = serde_json::to_string_pretty(rows);
    let json = json.map_err(|why| Failure::Other(format!("cannot write JSON: {why}")))?;
    answer(&format!("{json}\n"))
}

/// Rows of text in columns, as wide as what stands in them.
pub(super) fn columns<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = [head.map(str::to_owned)].into_iter().chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
