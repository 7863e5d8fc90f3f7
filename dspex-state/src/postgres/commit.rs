//! Writing batches.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use ulid::Ulid;

use super::Database;
use super::failure::Failure;
use super::rows;
use crate::record::{ChangeKind, Quotas, Revision, SessionKey};
use crate::store::{Action, Batch, Committed, Expect, Hint, Refusal, StoreError, Write};
use crate::value::Encoded;

/// A variable while a batch is looked at.
#[derive(Clone, Copy, Debug)]
struct Slot {
    version: Revision,
    spec_version: Revision,
    bytes: u64,
    /// Whether the batch makes it.
    fresh: bool,
    /// Which write of the batch set the spec.
    spec_at: Option<usize>,
}

/// What a batch comes to: pure, before anything is written.
#[derive(Debug)]
struct Outcome<'a> {
    kinds: Vec<ChangeKind>,
    slots: HashMap<&'a str, Option<Slot>>,
}

fn expected(expect: Expect, found: Option<Slot>) -> Result<(), Refusal> {
    match (expect, found) {
        (Expect::Absent, Some(_)) => Err(Refusal::Exists),
        (Expect::Present { .. }, None) => Err(Refusal::NotFound),
        (Expect::Present { version: Some(expected), .. }, Some(slot)) if expected != slot.version => {
            Err(Refusal::Version { expected, found: slot.version })
        }
        (Expect::Present { spec: Some(expected), .. }, Some(slot)) if expected != slot.spec_version => {
            Err(Refusal::Spec { expected, found: slot.spec_version })
        }
        _ => Ok(()),
    }
}

fn applied(
    write: &Write,
    place: usize,
    revision: Revision,
    found: Option<Slot>,
) -> Result<(ChangeKind, Option<Slot>), Refusal> {
    expected(write.expect, found)?;
    match (&write.action, found) {
        (Action::Delete, None) | (Action::Set { spec: None, .. }, None) => Err(Refusal::NotFound),
        (Action::Delete, Some(_)) => Ok((ChangeKind::Deleted, None)),
        (Action::Set { value, spec }, found) => {
            let slot = Slot {
                version: revision,
                spec_version: found.filter(|_| spec.is_none()).map_or(revision, |slot| slot.spec_version),
                bytes: value.size() as u64,
                fresh: found.is_none_or(|slot| slot.fresh),
                spec_at: spec.as_ref().map(|_| place).or(found.and_then(|slot| slot.spec_at)),
            };
            let kind = if found.is_some() { ChangeKind::Updated } else { ChangeKind::Created };
            Ok((kind, Some(slot)))
        }
    }
}

fn outcome<'a>(
    batch: &'a Batch,
    revision: Revision,
    mut slots: HashMap<&'a str, Option<Slot>>,
) -> Result<Outcome<'a>, StoreError> {
    let mut kinds = Vec::with_capacity(batch.writes.len());
    for (place, write) in batch.writes.iter().enumerate() {
        let found = slots.get(write.name.as_str()).copied().flatten();
        let (kind, slot) = applied(write, place, revision, found).map_err(|refusal| StoreError::Refused {
            place,
            name: write.name.clone(),
            refusal,
        })?;
        slots.insert(&write.name, slot);
        kinds.push(kind);
    }
    Ok(Outcome { kinds, slots })
}

/// A quota allows what there would be, or what there would be is no more than there is.
fn allowed(quotas: Quotas, variables: (u64, u64), bytes: (u64, u64)) -> Result<(), StoreError> {
    for (what, limit, (before, wanted)) in
        [("variables", quotas.variables, variables), ("bytes", quotas.bytes, bytes)]
    {
        if let Some(limit) = limit.filter(|limit| wanted > *limit && wanted > before) {
            return Err(StoreError::Quota { what, limit, wanted });
        }
    }
    Ok(())
}

