//! Records, the directory and what happened in PostgreSQL.
//!
//! A table of records, one of the directory's entries, one with its version, and two of events. Each
//! record says which transaction brought its last news, so that others can ask for what they did not
//! see.

mod events;
mod sql;

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row};

use super::dial::{Dialer, Stream};
use super::link::{BULK_TIMEOUT, CALL_TIMEOUT, Fault, Link, first_of};
use super::{
    Backend, EncodedChanges, Endpoint, Entries, EventId, EventRange, EventStream, Hint, Key, News,
    ServerUrl, StoreError, Stored, StoredEvent, Version, Write,
};
use sql::Sql;

/// Records and the directory in PostgreSQL 13 or newer: one statement a call, all of them on one
/// connection.
///
/// A write is on the disk when its call returns, unless the server is told otherwise
/// (`synchronous_commit`). A failover loses what the standby did not have yet, which
/// [`crate::keeper`] sets right.
pub struct Postgres {
    link: Link<Arc<Session>>,
    sql: Arc<Sql>,
    hints: Mutex<Option<mpsc::UnboundedReceiver<Hint>>>,
    /// The news that may come up again, by key: as long as any transaction in the database goes on
    /// that was there before them, nobody can say that nothing older is to come.
    seen: Mutex<HashMap<String, u64>>,
}

impl Postgres {
    /// A store at `url`; it is connected to when it is needed, and makes its tables.
    ///
    /// # Errors
    /// The certificates that the URL names cannot be read.
    pub fn new(url: &ServerUrl) -> Result<Self, StoreError> {
        let sql = Arc::new(Sql::new(&url.prefix));
        let (tell, hints) = mpsc::unbounded_channel();
        let server = Arc::new(Server {
            endpoints: url.endpoints.clone(),
            dialer: Dialer::new(url)?,
            config: config(url),
            sql: Arc::clone(&sql),
            tell,
        });
        let link = Link::new(url.to_string(), move || {
            let server = Arc::clone(&server);
            Box::pin(async move { server.connect().await })
        });
        Ok(Self {
            link,
            sql,
            hints: Mutex::new(Some(hints)),
            seen: Mutex::default(),
        })
    }

    /// Sends a statement and reads its rows.
    async fn ask(
        &self,
        statement: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        self.ask_within(CALL_TIMEOUT, statement, params).await
    }

    async fn ask_within(
        &self,
        limit: Duration,
        statement: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        self.link
            .call(limit, |session| async move {
                let asked = session.client.query_typed(statement, params).await;
                asked.map_err(|error| fault(&error))
            })
            .await
    }
}

/// What a statement says that counts what it has written.
fn has_written(rows: &[Row]) -> Result<bool, StoreError> {
    let written: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
    Ok(written == 1)
}

/// What the server said, without the values that it was sent.
fn failure(error: &tokio_postgres::Error) -> StoreError {
    StoreError(match error.as_db_error() {
        Some(said) => format!("PostgreSQL says {} {}", said.code().code(), said.message()),
        None => error.to_string(),
    })
}

/// What it means for the connection: another one would hear the same, except from a server that is
/// on its way up or down or has become a standby, and where there was no answer
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>, classes 08, 25 and 57).
fn fault(error: &tokio_postgres::Error) -> Fault {
    let code = error.as_db_error().map(|said| said.code().code());
    let elsewhere = ["08", "25", "57"];
    match code {
        Some(code) if !elsewhere.iter().any(|class| code.starts_with(class)) => {
            Fault::Said(failure(error))
        }
        _ => Fault::Line(failure(error)),
    }
}

fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    number: usize,
) -> Result<T, StoreError> {
    row.try_get(number).map_err(|_| other_tables())
}

fn other_tables() -> StoreError {
    let text = "the tables are none of this version's: use another prefix, or the wxsign that made \
                them";
    StoreError(text.to_owned())
}

