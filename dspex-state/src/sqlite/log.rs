//! The log of writes: histories, changes since a revision, and what is kept of it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::{Doing, corrupt};
use super::large::{GONE, Large, Place};
use super::sessions::{absent, bytes, ensure, run, signed, unsigned};
use super::time::{from_millis, length};
use super::variables;
use crate::record::{Change, ChangeKind, Revision, SessionKey};
use crate::store::{Retention, StoreError};
use crate::value::Value;

/// What a batch of writes has to know of its session.
pub(super) struct State {
    pub(super) revision: Revision,
    pub(super) floor: Revision,
    pub(super) variables: u64,
    pub(super) bytes: u64,
    pub(super) log_bytes: u64,
    pub(super) log_changes: u64,
    pub(super) max_variables: Option<u64>,
    pub(super) max_bytes: Option<u64>,
}

pub(super) fn state(connection: &Connection, key: SessionKey, now: i64) -> Result<State, StoreError> {
    let sql = "SELECT revision, floor, variables, bytes, log_bytes, log_changes, max_variables, max_bytes
               FROM session WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)";
    let mut statement = connection.prepare_cached(sql).doing("read a session")?;
    let state = statement.query_row(params![bytes(key), now], |row| {
        Ok(State {
            revision: Revision(unsigned(row.get(0)?)),
            floor: Revision(unsigned(row.get(1)?)),
            variables: unsigned(row.get(2)?),
            bytes: unsigned(row.get(3)?),
            log_bytes: unsigned(row.get(4)?),
            log_changes: unsigned(row.get(5)?),
            max_variables: row.get::<_, Option<i64>>(6)?.map(unsigned),
            max_bytes: row.get::<_, Option<i64>>(7)?.map(unsigned),
        })
    });
    state.optional().doing("read a session")?.ok_or_else(|| absent(key))
}

/// How a kind of change is written down.
pub(super) fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Created => "created",
        ChangeKind::Updated => "updated",
        ChangeKind::Deleted => "deleted",
    }
}

const COLUMNS: &str = "c.revision, c.place, c.name, c.kind, c.at, c.author, c.type, c.data IS NULL, c.form, c.data, \
     c.earlier_revision, c.earlier_place";

