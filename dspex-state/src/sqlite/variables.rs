//! Rows of variables: reading them, and batches of writes.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::{Doing, corrupt};
use super::large::{GONE, LARGE, Large, Place};
use super::log;
use super::sessions::{absent, bytes, ensure, run, signed, unsigned};
use super::time::from_millis;
use super::writer::Undo;
use crate::record::{ChangeKind, Revision, SessionKey, VariableRecord};
use crate::spec::Spec;
use crate::store::{Action, Batch, Committed, Expect, Refusal, Retention, StoreError, VariableQuery, Write};
use crate::value::{Encoded, Type, Value};

/// What a committed batch leaves to do outside the file.
pub(super) struct Written {
    pub(super) committed: Committed,
    /// Large values that were set.
    pub(super) large: Vec<(Place, Value)>,
    /// Changes that were removed.
    pub(super) pruned: Vec<Place>,
}

/// The variable that a write finds.
struct Found {
    spec_version: Revision,
    place: Place,
    bytes: u64,
}

/// The session's counts, as a batch changes them.
struct Counts {
    revision: Revision,
    variables: u64,
    bytes: u64,
    logged: u64,
}

/// Writes a batch.
pub(super) fn commit(
    connection: &Connection,
    key: SessionKey,
    batch: Batch,
    now: i64,
    (retention, only_in_memory): (&Retention, bool),
) -> Result<Written, StoreError> {
    let session = log::state(connection, key, now)?;
    if batch.writes.is_empty() {
        let committed = Committed::new(session.revision, Vec::new());
        return Ok(Written { committed, large: Vec::new(), pruned: Vec::new() });
    }
    let mut counts = Counts {
        revision: Revision(session.revision.0 + 1),
        variables: session.variables,
        bytes: session.bytes,
        logged: 0,
    };
    let count = batch.writes.len();
    let (mut kinds, mut large) = (Vec::with_capacity(count), Vec::new());
    for (index, write) in batch.writes.into_iter().enumerate() {
        let place = (counts.revision, u32::try_from(index).map_err(corrupt)?);
        let found = find(connection, key, &write.name)?;
        if let Some(refusal) = refusal(&write, found.as_ref()) {
            return Err(StoreError::Refused { place: index, name: write.name, refusal });
        }
        let after = counts.after(&write.action, found.as_ref());
        if count == 1 {
            // Before anything is changed: see `undo`.
            session.allows(&after)?;
        }
        let one = One { connection, key, place, now, author: batch.author.as_deref(), only_in_memory };
        kinds.push(one.write(write, found, &mut large)?);
        counts = after;
    }
    session.allows(&counts)?;
    let logged = (session.log_bytes + counts.logged, session.log_changes + count as u64);
    run(
        connection,
        "UPDATE session SET revision = ?2, variables = ?3, bytes = ?4, log_bytes = ?5, log_changes = ?6 WHERE key = ?1",
        params![
            bytes(key),
            signed(counts.revision.0),
            signed(counts.variables),
            signed(counts.bytes),
            signed(logged.0),
            signed(logged.1),
        ],
    )?;
    let pruned = if log::is_full(logged, retention) {
        log::prune(connection, key, now, retention)?
    } else {
        Vec::new()
    };
    Ok(Written { committed: Committed::new(counts.revision, kinds), large, pruned })
}

/// What has to be taken back of a batch that fails: one write is refused before it changes anything, of several a later one may
/// be.
pub(super) fn undo(batch: &Batch) -> Undo {
    if batch.writes.len() > 1 { Undo::Savepoint } else { Undo::Transaction }
}

impl Counts {
    /// These after one more write.
    fn after(&self, action: &Action, found: Option<&Found>) -> Self {
        let bytes = self.bytes.saturating_sub(found.map_or(0, |found| found.bytes));
        match action {
            Action::Delete => Self { variables: self.variables.saturating_sub(1), bytes, ..*self },
            Action::Set { value, .. } => {
                let size = value.size() as u64;
                Self {
                    variables: self.variables + u64::from(found.is_none()),
                    bytes: bytes + size,
                    logged: self.logged + size,
                    ..*self
                }
            }
        }
    }
}

