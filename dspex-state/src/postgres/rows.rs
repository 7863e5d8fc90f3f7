//! Rows as records.

use std::time::{Duration, SystemTime};

use sqlx::Row;
use sqlx::postgres::PgRow;
use ulid::Ulid;

use super::failure::Failure;
use crate::record::{
    Change, ChangeKind, InstanceRecord, Lifetime, NewSession, Revision, SessionKey, SessionRecord,
    VariableRecord,
};
use crate::value::{Encoded, Type, Value};

/// What [`session`] reads, of a session `s`.
macro_rules! session_columns {
    () => {
        "s.key, s.id, s.revision, s.lifetime, s.temporary, s.metadata, s.settings, s.quotas, s.variables, s.bytes, \
         micros(s.created_at) AS created_at, micros(s.expires_at) AS expires_at"
    };
}

/// What [`variable`] reads, but for the value, of a variable `v`.
macro_rules! variable_columns {
    () => {
        "v.name, v.spec, v.spec_version, v.type, v.form, v.bytes, v.version, \
         micros(v.created_at) AS created_at, micros(v.updated_at) AS updated_at"
    };
}

/// What [`change`] reads, of a change `c`.
macro_rules! change_columns {
    () => {
        "c.revision, c.place, c.name, c.kind, c.type, c.form, c.data, micros(c.at) AS at, c.author"
    };
}
pub(super) use {change_columns, session_columns, variable_columns};

pub(super) fn key(text: &str) -> Result<SessionKey, Failure> {
    Ulid::from_string(text)
        .map(SessionKey)
        .map_err(|error| Failure::Stored(format!("the key {text:?}: {error}")))
}

/// A number that is never negative.
pub(super) fn count(row: &PgRow, column: &str) -> Result<u64, Failure> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| Failure::Stored(format!("{column} is {number}")))
}

pub(super) fn revision(row: &PgRow, column: &str) -> Result<Revision, Failure> {
    count(row, column).map(Revision)
}

fn moment(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

/// A number for PostgreSQL, which has no unsigned ones. What is too large is as good as without end.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Seconds, for `make_interval`; no more than a thousand years, which moments still hold.
pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(1000.0 * 365.25 * 86400.0)
}

/// The seconds of a lifetime, where it slides.
pub(super) fn sliding(lifetime: Lifetime) -> Option<f64> {
    match lifetime {
        Lifetime::Sliding(ttl) => Some(seconds(ttl)),
        _ => None,
    }
}

pub(super) fn session(row: &PgRow) -> Result<SessionRecord, Failure> {
    let text = |column: &str| row.try_get::<&str, _>(column);
    Ok(SessionRecord {
        session: NewSession {
            key: key(text("key")?)?,
            id: text("id")?.to_owned(),
            lifetime: serde_json::from_str(text("lifetime")?)?,
            temporary: row.try_get("temporary")?,
            metadata: serde_json::from_str(text("metadata")?)?,
            settings: serde_json::from_str(text("settings")?)?,
            quotas: serde_json::from_str(text("quotas")?)?,
        },
        created_at: moment(row.try_get("created_at")?),
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(moment),
        revision: revision(row, "revision")?,
        variables: count(row, "variables")?,
        bytes: count(row, "bytes")?,
    })
}

/// The value of columns `type`, `form` and `data`; none where there is no data.
pub(super) fn value(row: &PgRow) -> Result<Option<Value>, Failure> {
    let Some(data) = row.try_get::<Option<&[u8]>, _>("data")? else { return Ok(None) };
    let name: &str = row.try_get("type")?;
    let kind = Type::of_name(name).ok_or_else(|| Failure::Stored(format!("the type {name:?}")))?;
    let data = bytes::Bytes::copy_from_slice(data);
    Ok(Some(Encoded { kind, form: row.try_get("form")?, data }.decode()?))
}

pub(super) fn variable(row: &PgRow) -> Result<VariableRecord, Failure> {
    Ok(VariableRecord {
        name: row.try_get("name")?,
        spec: serde_json::from_str(row.try_get("spec")?)?,
        spec_version: revision(row, "spec_version")?,
        value: value(row)?,
        version: revision(row, "version")?,
        bytes: count(row, "bytes")?,
        created_at: moment(row.try_get("created_at")?),
        updated_at: moment(row.try_get("updated_at")?),
    })
}

/// The name of a change's kind.
pub(super) fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Created => "created",
        ChangeKind::Updated => "updated",
        ChangeKind::Deleted => "deleted",
    }
}

pub(super) fn change(row: &PgRow) -> Result<Change, Failure> {
    let kind = match row.try_get("kind")? {
        "created" => ChangeKind::Created,
        "updated" => ChangeKind::Updated,
        "deleted" => ChangeKind::Deleted,
        other => return Err(Failure::Stored(format!("the kind of change {other:?}"))),
    };
    let place: i32 = row.try_get("place")?;
    Ok(Change {
        revision: revision(row, "revision")?,
        place: u32::try_from(place).map_err(|_| Failure::Stored(format!("the place {place}")))?,
        name: row.try_get("name")?,
        kind,
        value: value(row)?,
        at: moment(row.try_get("at")?),
        author: row.try_get("author")?,
    })
}

pub(super) fn instance(row: &PgRow) -> Result<InstanceRecord, Failure> {
    Ok(InstanceRecord {
        id: row.try_get("id")?,
        class: row.try_get("class")?,
        fingerprint: row.try_get("fingerprint")?,
        spec: row.try_get("spec")?,
        bindings: serde_json::from_str(row.try_get("bindings")?)?,
    })
}