/// The writes to a variable that are kept, the latest first.
pub(super) fn history(
    connection: &Connection,
    key: SessionKey,
    name: &str,
    limit: u32,
    (now, large): (i64, &Large),
) -> Result<Vec<Change>, StoreError> {
    let transaction = connection.unchecked_transaction().doing("read a history")?;
    ensure(&transaction, key, now)?;
    let latest = "SELECT version, place FROM variable WHERE session = ?1 AND name = ?2";
    let mut next: Option<(i64, u32)> = transaction
        .query_row(latest, params![bytes(key), name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .doing("read a history")?;
    let sql =
        format!("SELECT {COLUMNS} FROM change c WHERE c.session = ?1 AND c.revision = ?2 AND c.place = ?3");
    let mut statement = transaction.prepare_cached(&sql).doing("read a history")?;
    let mut found = Vec::new();
    while let Some((revision, place)) = next.take().filter(|_| found.len() < limit as usize) {
        let row = statement.query_row(params![bytes(key), revision, place], |row| {
            let earlier: (Option<i64>, Option<u32>) = (row.get(10)?, row.get(11)?);
            Ok((change(row, key, large), earlier))
        });
        // The rest is not kept any more.
        let Some((change, earlier)) = row.optional().doing("read a history")? else { break };
        found.push(change?);
        next = earlier.0.zip(earlier.1);
    }
    Ok(found)
}

/// Whole batches after a revision, and the session's revision.
pub(super) fn changes(
    connection: &Connection,
    key: SessionKey,
    after: Revision,
    limit: u32,
    (now, large): (i64, &Large),
) -> Result<(Vec<Change>, Revision), StoreError> {
    let transaction = connection.unchecked_transaction().doing("read changes")?;
    let state = state(&transaction, key, now)?;
    if after < state.floor {
        return Err(StoreError::Compacted { after, oldest: state.floor });
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM change c WHERE c.session = ?1 AND c.revision > ?2 ORDER BY c.revision, c.place"
    );
    let mut statement = transaction.prepare_cached(&sql).doing("read changes")?;
    let mut rows = statement.query(params![bytes(key), signed(after.0)]).doing("read changes")?;
    let mut found: Vec<Change> = Vec::new();
    while let Some(row) = rows.next().doing("read changes")? {
        let revision = Revision(unsigned(row.get(0).doing("read changes")?));
        let is_next = found.last().is_some_and(|last| last.revision != revision);
        if is_next && found.len() >= limit as usize {
            break;
        }
        found.push(change(row, key, large)?);
    }
    Ok((found, state.revision))
}

fn change(row: &Row<'_>, key: SessionKey, large: &Large) -> Result<Change, StoreError> {
    let read = || {
        let revision: i64 = row.get(0)?;
        let kind: String = row.get(3)?;
        let at: i64 = row.get(4)?;
        let has_type = row.get::<_, Option<String>>(6)?.is_some();
        rusqlite::Result::Ok((
            revision,
            row.get(1)?,
            row.get(2)?,
            kind,
            at,
            row.get(5)?,
            has_type,
            row.get(7)?,
        ))
    };
    let (revision, place, name, kind, at, author, has_value, in_memory) = read().doing("read a change")?;
    let revision = Revision(unsigned(revision));
    let kind = match kind.as_str() {
        "created" => ChangeKind::Created,
        "updated" => ChangeKind::Updated,
        "deleted" => ChangeKind::Deleted,
        other => return Err(corrupt(format!("there is no change {other:?}"))),
    };
    let value = match (has_value, in_memory) {
        (false, _) => None,
        (true, true) => Some(large.get(key, (revision, place)).ok_or_else(|| corrupt(GONE))?),
        (true, false) => Some(held(row)?),
    };
    Ok(Change { revision, place, name, kind, value, at: from_millis(at), author })
}

fn held(row: &Row<'_>) -> Result<Value, StoreError> {
    let kind: String = row.get(6).doing("read a change")?;
    variables::decode(&kind, row.get(8).doing("read a change")?, row.get(9).doing("read a change")?)
}

/// Whether so much was logged since the last look that it is worth another one.
pub(super) fn is_full((logged, changes): (u64, u64), retention: &Retention) -> bool {
    // Looking at a quarter of what is kept makes each look a constant cost per change.
    logged > retention.bytes / 4 || changes > (retention.revisions / 4).clamp(1, 1 << 20)
}

/// Removes what is kept no more; where it was.
pub(super) fn prune(
    connection: &Connection,
    key: SessionKey,
    now: i64,
    retention: &Retention,
) -> Result<Vec<Place>, StoreError> {
    let state = state(connection, key, now)?;
    let floor = floor(connection, key, &state, now, retention)?;
    let removed = unneeded(connection, key, floor, retention)?;
    for (revision, place) in &removed {
        let sql = "DELETE FROM change WHERE session = ?1 AND revision = ?2 AND place = ?3";
        run(connection, sql, params![bytes(key), signed(revision.0), place])?;
    }
    run(
        connection,
        "UPDATE session SET floor = ?2, log_bytes = 0, log_changes = 0 WHERE key = ?1",
        params![bytes(key), signed(floor.0)],
    )?;
    Ok(removed)
}

/// Changes up to a revision that no variable needs for its value or its history. One look at the log, the latest first, and one
/// at each variable in it.
fn unneeded(
    connection: &Connection,
    key: SessionKey,
    floor: Revision,
    retention: &Retention,
) -> Result<Vec<Place>, StoreError> {
    let sql = "SELECT revision, place, name, kind = 'deleted', bytes FROM change WHERE session = ?1
               ORDER BY revision DESC, place DESC";
    let mut statement = connection.prepare_cached(sql).doing("trim the log")?;
    let alive = "SELECT 1 FROM variable WHERE session = ?1 AND name = ?2";
    let mut alive = connection.prepare_cached(alive).doing("trim the log")?;
    // Of each variable that lives, how many changes are later, and how many bytes they hold.
    let mut later: HashMap<String, Option<(u32, u64)>> = HashMap::new();
    let mut unneeded = Vec::new();
    let mut rows = statement.query([bytes(key)]).doing("trim the log")?;
    while let Some(row) = rows.next().doing("trim the log")? {
        let read = || rusqlite::Result::Ok((row.get(0)?, row.get(1)?, row.get::<_, bool>(3)?, row.get(4)?));
        let (revision, place, is_deleted, size) = read().doing("trim the log")?;
        let revision = Revision(unsigned(revision));
        let name = row.get_ref(2).and_then(|name| Ok(name.as_str()?)).doing("trim the log")?;
        if !later.contains_key(name) {
            let lives = alive.exists(params![bytes(key), name]).doing("trim the log")?;
            later.insert(name.to_owned(), lives.then_some((0, 0)));
        }
        let needed = match later.get_mut(name) {
            Some(Some((nth, held))) if !is_deleted => {
                *nth = nth.saturating_add(1);
                *held = held.saturating_add(unsigned(size));
                *nth == 1 || (*nth <= retention.history && *held <= retention.bytes)
            }
            _ => false,
        };
        if revision <= floor && !needed {
            unneeded.push((revision, place));
        }
    }
    Ok(unneeded)
}

/// The revision up to which changes may go: too many came after it, it is too old, or those after it take too much.
fn floor(
    connection: &Connection,
    key: SessionKey,
    state: &State,
    now: i64,
    retention: &Retention,
) -> Result<Revision, StoreError> {
    let by_count = state.revision.0.saturating_sub(retention.revisions);
    let oldest = now.saturating_sub(length(retention.age));
    let sql = "SELECT max(
                   coalesce((SELECT max(revision) FROM change WHERE session = ?1 AND at < ?2), 0),
                   coalesce((SELECT max(revision) FROM (
                       SELECT revision, sum(bytes) OVER (ORDER BY revision DESC, place DESC) AS held
                       FROM change WHERE session = ?1 AND revision > ?4
                   ) WHERE held > ?3), 0))";
    let mut statement = connection.prepare_cached(sql).doing("trim the log")?;
    let by_rest: i64 = statement
        .query_row(params![bytes(key), oldest, signed(retention.bytes), signed(by_count)], |row| row.get(0))
        .doing("trim the log")?;
    Ok(state.floor.max(Revision(by_count.max(unsigned(by_rest)))))
}
