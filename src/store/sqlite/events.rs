//! What happened, in an SQLite file.

use rusqlite::{Connection, Row, params};

use crate::store::{EventId, EventRange, StoredEvent};

/// No more are taken away at one time, for whoever writes meanwhile waits.
const PRUNED_AT_ONCE: u32 = 10_000;

pub(super) fn append(connection: &mut Connection, events: &[StoredEvent]) -> rusqlite::Result<()> {
    let change = connection.transaction()?;
    for event in events {
        change
            .prepare_cached(
                "INSERT INTO event (id, appid, event) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                event.id.to_bytes(),
                event.appid.as_ref().map(|appid| appid.as_str()),
                event.bytes
            ])?;
    }
    change.commit()
}

pub(super) fn find(
    connection: &Connection,
    range: &EventRange,
) -> rusqlite::Result<Vec<StoredEvent>> {
    let (after, before) = range.bounds();
    let (after, before) = (after.to_bytes(), before.to_bytes());
    match &range.appid {
        Some(appid) => connection
            .prepare_cached(
                "SELECT id, appid, event FROM event
                 WHERE id > ?1 AND id < ?2 AND appid = ?3 ORDER BY id DESC LIMIT ?4",
            )?
            .query_map(params![after, before, appid.as_str(), range.limit], read)?
            .collect(),
        None => connection
            .prepare_cached(
                "SELECT id, appid, event FROM event
                 WHERE id > ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
            )?
            .query_map(params![after, before, range.limit], read)?
            .collect(),
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    let appid: Option<String> = row.get(1)?;
    Ok(StoredEvent {
        id: EventId::from_bytes(row.get(0)?),
        appid: appid.and_then(|appid| appid.parse().ok()),
        bytes: row.get(2)?,
    })
}

pub(super) fn prune(connection: &Connection, before: EventId, most: u32) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM event WHERE id IN (
               SELECT id FROM event
               WHERE id < max(?1, coalesce(
                 (SELECT id FROM event ORDER BY id DESC LIMIT 1 OFFSET ?2), ?1))
               ORDER BY id LIMIT ?3)",
        )?
        .execute(params![
            before.to_bytes(),
            most.saturating_sub(1),
            PRUNED_AT_ONCE
        ])?;
    Ok(())
}