impl log::State {
    /// Whether the session's quotas allow so much.
    fn allows(&self, counts: &Counts) -> Result<(), StoreError> {
        within("variables", self.max_variables, self.variables, counts.variables)?;
        within("bytes", self.max_bytes, self.bytes, counts.bytes)
    }
}

/// Whether a quota allows a count. One that only got smaller is allowed, even where the quota was lowered before.
fn within(what: &'static str, limit: Option<u64>, before: u64, wanted: u64) -> Result<(), StoreError> {
    match limit {
        Some(limit) if wanted > limit && wanted > before => Err(StoreError::Quota { what, limit, wanted }),
        _ => Ok(()),
    }
}

fn find(connection: &Connection, key: SessionKey, name: &str) -> Result<Option<Found>, StoreError> {
    let sql = "SELECT spec_version, version, place, bytes FROM variable WHERE session = ?1 AND name = ?2";
    let mut statement = connection.prepare_cached(sql).doing("read a variable")?;
    let found = statement.query_row(params![bytes(key), name], |row| {
        Ok(Found {
            spec_version: Revision(unsigned(row.get(0)?)),
            place: (Revision(unsigned(row.get(1)?)), row.get(2)?),
            bytes: unsigned(row.get(3)?),
        })
    });
    found.optional().doing("read a variable")
}

fn refusal(write: &Write, found: Option<&Found>) -> Option<Refusal> {
    let needs_spec = matches!(write.action, Action::Delete | Action::Set { spec: None, .. });
    match (write.expect, found) {
        (Expect::Absent, Some(_)) => Some(Refusal::Exists),
        (Expect::Present { .. }, None) => Some(Refusal::NotFound),
        (_, None) if needs_spec => Some(Refusal::NotFound),
        (Expect::Present { version, spec }, Some(found)) => {
            let (found_version, found_spec) = (found.place.0, found.spec_version);
            let other = |expected: Option<Revision>, found| expected.filter(|expected| *expected != found);
            let version = other(version, found_version)
                .map(|expected| Refusal::Version { expected, found: found_version });
            version.or_else(|| {
                other(spec, found_spec).map(|expected| Refusal::Spec { expected, found: found_spec })
            })
        }
        _ => None,
    }
}

/// One write of a batch, and where it goes.
struct One<'a> {
    connection: &'a Connection,
    key: SessionKey,
    place: Place,
    now: i64,
    author: Option<&'a str>,
    only_in_memory: bool,
}

impl One<'_> {
    fn write(
        &self,
        write: Write,
        found: Option<Found>,
        large: &mut Vec<(Place, Value)>,
    ) -> Result<ChangeKind, StoreError> {
        let earlier = found.as_ref().map(|found| found.place);
        match write.action {
            Action::Delete => {
                let sql = "DELETE FROM variable WHERE session = ?1 AND name = ?2";
                run(self.connection, sql, params![bytes(self.key), write.name])?;
                self.log(&write.name, ChangeKind::Deleted, None, 0, earlier)?;
                Ok(ChangeKind::Deleted)
            }
            Action::Set { value, spec } => {
                let kind = if found.is_some() { ChangeKind::Updated } else { ChangeKind::Created };
                let size = value.size() as u64;
                self.log(&write.name, kind, Some(&value), size, earlier)?;
                self.set(&write.name, spec.as_deref(), found.is_some(), size)?;
                if size > LARGE {
                    large.push((self.place, value));
                }
                Ok(kind)
            }
        }
    }

    fn set(&self, name: &str, spec: Option<&Spec>, exists: bool, size: u64) -> Result<(), StoreError> {
        let (revision, place) = (signed(self.place.0.0), self.place.1);
        let spec = spec.map(serde_json::to_string).transpose().map_err(corrupt)?;
        match (spec, exists) {
            (None, _) => run(
                self.connection,
                "UPDATE variable SET version = ?3, place = ?4, bytes = ?5 WHERE session = ?1 AND name = ?2",
                params![bytes(self.key), name, revision, place, signed(size)],
            )?,
            (Some(spec), true) => run(
                self.connection,
                "UPDATE variable SET version = ?3, place = ?4, bytes = ?5, spec = ?6, spec_version = ?3
                 WHERE session = ?1 AND name = ?2",
                params![bytes(self.key), name, revision, place, signed(size), spec],
            )?,
            (Some(spec), false) => run(
                self.connection,
                "INSERT INTO variable (session, name, spec, spec_version, version, place, bytes, created_at)
                 VALUES (?1, ?2, ?6, ?3, ?3, ?4, ?5, ?7)",
                params![bytes(self.key), name, revision, place, signed(size), spec, self.now],
            )?,
        };
        Ok(())
    }

    fn log(
        &self,
        name: &str,
        kind: ChangeKind,
        value: Option<&Value>,
        size: u64,
        earlier: Option<Place>,
    ) -> Result<(), StoreError> {
        let skipped = self.only_in_memory && size > LARGE;
        let encoded = value.filter(|_| !skipped).map(Encoded::of);
        run(
            self.connection,
            "INSERT INTO change (session, revision, place, name, kind, type, form, data, bytes, at, author,
                                 earlier_revision, earlier_place)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                bytes(self.key),
                signed(self.place.0.0),
                self.place.1,
                name,
                log::word(kind),
                value.map(|value| value.kind().name()),
                encoded.as_ref().and_then(|encoded| encoded.form.as_deref()),
                encoded.as_ref().map(|encoded| &encoded.data[..]),
                signed(size),
                self.now,
                self.author,
                earlier.map(|(revision, _)| signed(revision.0)),
                earlier.map(|(_, place)| place),
            ],
        )?;
        Ok(())
    }
}

