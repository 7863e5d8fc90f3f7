//! Rows of sessions.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value as Json};
use ulid::Ulid;

use super::error::{Doing, corrupt};
use super::time::{from_millis, length};
use crate::record::{Lifetime, NewSession, Quotas, Revision, SessionKey, SessionRecord};
use crate::store::{SessionChange, SessionQuery, StoreError, Totals, merge_patch};

const COLUMNS: &str = "key, id, lifetime, temporary, metadata, settings, max_variables, max_bytes, created_at, expires_at, \
                       revision, variables, bytes";

/// Makes a session.
pub(super) fn create(
    connection: &Connection,
    session: &NewSession,
    limit: Option<u64>,
    now: i64,
) -> Result<SessionRecord, StoreError> {
    // One whose time is over holds no id any more.
    run(connection, "DELETE FROM session WHERE id = ?1 AND expires_at <= ?2", params![session.id, now])?;
    if by_id(connection, &session.id, now)?.is_some() {
        return Err(StoreError::SessionExists(session.id.clone()));
    }
    if let Some(limit) = limit {
        let wanted = count(connection, now)? + 1;
        if wanted > limit {
            return Err(StoreError::Quota { what: "sessions", limit, wanted });
        }
    }
    run(
        connection,
        "INSERT INTO session (key, id, lifetime, temporary, metadata, settings, max_variables, max_bytes, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            bytes(session.key),
            session.id,
            text(&session.lifetime)?,
            session.temporary,
            text(&session.metadata)?,
            text(&session.settings)?,
            session.quotas.variables.map(signed),
            session.quotas.bytes.map(signed),
            now,
            end(session.lifetime, now),
        ],
    )?;
    // Even one whose time is over at once was made.
    by_key(connection, session.key, i64::MIN)
}

/// The session that has an id.
pub(super) fn by_id(
    connection: &Connection,
    id: &str,
    now: i64,
) -> Result<Option<SessionRecord>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM session WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2)");
    let mut statement = connection.prepare_cached(&sql).doing("read a session")?;
    let row =
        statement.query_row(params![id, now], |row| Ok(record(row))).optional().doing("read a session")?;
    row.transpose()
}

/// The session of a key.
pub(super) fn by_key(
    connection: &Connection,
    key: SessionKey,
    now: i64,
) -> Result<SessionRecord, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM session WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)");
    let mut statement = connection.prepare_cached(&sql).doing("read a session")?;
    let row = statement
        .query_row(params![bytes(key), now], |row| Ok(record(row)))
        .optional()
        .doing("read a session")?;
    row.unwrap_or_else(|| Err(absent(key)))
}

/// Whether a session is there, for what is only about things in it.
pub(super) fn ensure(connection: &Connection, key: SessionKey, now: i64) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM session WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)";
    let mut statement = connection.prepare_cached(sql).doing("read a session")?;
    if statement.exists(params![bytes(key), now]).doing("read a session")? {
        Ok(())
    } else {
        Err(absent(key))
    }
}

/// Sessions in the order of their ids.
pub(super) fn list(
    connection: &Connection,
    query: &SessionQuery,
    now: i64,
) -> Result<Vec<SessionRecord>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM session WHERE id > ?1 AND id >= ?2 AND (expires_at IS NULL OR expires_at > ?3) \
         AND (?4 OR NOT temporary) ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&sql).doing("list sessions")?;
    let after = query.after.as_deref().unwrap_or("");
    let mut rows =
        statement.query(params![after, query.prefix, now, query.temporary]).doing("list sessions")?;
    let mut found = Vec::new();
    while found.len() < query.limit as usize
        && let Some(row) = rows.next().doing("list sessions")?
    {
        let record = record(row)?;
        if !record.session.id.starts_with(&query.prefix) {
            // Ids are sorted, so no later one has the prefix either.
            break;
        }
        let metadata = &record.session.metadata;
        if query.metadata.iter().all(|(name, value)| metadata.get(name) == Some(value)) {
            found.push(record);
        }
    }
    Ok(found)
}

/// Changes what a session is.
pub(super) fn update(
    connection: &Connection,
    key: SessionKey,
    change: SessionChange,
    now: i64,
) -> Result<SessionRecord, StoreError> {
    let mut record = by_key(connection, key, now)?;
    let session = &mut record.session;
    if let Some(metadata) = change.replace_metadata {
        session.metadata = metadata;
    }
    if let Some(patch) = change.merge_metadata {
        merge_patch(&mut session.metadata, patch);
    }
    if let Some(patch) = change.merge_settings {
        merge_patch(&mut session.settings, patch);
    }
    session.quotas = change.quotas.unwrap_or(session.quotas);
    let mut expires_at = record.expires_at.map(super::time::to_millis);
    if let Some(lifetime) = change.lifetime {
        session.lifetime = lifetime;
        expires_at = end(lifetime, now);
    }
    if let Some(more) = change.extend {
        expires_at = expires_at.map(|end| end.saturating_add(length(more)));
    }
    record.expires_at = expires_at.map(from_millis);
    let session = &record.session;
    run(
        connection,
        "UPDATE session SET lifetime = ?2, metadata = ?3, settings = ?4, max_variables = ?5, max_bytes = ?6, expires_at = ?7
         WHERE key = ?1",
        params![
            bytes(key),
            text(&session.lifetime)?,
            text(&session.metadata)?,
            text(&session.settings)?,
            session.quotas.variables.map(signed),
            session.quotas.bytes.map(signed),
            expires_at,
        ],
    )?;
    Ok(record)
}