/// The columns of `unnest` in [`WRITE`]: a row for each write, with what becomes of its variable in the row of the last one.
#[derive(Default)]
struct Columns<'a> {
    places: Vec<i32>,
    names: Vec<&'a str>,
    kinds: Vec<&'static str>,
    specs: Vec<Option<String>>,
    types: Vec<Option<&'static str>>,
    forms: Vec<Option<&'a str>>,
    datas: Vec<Option<&'a [u8]>>,
    bytes: Vec<i64>,
    lasts: Vec<&'static str>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a Batch, encoded: &'a [Option<Encoded>], outcome: &Outcome<'a>) -> Result<Self, Failure> {
        let mut ends = HashMap::new();
        for (place, write) in batch.writes.iter().enumerate() {
            ends.insert(write.name.as_str(), place);
        }
        let mut columns = Self::default();
        for (place, (write, encoded)) in batch.writes.iter().zip(encoded).enumerate() {
            let is_last = ends.get(write.name.as_str()) == Some(&place);
            let slot = outcome.slots.get(write.name.as_str()).copied().flatten();
            let (last, spec) = match slot {
                _ if !is_last => ("overwritten", None),
                None => ("deleted", None),
                Some(slot) => {
                    let spec = slot.spec_at.and_then(|place| match &batch.writes[place].action {
                        Action::Set { spec, .. } => spec.as_deref(),
                        Action::Delete => None,
                    });
                    (if slot.fresh { "made" } else { "updated" }, spec)
                }
            };
            columns.places.push(place as i32);
            columns.names.push(&write.name);
            columns.kinds.push(rows::kind_name(outcome.kinds[place]));
            columns.specs.push(spec.map(serde_json::to_string).transpose()?);
            columns.types.push(encoded.as_ref().map(|encoded| encoded.kind.name()));
            columns.forms.push(encoded.as_ref().and_then(|encoded| encoded.form.as_deref()));
            columns.datas.push(encoded.as_ref().map(|encoded| &*encoded.data));
            columns.bytes.push(match &write.action {
                Action::Set { value, .. } => value.size() as i64,
                Action::Delete => 0,
            });
            columns.lasts.push(last);
        }
        Ok(columns)
    }
}

/// Everything that a batch writes, at one moment.
const WRITE: &str = "WITH t AS MATERIALIZED (SELECT clock_timestamp() AS at), \
    w AS MATERIALIZED (SELECT * FROM unnest($3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
    $9::bytea[], $10::bigint[], $11::text[]) AS w(place, name, kind, spec, type, form, data, bytes, last)), \
    deleted AS (DELETE FROM variable WHERE session = $1 AND name IN (SELECT name FROM w WHERE last = 'deleted')), \
    updated AS (UPDATE variable v SET spec = coalesce(w.spec, v.spec), \
    spec_version = CASE WHEN w.spec IS NULL THEN v.spec_version ELSE $2 END, type = w.type, form = w.form, \
    data = w.data, bytes = w.bytes, version = $2, updated_at = t.at \
    FROM w, t WHERE w.last = 'updated' AND v.session = $1 AND v.name = w.name), \
    made AS (INSERT INTO variable (session, name, spec, spec_version, type, form, data, bytes, version, created_at, \
    updated_at) SELECT $1, w.name, w.spec, $2, w.type, w.form, w.data, w.bytes, $2, t.at, t.at FROM w, t \
    WHERE w.last = 'made' ON CONFLICT (session, name) DO UPDATE SET spec = excluded.spec, spec_version = $2, \
    type = excluded.type, form = excluded.form, data = excluded.data, bytes = excluded.bytes, version = $2, \
    created_at = excluded.created_at, updated_at = excluded.updated_at), \
    logged AS (INSERT INTO change (session, revision, place, name, kind, type, form, data, bytes, at, author, mark) \
    SELECT $1, $2, w.place, w.name, w.kind, w.type, w.form, w.data, w.bytes, t.at, $12, $13 FROM w, t) \
    UPDATE session SET revision = $2, variables = $14, bytes = $15, log_bytes = log_bytes + $16, \
    log_since = coalesce(log_since, t.at), written_at = t.at FROM t WHERE key = $1";

const LOCK: &str = "SELECT revision, floor, variables, bytes, quotas, log_bytes, \
    extract(epoch FROM clock_timestamp() - log_since)::float8 AS log_age FROM session \
    WHERE key = $1 AND lives(expires_at, leased_until) FOR NO KEY UPDATE";