fn version(bytes: &[u8]) -> Result<Version, StoreError> {
    let bytes = bytes.try_into();
    bytes
        .map(Version::from_bytes)
        .map_err(|_| StoreError("the tables are none of wxsign's: use another prefix".to_owned()))
}

/// The version in the first column; without a row there never was a directory.
fn directory_version(rows: &[Row]) -> Result<Version, StoreError> {
    let first = rows.first();
    first.map_or(Ok(Version::ABSENT), |row| version(column(row, 0)?))
}

/// A transaction's number, which PostgreSQL has as a text.
fn number(text: &str) -> Result<u64, StoreError> {
    let number = text.parse();
    number.map_err(|_| other_tables())
}

impl Backend for Postgres {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let name = key.to_string();
            let rows = self.ask(&self.sql.load, &[(&name, Type::TEXT)]).await?;
            let Some(row) = rows.first() else {
                return Ok(None);
            };
            Ok(Some(Stored {
                version: version(column(row, 0)?)?,
                bytes: column(row, 1)?,
            }))
        })
    }

    fn load_many<'a>(
        &'a self,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, StoreError>> {
        Box::pin(async move {
            let names: Vec<String> = keys.iter().map(Key::to_string).collect();
            let params: [(&(dyn ToSql + Sync), Type); 1] = [(&names, Type::TEXT_ARRAY)];
            let statement = &self.sql.load_many;
            let rows = self.ask_within(BULK_TIMEOUT, statement, &params).await?;
            let mut found = HashMap::new();
            for row in &rows {
                let stored = Stored {
                    version: version(column(row, 0)?)?,
                    bytes: column(row, 1)?,
                };
                found.insert(column::<String>(row, 2)?, stored);
            }
            Ok(names.iter().map(|name| found.remove(name)).collect())
        })
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let (name, hint) = (key.to_string(), Hint::Account(key.appid.clone()));
            let (from, to) = (write.from.to_bytes(), write.to.to_bytes());
            let hint = if write.is_news { hint.as_str() } else { "" };
            let (from, to) = (&from[..], &to[..]);
            let mut params: Vec<(&(dyn ToSql + Sync), Type)> = vec![
                (&name, Type::TEXT),
                (&to, Type::BYTEA),
                (&write.bytes, Type::BYTEA),
                (&hint, Type::TEXT),
            ];
            let statement = if write.from == Version::ABSENT {
                &self.sql.insert
            } else {
                params.push((&from, Type::BYTEA));
                &self.sql.update
            };
            has_written(&self.ask(statement, &params).await?)
        })
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        Box::pin(async move {
            let rows = self.ask(&self.sql.version, &[]).await?;
            if known == Some(directory_version(&rows)?) {
                return Ok(None);
            }
            let statement = &self.sql.directory;
            let rows = self.ask_within(BULK_TIMEOUT, statement, &[]).await?;
            let mut found = Entries::new(directory_version(&rows)?);
            for row in &rows {
                // An empty directory has one row without a name.
                if let Some(name) = column(row, 1)? {
                    found.push(name, column(row, 2)?);
                }
            }
            Ok(Some(found))
        })
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let (from, to) = (from.to_bytes(), to.to_bytes());
            let (from, to) = (&from[..], &to[..]);
            let (names, contents): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
            let params: [(&(dyn ToSql + Sync), Type); 4] = [
                (&from, Type::BYTEA),
                (&to, Type::BYTEA),
                (&names, Type::TEXT_ARRAY),
                (&contents, Type::BYTEA_ARRAY),
            ];
            let statement = &self.sql.swap_directory;
            has_written(&self.ask_within(BULK_TIMEOUT, statement, &params).await?)
        })
    }

    fn is_embedded(&self) -> bool {
        false
    }

    fn changes(&self, position: Option<u64>) -> BoxFuture<'_, Result<News, StoreError>> {
        Box::pin(async move {
            let since = position.unwrap_or(u64::MAX).to_string();
            let asked = self.ask(&self.sql.changes, &[(&since, Type::TEXT)]).await?;
            let row = asked
                .first()
                .ok_or_else(|| StoreError("no answer".to_owned()))?;
            let next = number(column(row, 0)?)?;
            let keys: Option<Vec<&str>> = column(row, 1)?;
            let told: Option<Vec<&str>> = column(row, 2)?;
            let mut news = Vec::new();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, told) in keys.into_iter().flatten().zip(told.into_iter().flatten()) {
                let told = number(told)?;
                if seen.insert(key.to_owned(), told) != Some(told) {
                    news.extend(key.split('/').next().and_then(|appid| appid.parse().ok()));
                }
            }
            seen.retain(|_, told| *told >= next);
            Ok(News {
                position: next,
                accounts: position.is_none_or(|since| since <= next).then_some(news),
            })
        })
    }

    fn append_events(
        &self,
        stream: EventStream,
        events: Vec<StoredEvent>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.append(stream, events))
    }

    fn events(
        &self,
        stream: EventStream,
        range: EventRange,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(self.find(stream, range))
    }

    fn prune_events(
        &self,
        stream: EventStream,
        before: EventId,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.prune(stream, before, most))
    }

    fn hints(&self) -> Option<mpsc::UnboundedReceiver<Hint>> {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        hints.take()
    }
}