/// What reading a variable's value gave.
pub(super) enum Reading {
    /// There is no such variable.
    Absent,
    /// The value.
    Value(Value, Revision),
    /// It is large, and is at this place.
    Large(Place),
}

/// The value of a variable, unless it is large.
pub(super) fn read(
    connection: &Connection,
    key: SessionKey,
    name: &str,
    now: i64,
) -> Result<Reading, StoreError> {
    // `iif` reads no column that it does not give, so a large value is not loaded.
    let sql = "SELECT v.version, v.place, v.bytes, c.type, c.form, iif(v.bytes <= ?4, c.data, NULL)
               FROM session s
               LEFT JOIN variable v ON v.session = s.key AND v.name = ?2
               LEFT JOIN change c ON c.session = s.key AND c.revision = v.version AND c.place = v.place
               WHERE s.key = ?1 AND (s.expires_at IS NULL OR s.expires_at > ?3)";
    let mut statement = connection.prepare_cached(sql).doing("read a variable")?;
    let row = statement.query_row(params![bytes(key), name, now, signed(LARGE)], |row| {
        let Some(version) = row.get::<_, Option<i64>>(0)? else { return Ok(Ok(Reading::Absent)) };
        let version = Revision(unsigned(version));
        if unsigned(row.get(2)?) > LARGE {
            return Ok(Ok(Reading::Large((version, row.get(1)?))));
        }
        Ok(value(row, 3)?.map(|value| Reading::Value(value, version)))
    });
    row.optional().doing("read a variable")?.unwrap_or_else(|| Err(absent(key)))
}

/// The same for several variables, at one moment.
pub(super) fn read_together(
    connection: &Connection,
    key: SessionKey,
    names: &[String],
    now: i64,
) -> Result<Vec<Reading>, StoreError> {
    let transaction = connection.unchecked_transaction().doing("read variables")?;
    names.iter().map(|name| read(&transaction, key, name, now)).collect()
}

/// A value at a place of the log; none if it is not there any more.
pub(super) fn value_at(
    connection: &Connection,
    key: SessionKey,
    place: Place,
) -> Result<Option<Value>, StoreError> {
    let sql = "SELECT type, form, data FROM change WHERE session = ?1 AND revision = ?2 AND place = ?3 AND data IS NOT NULL";
    let mut statement = connection.prepare_cached(sql).doing("read a value")?;
    let row = statement.query_row(params![bytes(key), signed(place.0.0), place.1], |row| value(row, 0));
    row.optional().doing("read a value")?.transpose()
}