impl Database {
    pub(super) async fn commit(&self, key: SessionKey, batch: Batch) -> Result<Committed, StoreError> {
        let encode = |write: &Write| match &write.action {
            Action::Set { value, .. } => Some(Encoded::of(value)),
            Action::Delete => None,
        };
        let encoded: Vec<Option<Encoded>> = batch.writes.iter().map(encode).collect();
        let mark = Ulid::generate().0 as i64;
        let mut attempts = self.attempts("write variables");
        let mut doubt = None;
        loop {
            match self.try_commit(key, &batch, &encoded, mark, &mut doubt).await {
                Ok(committed) => {
                    if !committed.kinds.is_empty() {
                        self.publish(Hint::Written(key, committed.revision));
                    }
                    return Ok(committed);
                }
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }

    /// One attempt. `doubt` is the answer of an earlier one whose end is not known; if it was written, it has left the mark.
    async fn try_commit(
        &self,
        key: SessionKey,
        batch: &Batch,
        encoded: &[Option<Encoded>],
        mark: i64,
        doubt: &mut Option<Committed>,
    ) -> Result<Committed, Failure> {
        let mut transaction = self.pool.begin().await?;
        let connection = &mut *transaction;
        let session = key.to_string();
        // Its lock is held to the end, so revisions of a session become visible in order and without holes.
        let row = sqlx::query(LOCK).bind(&session).fetch_optional(&mut *connection).await?;
        let row = row.ok_or_else(|| StoreError::SessionNotFound(session.clone()))?;
        let before = rows::revision(&row, "revision")?;
        if batch.writes.is_empty() {
            return Ok(Committed::new(before, Vec::new()));
        }
        if let Some(earlier) = doubt.as_ref()
            && marked(&mut *connection, &session, earlier.revision, mark).await?
        {
            return Ok(earlier.clone());
        }
        let revision = Revision(before.0 + 1);
        let slots = slots(&mut *connection, &session, batch).await?;
        let held = |slots: &HashMap<&str, Option<Slot>>| {
            let there = slots.values().flatten();
            there.fold((0_u64, 0_u64), |(count, bytes), slot| (count + 1, bytes + slot.bytes))
        };
        let (count_before, bytes_before) = held(&slots);
        let outcome = outcome(batch, revision, slots)?;
        let (count_after, bytes_after) = held(&outcome.slots);
        let variables = rows::count(&row, "variables")?;
        let bytes = rows::count(&row, "bytes")?;
        let variables = (variables, (variables + count_after).saturating_sub(count_before));
        let bytes = (bytes, (bytes + bytes_after).saturating_sub(bytes_before));
        allowed(serde_json::from_str(row.try_get("quotas")?)?, variables, bytes)?;
        let columns = Columns::of(batch, encoded, &outcome)?;
        let written: i64 = columns.bytes.iter().sum();
        sqlx::query(WRITE)
            .bind(&session)
            .bind(rows::signed(revision.0))
            .bind(&columns.places)
            .bind(&columns.names)
            .bind(&columns.kinds)
            .bind(&columns.specs)
            .bind(&columns.types)
            .bind(&columns.forms)
            .bind(&columns.datas)
            .bind(&columns.bytes)
            .bind(&columns.lasts)
            .bind(&batch.author)
            .bind(mark)
            .bind(rows::signed(variables.1))
            .bind(rows::signed(bytes.1))
            .bind(written)
            .execute(&mut *connection)
            .await?;
        if self.overdue(&row, revision, written)? {
            self.prune(&mut *connection, &session, revision).await?;
        }
        let committed = Committed::new(revision, outcome.kinds);
        *doubt = Some(committed.clone());
        transaction.commit().await?;
        Ok(committed)
    }

    /// Whether the log is an eighth over one of its limits: not each write should have to look through it.
    fn overdue(&self, row: &PgRow, revision: Revision, written: i64) -> Result<bool, Failure> {
        let limits = &self.retention;
        let revisions = revision.0 - rows::count(row, "floor")?;
        let bytes = rows::count(row, "log_bytes")?.saturating_add(written.unsigned_abs());
        let age: f64 = row.try_get::<Option<f64>, _>("log_age")?.unwrap_or_default();
        Ok(revisions > limits.revisions.saturating_add(limits.revisions / 8)
            || bytes > limits.bytes.saturating_add(limits.bytes / 8)
            || age > limits.age.as_secs_f64() * 1.125)
    }

    /// Forgets changes that are not recent, but for the latest ones of variables that live.
    async fn prune(
        &self,
        connection: &mut PgConnection,
        session: &str,
        revision: Revision,
    ) -> Result<(), Failure> {
        // Both see the floor from before, and so only names whose changes have come to lie beneath it.
        const PRUNE: &str = "WITH recent AS MATERIALIZED (SELECT c.revision, c.name, c.at, \
            sum(c.bytes) OVER (ORDER BY c.revision DESC, c.place DESC) AS total \
            FROM change c JOIN session s ON s.key = c.session WHERE c.session = $1 AND c.revision > s.floor), \
            bound AS MATERIALIZED (SELECT max(revision) AS floor FROM recent \
            WHERE revision <= $2 OR total > $3 OR at < clock_timestamp() - make_interval(secs => $4)), \
            aged AS MATERIALIZED (SELECT c.revision, c.place, c.name, row_number() OVER latest AS nth, \
            sum(c.bytes) OVER latest AS total FROM change c WHERE c.session = $1 \
            AND c.name IN (SELECT r.name FROM recent r, bound WHERE r.revision <= bound.floor) \
            WINDOW latest AS (PARTITION BY c.name ORDER BY c.revision DESC, c.place DESC)), \
            forgotten AS (DELETE FROM change c USING aged a, bound WHERE c.session = $1 AND c.revision = a.revision \
            AND c.place = a.place AND a.revision <= bound.floor AND (a.nth > $5 OR a.total > $3 OR NOT EXISTS \
            (SELECT FROM variable v WHERE v.session = $1 AND v.name = a.name))) \
            UPDATE session SET floor = bound.floor, \
            log_bytes = (SELECT coalesce(max(r.total), 0) FROM recent r WHERE r.revision > bound.floor), \
            log_since = (SELECT min(r.at) FROM recent r WHERE r.revision > bound.floor) \
            FROM bound WHERE key = $1 AND bound.floor IS NOT NULL";
        let limits = &self.retention;
        sqlx::query(PRUNE)
            .bind(session)
            .bind(rows::signed(revision.0) - rows::signed(limits.revisions))
            .bind(rows::signed(limits.bytes))
            .bind(rows::seconds(limits.age))
            .bind(i64::from(limits.history))
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// Whether a write that nobody knows the end of is there.
async fn marked(
    connection: &mut PgConnection,
    session: &str,
    revision: Revision,
    mark: i64,
) -> Result<bool, Failure> {
    const MARKED: &str =
        "SELECT EXISTS (SELECT FROM change WHERE session = $1 AND revision = $2 AND mark = $3) AS there";
    let query = sqlx::query(MARKED).bind(session).bind(rows::signed(revision.0)).bind(mark);
    Ok(query.fetch_one(connection).await?.try_get("there")?)
}

/// What is there of the variables that a batch writes.
async fn slots<'a>(
    connection: &mut PgConnection,
    session: &str,
    batch: &'a Batch,
) -> Result<HashMap<&'a str, Option<Slot>>, Failure> {
    const FOUND: &str =
        "SELECT name, version, spec_version, bytes FROM variable WHERE session = $1 AND name = ANY($2)";
    let mut slots: HashMap<&str, Option<Slot>> =
        batch.writes.iter().map(|write| (write.name.as_str(), None)).collect();
    let names: Vec<&str> = slots.keys().copied().collect();
    for row in sqlx::query(FOUND).bind(session).bind(names).fetch_all(connection).await? {
        let slot = Slot {
            version: rows::revision(&row, "version")?,
            spec_version: rows::revision(&row, "spec_version")?,
            bytes: rows::count(&row, "bytes")?,
            fresh: false,
            spec_at: None,
        };
        if let Some(found) = slots.get_mut(row.try_get::<&str, _>("name")?) {
            *found = Some(slot);
        }
    }
    Ok(slots)
}