/// What is needed to connect.
struct Server {
    endpoints: Vec<Endpoint>,
    dialer: Dialer,
    config: Config,
    sql: Arc<Sql>,
    tell: mpsc::UnboundedSender<Hint>,
}

fn config(url: &ServerUrl) -> Config {
    let mut config = Config::new();
    // Encryption is the dialer's.
    config.ssl_mode(tokio_postgres::config::SslMode::Disable);
    config.application_name("wxsign");
    config.user(url.user.as_deref().unwrap_or("wxsign"));
    if let Some(password) = &url.password {
        config.password(password.expose());
    }
    if let Some(database) = &url.database {
        config.dbname(database);
    }
    config
}

/// A connection, and the task that carries it: what is given up is hung up, whatever the server
/// still has to answer.
struct Session {
    client: Client,
    driver: AbortHandle,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Server {
    /// Connects to the first server that can be written to, and sees to its tables.
    async fn connect(self: Arc<Self>) -> Result<Arc<Session>, StoreError> {
        let session = first_of(&self.endpoints, |endpoint| {
            let server = Arc::clone(&self);
            async move { server.open(&endpoint).await }
        });
        session.await.map(Arc::new)
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Session, StoreError> {
        let said =
            |error: tokio_postgres::Error| StoreError(format!("{endpoint}: {}", failure(&error).0));
        let stream = self.dialer.dial_postgres(endpoint).await?;
        let (client, connection) = self.config.connect_raw(stream, NoTls).await.map_err(said)?;
        let driver = tokio::spawn(drive(connection, self.tell.clone())).abort_handle();
        let session = Session { client, driver };
        let client = &session.client;
        let asked = client.query_typed("SELECT pg_is_in_recovery()", &[]).await;
        let rows = asked.map_err(said)?;
        if rows.first().map_or(Ok(true), |row| column(row, 0))? {
            return Err(StoreError(format!(
                "{endpoint} is a standby, which cannot be written to"
            )));
        }
        let laid_out = client.batch_execute(&self.sql.lay_out).await;
        laid_out.map_err(said)?;
        tracing::info!(%endpoint, "connected to the store");
        Ok(session)
    }
}

/// Carries what is sent and answered until the client is gone, and tells of notifications.
async fn drive(
    mut connection: tokio_postgres::Connection<Box<dyn Stream>, tokio_postgres::tls::NoTlsStream>,
    tell: mpsc::UnboundedSender<Hint>,
) {
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(told) = message
            && let Some(hint) = Hint::parse(told.payload())
        {
            // Nobody listens: then nobody wants to know.
            let _ = tell.send(hint);
        }
    }
}
