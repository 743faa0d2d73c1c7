//! What happened, in an SQLite file.

use rusqlite::{Connection, Row, params};

use crate::store::{EventId, EventRange, EventStream, PRUNED_AT_ONCE, StoredEvent};

/// The table of a stream.
const fn table(stream: EventStream) -> &'static str {
    match stream {
        EventStream::Course => "event",
        EventStream::Audit => "audit",
    }
}

pub(super) fn append(
    connection: &mut Connection,
    stream: EventStream,
    events: &[StoredEvent],
) -> rusqlite::Result<()> {
    let table = table(stream);
    let add = format!(
        "INSERT INTO {table} (id, appid, event) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
    );
    let change = connection.transaction()?;
    for event in events {
        change.prepare_cached(&add)?.execute(params![
            event.id.to_bytes(),
            event.appid.as_ref().map(|appid| appid.as_str()),
            event.bytes
        ])?;
    }
    change.commit()
}

pub(super) fn find(
    connection: &Connection,
    stream: EventStream,
    range: &EventRange,
) -> rusqlite::Result<Vec<StoredEvent>> {
    let (table, (after, before)) = (table(stream), range.bounds());
    let (after, before) = (after.to_bytes(), before.to_bytes());
    match &range.appid {
        Some(appid) => connection
            .prepare_cached(&format!(
                "SELECT id, appid, event FROM {table}
                 WHERE id > ?1 AND id < ?2 AND appid = ?3 ORDER BY id DESC LIMIT ?4"
            ))?
            .query_map(params![after, before, appid.as_str(), range.limit], read)?
            .collect(),
        None => connection
            .prepare_cached(&format!(
                "SELECT id, appid, event FROM {table}
                 WHERE id > ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
            ))?
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

pub(super) fn prune(
    connection: &Connection,
    stream: EventStream,
    before: EventId,
    most: u32,
) -> rusqlite::Result<u32> {
    let table = table(stream);
    let pruned = connection
        .prepare_cached(&format!(
            "DELETE FROM {table} WHERE id IN (
               SELECT id FROM {table}
               WHERE id < max(?1, coalesce(
                 (SELECT id FROM {table} ORDER BY id DESC LIMIT 1 OFFSET ?2), ?1))
               ORDER BY id LIMIT ?3)"
        ))?
        .execute(params![
            before.to_bytes(),
            most.saturating_sub(1),
            PRUNED_AT_ONCE
        ])?;
    Ok(u32::try_from(pruned).unwrap_or(PRUNED_AT_ONCE))
}
