//! What PostgreSQL is asked. Each is one statement, and so one transaction.

use super::Hint;
use super::events::EventSql;
use crate::store::{EventStream, Version};

/// Two that lay out at once would trip over each other: whoever does holds this lock.
const LAYING_OUT: i64 = 0x7778_7369_676e;

/// The statements, with the names of the tables in them.
pub(super) struct Sql {
    /// Makes the tables if they are not there, and asks for hints.
    pub(super) lay_out: String,
    /// $1 key
    pub(super) load: String,
    /// $1 keys
    pub(super) load_many: String,
    /// $1 key, $2 version, $3 record, $4 whom it is news for or nothing
    pub(super) insert: String,
    /// The same, and $5 the version that it takes the place of
    pub(super) update: String,
    pub(super) version: String,
    pub(super) directory: String,
    /// $1 from, $2 to, $3 names, $4 contents, or nothing where the name is to go
    pub(super) swap_directory: String,
    /// $1 the first transaction that may not have been seen
    pub(super) changes: String,
    /// By stream, as [`EventStream::ALL`] has them.
    events: [EventSql; 2],
}

impl Sql {
    /// The statements about a stream.
    pub(super) const fn of(&self, stream: EventStream) -> &EventSql {
        let [course, audit] = &self.events;
        match stream {
            EventStream::Course => course,
            EventStream::Audit => audit,
        }
    }

    pub(super) fn new(prefix: &str) -> Self {
        let [record, entry, directory, hints] =
            ["record", "entry", "directory", "hints"].map(|name| format!("{prefix}_{name}"));
        let events = EventStream::ALL.map(|stream| EventSql::new(prefix, stream));
        let [lay_out_course, lay_out_audit] = events.each_ref().map(|sql| sql.lay_out(LAYING_OUT));
        let absent = format!("'\\x{}'::bytea", Version::ABSENT);
        let all = Hint::Directory;
        let all = all.as_str();
        let told = "CASE WHEN $4 <> '' THEN pg_current_xact_id()";
        // What nobody selects from would not be carried out.
        let tell_and_count = |hint: &str| {
            format!(
                "told AS (SELECT pg_notify('{hints}', {hint}) FROM swapped WHERE {hint} <> '')
                 SELECT (SELECT count(*) FROM swapped), (SELECT count(*) FROM told)"
            )
        };
        let (tell_one, tell_all) = (tell_and_count("$4"), tell_and_count(&format!("'{all}'")));
        Self {
            // A statement that waits for a lock is not to be carried out long after it was given up.
            lay_out: format!(
                "SET lock_timeout = '400ms';
                 SET statement_timeout = '5s';
                 DO $$ BEGIN
                   IF to_regclass('{directory}') IS NULL THEN
                     PERFORM pg_advisory_xact_lock({LAYING_OUT});
                     CREATE TABLE IF NOT EXISTS {record} (
                       key text PRIMARY KEY, version bytea NOT NULL, record bytea NOT NULL,
                       told xid8);
                     CREATE INDEX IF NOT EXISTS {record}_told ON {record} (told);
                     CREATE TABLE IF NOT EXISTS {entry} (
                       name text PRIMARY KEY, content bytea NOT NULL);
                     CREATE TABLE IF NOT EXISTS {directory} (
                       one boolean PRIMARY KEY DEFAULT true CHECK (one), version bytea NOT NULL);
                   END IF;
                 END $$;
                 {lay_out_course}
                 {lay_out_audit}
                 LISTEN {hints}"
            ),
            load: format!("SELECT version, record FROM {record} WHERE key = $1"),
            load_many: format!("SELECT version, record, key FROM {record} WHERE key = ANY($1)"),
            insert: format!(
                "WITH swapped AS (
                   INSERT INTO {record} (key, version, record, told)
                   VALUES ($1, $2, $3, {told} END)
                   ON CONFLICT DO NOTHING RETURNING 1),
                 {tell_one}"
            ),
            update: format!(
                "WITH swapped AS (
                   UPDATE {record} SET version = $2, record = $3, told = {told} ELSE told END
                   WHERE key = $1 AND version = $5 RETURNING 1),
                 {tell_one}"
            ),
            version: format!("SELECT version FROM {directory}"),
            directory: format!(
                "SELECT version, name, content FROM {directory} LEFT JOIN {entry} ON true"
            ),
            // Without a row there is nothing to update, and only from nothing may one be put there.
            swap_directory: format!(
                "WITH swapped AS (
                   INSERT INTO {directory} AS was (version)
                   SELECT $2 WHERE $1 = {absent} OR EXISTS (SELECT 1 FROM {directory})
                   ON CONFLICT (one) DO UPDATE SET version = $2 WHERE was.version = $1
                   RETURNING 1),
                 change AS (
                   SELECT * FROM unnest($3, $4) AS change (name, content)
                   WHERE EXISTS (SELECT 1 FROM swapped)),
                 gone AS (
                   DELETE FROM {entry}
                   WHERE name IN (SELECT name FROM change WHERE content IS NULL)),
                 put AS (
                   INSERT INTO {entry} (name, content)
                   SELECT name, content FROM change WHERE content IS NOT NULL
                   ON CONFLICT (name) DO UPDATE SET content = excluded.content),
                 {tell_all}"
            ),
            changes: format!(
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text,
                   array_agg(key), array_agg(told::text)
                 FROM {record} WHERE told >= $1::text::xid8"
            ),
            events,
        }
    }
}
