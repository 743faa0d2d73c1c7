//! What happened, in PostgreSQL: a table for each stream.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use super::{Postgres, column, fault};
use crate::store::link::{BULK_TIMEOUT, Fault};
use crate::store::{EventId, EventRange, EventStream, PRUNED_AT_ONCE, StoreError, StoredEvent};

/// The statements about one stream.
pub(super) struct EventSql {
    /// Its table.
    pub(super) table: String,
    /// $1 ids, $2 accounts, $3 events
    append: String,
    /// $1 after, $2 before, $3 how many
    find: String,
    /// The same, and $4 the account
    find_of_account: String,
    /// $1 before, $2 how many stay at most
    prune: String,
}

impl EventSql {
    pub(super) fn new(prefix: &str, stream: EventStream) -> Self {
        let name = match stream {
            EventStream::Course => "event",
            EventStream::Audit => "audit",
        };
        let table = format!("{prefix}_{name}");
        Self {
            append: format!(
                "INSERT INTO {table} (id, appid, event)
                 SELECT * FROM unnest($1, $2, $3) ON CONFLICT DO NOTHING"
            ),
            find: format!(
                "SELECT id, appid, event FROM {table} WHERE id > $1 AND id < $2
                 ORDER BY id DESC LIMIT $3"
            ),
            find_of_account: format!(
                "SELECT id, appid, event FROM {table} WHERE id > $1 AND id < $2 AND appid = $4
                 ORDER BY id DESC LIMIT $3"
            ),
            prune: format!(
                "WITH gone AS (
                   DELETE FROM {table} WHERE id IN (
                     SELECT id FROM {table}
                     WHERE id < greatest($1,
                       (SELECT id FROM {table} ORDER BY id DESC OFFSET $2 - 1 LIMIT 1))
                     ORDER BY id LIMIT {PRUNED_AT_ONCE})
                   RETURNING 1)
                 SELECT count(*) FROM gone"
            ),
            table,
        }
    }

    /// Makes the table if it is not there; who may not goes without.
    pub(super) fn lay_out(&self, lock: i64) -> String {
        let table = &self.table;
        format!(
            "DO $$ BEGIN
               IF to_regclass('{table}') IS NULL THEN
                 PERFORM pg_advisory_xact_lock({lock});
                 CREATE TABLE IF NOT EXISTS {table} (
                   id bytea PRIMARY KEY, appid text, event bytea NOT NULL);
                 CREATE INDEX IF NOT EXISTS {table}_of_account ON {table} (appid, id);
               END IF;
             EXCEPTION WHEN insufficient_privilege THEN
               RAISE WARNING 'there is no table {table}, and no right to make it';
             END $$;"
        )
    }

    fn fault(&self, error: &Error) -> Fault {
        if error.code() != Some(&SqlState::UNDEFINED_TABLE) {
            return fault(error);
        }
        Fault::Said(StoreError(format!(
            "PostgreSQL has no table {}, and the user of the store's URL had no right to make it: \
             GRANT CREATE ON SCHEMA public TO that user (or whichever schema it uses), and restart \
             the server",
            self.table
        )))
    }
}

impl Postgres {
    async fn ask_of(
        &self,
        sql: &EventSql,
        statement: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        self.link
            .call(BULK_TIMEOUT, |session| async move {
                let asked = session.client.query_typed(statement, params).await;
                asked.map_err(|error| sql.fault(&error))
            })
            .await
    }

    pub(super) async fn append(
        &self,
        stream: EventStream,
        events: Vec<StoredEvent>,
    ) -> Result<(), StoreError> {
        let ids: Vec<_> = events.iter().map(|event| event.id.to_bytes()).collect();
        let ids: Vec<&[u8]> = ids.iter().map(|id| &id[..]).collect();
        let appid = |event: &StoredEvent| event.appid.as_ref().map(ToString::to_string);
        let appids: Vec<Option<String>> = events.iter().map(appid).collect();
        let contents: Vec<_> = events.iter().map(|event| &event.bytes[..]).collect();
        let params: [(&(dyn ToSql + Sync), Type); 3] = [
            (&ids, Type::BYTEA_ARRAY),
            (&appids, Type::TEXT_ARRAY),
            (&contents, Type::BYTEA_ARRAY),
        ];
        let sql = self.sql.of(stream);
        self.ask_of(sql, &sql.append, &params).await?;
        Ok(())
    }

    pub(super) async fn find(
        &self,
        stream: EventStream,
        range: EventRange,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let (after, before) = range.bounds();
        let (after, before) = (after.to_bytes(), before.to_bytes());
        let (after, before) = (&after[..], &before[..]);
        let (limit, appid) = (i64::from(range.limit), range.appid.map(|of| of.to_string()));
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&after, Type::BYTEA),
            (&before, Type::BYTEA),
            (&limit, Type::INT8),
        ];
        let sql = self.sql.of(stream);
        let statement = if appid.is_some() {
            params.push((&appid, Type::TEXT));
            &sql.find_of_account
        } else {
            &sql.find
        };
        let rows = self.ask_of(sql, statement, &params).await?;
        rows.iter().map(read).collect()
    }

    pub(super) async fn prune(
        &self,
        stream: EventStream,
        before: EventId,
        most: u32,
    ) -> Result<u32, StoreError> {
        let (before, most) = (before.to_bytes(), i64::from(most.max(1)));
        let before = &before[..];
        let params: [(&(dyn ToSql + Sync), Type); 2] =
            [(&before, Type::BYTEA), (&most, Type::INT8)];
        let sql = self.sql.of(stream);
        let rows = self.ask_of(sql, &sql.prune, &params).await?;
        let pruned: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
        Ok(u32::try_from(pruned).unwrap_or(PRUNED_AT_ONCE))
    }
}

fn read(row: &Row) -> Result<StoredEvent, StoreError> {
    let id: &[u8] = column(row, 0)?;
    let id = id.try_into().map(EventId::from_bytes);
    let appid: Option<&str> = column(row, 1)?;
    Ok(StoredEvent {
        id: id.map_err(|_| {
            StoreError("the tables are none of wxsign's: use another prefix".to_owned())
        })?,
        appid: appid.and_then(|appid| appid.parse().ok()),
        bytes: column(row, 2)?,
    })
}