/// The value of three columns: its type, its form, its data.
fn value(row: &Row<'_>, first: usize) -> rusqlite::Result<Result<Value, StoreError>> {
    let kind: String = row.get(first)?;
    Ok(decode(&kind, row.get(first + 1)?, row.get(first + 2)?))
}

/// A value as the file has it.
pub(super) fn decode(kind: &str, form: Option<String>, data: Vec<u8>) -> Result<Value, StoreError> {
    let kind = Type::of_name(kind).ok_or_else(|| corrupt(format!("there is no type {kind:?}")))?;
    Encoded { kind, form, data: data.into() }.decode().map_err(corrupt)
}

/// A variable with its spec.
pub(super) fn one(
    connection: &Connection,
    key: SessionKey,
    name: &str,
    now: i64,
    large: &Large,
) -> Result<Option<VariableRecord>, StoreError> {
    let query = VariableQuery { glob: None, after: None, values: true, limit: 1 };
    let mut found = select(connection, key, ("v.name = ?2", name), &query, now, large)?;
    Ok(found.pop())
}

/// Variables in the order of their names.
pub(super) fn list(
    connection: &Connection,
    key: SessionKey,
    query: &VariableQuery,
    now: i64,
    large: &Large,
) -> Result<Vec<VariableRecord>, StoreError> {
    // Nothing is before the empty name.
    let beyond = if query.after.is_some() { "v.name > ?2" } else { "v.name >= ?2" };
    select(connection, key, (beyond, query.after.as_deref().unwrap_or("")), query, now, large)
}

fn select(
    connection: &Connection,
    key: SessionKey,
    (condition, name): (&str, &str),
    query: &VariableQuery,
    now: i64,
    large: &Large,
) -> Result<Vec<VariableRecord>, StoreError> {
    // One transaction, so that the values are those of the versions.
    let transaction = connection.unchecked_transaction().doing("read variables")?;
    ensure(&transaction, key, now)?;
    let sql = format!(
        "SELECT v.name, v.spec, v.spec_version, v.version, v.place, v.bytes, v.created_at, c.at, c.data IS NULL,
                c.type, c.form, iif(?5, c.data, NULL)
         FROM variable v JOIN change c ON c.session = v.session AND c.revision = v.version AND c.place = v.place
         WHERE v.session = ?1 AND {condition} AND (?3 IS NULL OR v.name GLOB ?3) ORDER BY v.name LIMIT ?4"
    );
    let glob = query.glob.as_deref().map(plain_glob);
    let mut statement = transaction.prepare_cached(&sql).doing("read variables")?;
    let mut rows = statement
        .query(params![bytes(key), name, glob, query.limit, query.values])
        .doing("read variables")?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing("read variables")? {
        found.push(record(row, key, query.values, large)?);
    }
    Ok(found)
}

fn record(row: &Row<'_>, key: SessionKey, values: bool, large: &Large) -> Result<VariableRecord, StoreError> {
    let read = || {
        let numbers: [i64; 5] = [row.get(2)?, row.get(3)?, row.get(5)?, row.get(6)?, row.get(7)?];
        rusqlite::Result::Ok((row.get(0)?, row.get::<_, String>(1)?, numbers, row.get(4)?, row.get(8)?))
    };
    let (name, spec, [spec_version, version, bytes, created_at, updated_at], place, in_memory) =
        read().doing("read a variable")?;
    let version = Revision(unsigned(version));
    let held = match (values, in_memory) {
        (false, _) => None,
        (true, true) => Some(large.get(key, (version, place)).ok_or_else(|| corrupt(GONE))?),
        (true, false) => Some(value(row, 9).doing("read a value")??),
    };
    Ok(VariableRecord {
        name,
        spec: serde_json::from_str(&spec).map_err(corrupt)?,
        spec_version: Revision(unsigned(spec_version)),
        value: held,
        version,
        bytes: unsigned(bytes),
        created_at: from_millis(created_at),
        updated_at: from_millis(updated_at),
    })
}

/// A glob in which only `*` and `?` mean something, for SQLite, where brackets do as well.
fn plain_glob(glob: &str) -> String {
    glob.replace('[', "[[]")
}
