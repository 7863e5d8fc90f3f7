//! Rows of instances.

use rusqlite::{Connection, params};

use super::error::{Doing, corrupt};
use super::sessions::{bytes, ensure, run};
use crate::record::{InstanceRecord, SessionKey};
use crate::store::StoreError;

pub(super) fn put(
    connection: &Connection,
    key: SessionKey,
    instance: &InstanceRecord,
    now: i64,
) -> Result<(), StoreError> {
    ensure(connection, key, now)?;
    run(
        connection,
        "INSERT OR REPLACE INTO instance (session, id, class, fingerprint, spec, bindings) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            bytes(key),
            instance.id,
            instance.class,
            instance.fingerprint,
            instance.spec,
            instance.bindings.to_string()
        ],
    )?;
    Ok(())
}

pub(super) fn list(
    connection: &Connection,
    key: SessionKey,
    now: i64,
) -> Result<Vec<InstanceRecord>, StoreError> {
    ensure(connection, key, now)?;
    let sql = "SELECT id, class, fingerprint, spec, bindings FROM instance WHERE session = ?1 ORDER BY id";
    let mut statement = connection.prepare_cached(sql).doing("read instances")?;
    let rows = statement.query_map([bytes(key)], |row| {
        let bindings: String = row.get(4)?;
        let (id, class, fingerprint, spec) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((InstanceRecord { id, class, fingerprint, spec, bindings: serde_json::Value::Null }, bindings))
    });
    rows.doing("read instances")?
        .map(|row| {
            let (instance, bindings) = row.doing("read instances")?;
            Ok(InstanceRecord { bindings: serde_json::from_str(&bindings).map_err(corrupt)?, ..instance })
        })
        .collect()
}

pub(super) fn delete(
    connection: &Connection,
    key: SessionKey,
    id: &str,
    now: i64,
) -> Result<bool, StoreError> {
    ensure(connection, key, now)?;
    let removed =
        run(connection, "DELETE FROM instance WHERE session = ?1 AND id = ?2", params![bytes(key), id])?;
    Ok(removed > 0)
}