/// Renews a session with a sliding lifetime.
pub(super) fn touch(connection: &Connection, key: SessionKey, now: i64) -> Result<(), StoreError> {
    let lifetime = by_key(connection, key, now)?.session.lifetime;
    if let (Lifetime::Sliding(_), Some(end)) = (lifetime, end(lifetime, now)) {
        // A session that was extended ends no earlier by being used.
        run(
            connection,
            "UPDATE session SET expires_at = max(expires_at, ?2) WHERE key = ?1",
            params![bytes(key), end],
        )?;
    }
    Ok(())
}

/// Removes a session, with everything in it.
pub(super) fn delete(connection: &Connection, key: SessionKey, now: i64) -> Result<bool, StoreError> {
    let lived = ensure(connection, key, now).is_ok();
    run(connection, "DELETE FROM session WHERE key = ?1", params![bytes(key)])?;
    Ok(lived)
}

/// Removes sessions whose time is over.
pub(super) fn expire(
    connection: &Connection,
    limit: u32,
    now: i64,
) -> Result<Vec<(SessionKey, String)>, StoreError> {
    let sql = "DELETE FROM session WHERE key IN (SELECT key FROM session WHERE expires_at <= ?1 LIMIT ?2) RETURNING key, id";
    let mut statement = connection.prepare_cached(sql).doing("remove sessions")?;
    let rows = statement
        .query_map(params![now, limit], |row| Ok((row.get(0)?, row.get(1)?)))
        .doing("remove sessions")?;
    rows.map(|row| row.doing("remove sessions").map(|(key, id)| (self::key(key), id))).collect()
}

/// How many sessions there are.
fn count(connection: &Connection, now: i64) -> Result<u64, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM session) - (SELECT count(*) FROM session WHERE expires_at <= ?1)";
    let mut statement = connection.prepare_cached(sql).doing("count sessions")?;
    statement.query_row([now], |row| row.get::<_, i64>(0)).doing("count sessions").map(unsigned)
}

/// How much there is of everything.
pub(super) fn totals(connection: &Connection, now: i64) -> Result<Totals, StoreError> {
    let sql = "SELECT count(*), total(temporary), total(variables), total(bytes),
                   (SELECT count(*) FROM instance WHERE session IN
                       (SELECT key FROM session WHERE expires_at IS NULL OR expires_at > ?1))
               FROM session WHERE expires_at IS NULL OR expires_at > ?1";
    let read = |row: &Row<'_>| {
        Ok(Totals {
            sessions: unsigned(row.get(0)?),
            temporary: row.get::<_, f64>(1)? as u64,
            variables: row.get::<_, f64>(2)? as u64,
            bytes: row.get::<_, f64>(3)? as u64,
            instances: unsigned(row.get(4)?),
        })
    };
    connection.query_row(sql, [now], read).doing("count what there is")
}

fn record(row: &Row<'_>) -> Result<SessionRecord, StoreError> {
    let read = || {
        let texts: (String, String, String) = (row.get(2)?, row.get(4)?, row.get(5)?);
        let numbers: [i64; 4] = [row.get(8)?, row.get(10)?, row.get(11)?, row.get(12)?];
        let quotas: (Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?);
        rusqlite::Result::Ok((row.get(0)?, row.get(1)?, row.get(3)?, row.get(9)?, texts, numbers, quotas))
    };
    let (key, id, temporary, expires_at, texts, [created_at, revision, variables, bytes], quotas) =
        read().doing("read a session")?;
    let expires_at: Option<i64> = expires_at;
    Ok(SessionRecord {
        session: NewSession {
            key: self::key(key),
            id,
            lifetime: lifetime(&texts.0)?,
            temporary,
            metadata: parse(&texts.1)?,
            settings: parse(&texts.2)?,
            quotas: Quotas { variables: quotas.0.map(unsigned), bytes: quotas.1.map(unsigned) },
        },
        created_at: from_millis(created_at),
        expires_at: expires_at.map(from_millis),
        revision: Revision(unsigned(revision)),
        variables: unsigned(variables),
        bytes: unsigned(bytes),
    })
}

fn end(lifetime: Lifetime, now: i64) -> Option<i64> {
    lifetime.from_now().map(|left| now.saturating_add(length(left)))
}

fn lifetime(text: &str) -> Result<Lifetime, StoreError> {
    serde_json::from_str(text).map_err(corrupt)
}

fn parse(text: &str) -> Result<Map<String, Json>, StoreError> {
    serde_json::from_str(text).map_err(corrupt)
}

fn text(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(corrupt)
}

/// Runs a statement.
pub(super) fn run(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<usize, StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).doing("write")
}

/// A session's key as the file has it.
pub(super) fn bytes(key: SessionKey) -> [u8; 16] {
    key.0.to_bytes()
}

fn key(bytes: [u8; 16]) -> SessionKey {
    SessionKey(Ulid::from_bytes(bytes))
}

/// That a session is not there.
pub(super) fn absent(key: SessionKey) -> StoreError {
    StoreError::SessionNotFound(key.to_string())
}

/// A count as SQLite has it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as SQLite gives it; none is less than 0.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
