//! Reading variables, their histories and the log; instances.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::Database;
use super::failure::{Failure, attempt};
use super::rows::{self, change_columns, variable_columns};
use crate::record::{Change, ChangeKind, InstanceRecord, Revision, SessionKey, VariableRecord};
use crate::store::{StoreError, VariableQuery};
use crate::value::Value;

/// About so many bytes of values come in one page of changes.
const PAGE_BYTES: i64 = 32 << 20;

fn not_found(key: SessionKey) -> Failure {
    StoreError::SessionNotFound(key.to_string()).into()
}

/// The rows of a session's left join: none without the session, one without a `name` where the session has none.
fn joined<T>(
    key: SessionKey,
    rows: &[PgRow],
    column: &str,
    read: impl Fn(&PgRow) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let first = rows.first().ok_or_else(|| not_found(key))?;
    if first.try_get::<Option<&str>, _>(column)?.is_none() {
        return Ok(Vec::new());
    }
    rows.iter().map(read).collect()
}

/// A glob as a pattern for LIKE.
fn like(glob: &str) -> String {
    let mut pattern = String::with_capacity(glob.len());
    for character in glob.chars() {
        match character {
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            '%' | '_' | '\\' => pattern.extend(['\\', character]),
            other => pattern.push(other),
        }
    }
    pattern
}

impl Database {
    pub(super) async fn read(
        &self,
        key: SessionKey,
        name: &str,
    ) -> Result<Option<(Value, Revision)>, StoreError> {
        const READ: &str = "SELECT v.type, v.form, v.data, v.version FROM session s \
            LEFT JOIN variable v ON v.session = s.key AND v.name = $2 \
            WHERE s.key = $1 AND lives(s.expires_at, s.leased_until)";
        attempt!(self, "read a variable", {
            let row = sqlx::query(READ).bind(key.to_string()).bind(name).fetch_optional(&self.pool).await?;
            let row = row.ok_or_else(|| not_found(key))?;
            match rows::value(&row)? {
                Some(value) => Ok(Some((value, rows::revision(&row, "version")?))),
                None => Ok(None),
            }
        })
    }

    pub(super) async fn read_together(
        &self,
        key: SessionKey,
        names: &[String],
    ) -> Result<Vec<Option<(Value, Revision)>>, StoreError> {
        const READ: &str = "SELECT v.name, v.type, v.form, v.data, v.version FROM session s \
            LEFT JOIN variable v ON v.session = s.key AND v.name = ANY($2) \
            WHERE s.key = $1 AND lives(s.expires_at, s.leased_until)";
        let found: HashMap<String, (Value, Revision)> = attempt!(self, "read variables", {
            let rows = sqlx::query(READ).bind(key.to_string()).bind(names).fetch_all(&self.pool).await?;
            let read = |row: &PgRow| {
                let value = rows::value(row)?
                    .ok_or_else(|| Failure::Stored("a variable without a value".to_owned()))?;
                Ok((row.try_get("name")?, (value, rows::revision(row, "version")?)))
            };
            Ok(joined(key, &rows, "name", read)?.into_iter().collect())
        })?;
        Ok(names.iter().map(|name| found.get(name).cloned()).collect())
    }

    pub(super) async fn variable(
        &self,
        key: SessionKey,
        name: &str,
    ) -> Result<Option<VariableRecord>, StoreError> {
        const VARIABLE: &str = concat!(
            "SELECT ",
            variable_columns!(),
            ", v.data FROM session s LEFT JOIN variable v ON v.session = s.key AND v.name = $2 \
             WHERE s.key = $1 AND lives(s.expires_at, s.leased_until)"
        );
        attempt!(self, "read a variable", {
            let rows = sqlx::query(VARIABLE).bind(key.to_string()).bind(name).fetch_all(&self.pool).await?;
            Ok(joined(key, &rows, "name", rows::variable)?.pop())
        })
    }

    pub(super) async fn variables(
        &self,
        key: SessionKey,
        query: &VariableQuery,
    ) -> Result<Vec<VariableRecord>, StoreError> {
        const LIST: &str = concat!(
            "SELECT v.* FROM session s LEFT JOIN LATERAL (SELECT ",
            variable_columns!(),
            ", CASE WHEN $4 THEN v.data END AS data FROM variable v WHERE v.session = s.key \
             AND ($2::text IS NULL OR v.name > $2) AND ($3::text IS NULL OR v.name LIKE $3) ORDER BY v.name LIMIT $5) v \
             ON true WHERE s.key = $1 AND lives(s.expires_at, s.leased_until) ORDER BY v.name"
        );
        attempt!(self, "list variables", {
            let rows = sqlx::query(LIST)
                .bind(key.to_string())
                .bind(&query.after)
                .bind(query.glob.as_deref().map(like))
                .bind(query.values)
                .bind(i64::from(query.limit))
                .fetch_all(&self.pool)
                .await?;
            joined(key, &rows, "name", rows::variable)
        })
    }

    pub(super) async fn history(
        &self,
        key: SessionKey,
        name: &str,
        limit: u32,
    ) -> Result<Vec<Change>, StoreError> {
        const HISTORY: &str = concat!(
            "SELECT c.* FROM session s LEFT JOIN LATERAL (SELECT ",
            change_columns!(),
            " FROM change c WHERE c.session = s.key AND c.name = $2 ORDER BY c.revision DESC, c.place DESC LIMIT $3) c \
             ON true WHERE s.key = $1 AND lives(s.expires_at, s.leased_until) ORDER BY c.revision DESC, c.place DESC"
        );
        attempt!(self, "read a history", {
            let rows = sqlx::query(HISTORY)
                .bind(key.to_string())
                .bind(name)
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await?;
            let mut found = joined(key, &rows, "name", rows::change)?;
            // What was before belongs to an earlier variable of the name.
            if let Some(end) = found.iter().position(|change| change.kind == ChangeKind::Deleted) {
                found.truncate(end);
            }
            Ok(found)
        })
    }

    pub(super) async fn changes(
        &self,
        key: SessionKey,
        after: Revision,
        limit: u32,
    ) -> Result<(Vec<Change>, Revision), StoreError> {
        // The page ends with the batch of its last change, and the first batch comes whatever its size.
        const CHANGES: &str = concat!(
            "SELECT s.floor, s.revision AS latest, c.* FROM session s LEFT JOIN LATERAL (SELECT ",
            change_columns!(),
            " FROM change c WHERE c.session = s.key AND s.floor <= $2 AND c.revision > $2 AND c.revision <= ( \
             SELECT max(p.revision) FROM (SELECT o.revision, sum(o.bytes) OVER (ORDER BY o.revision, o.place) - o.bytes \
             AS before FROM change o WHERE o.session = s.key AND o.revision > $2 ORDER BY o.revision, o.place LIMIT $3) p \
             WHERE p.before < $4)) c ON true WHERE s.key = $1 AND lives(s.expires_at, s.leased_until) \
             ORDER BY c.revision, c.place"
        );
        attempt!(self, "read changes", {
            let rows = sqlx::query(CHANGES)
                .bind(key.to_string())
                .bind(rows::signed(after.0))
                .bind(i64::from(limit.max(1)))
                .bind(PAGE_BYTES)
                .fetch_all(&self.pool)
                .await?;
            let first = rows.first().ok_or_else(|| not_found(key))?;
            let oldest = rows::revision(first, "floor")?;
            if after < oldest {
                return Err(StoreError::Compacted { after, oldest }.into());
            }
            let latest = rows::revision(first, "latest")?;
            Ok((joined(key, &rows, "name", rows::change)?, latest))
        })
    }

    pub(super) async fn put_instance(&self, key: SessionKey, new: &InstanceRecord) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO instance (session, id, class, fingerprint, spec, bindings) \
            SELECT s.key, $2, $3, $4, $5, $6 FROM session s WHERE s.key = $1 AND lives(s.expires_at, s.leased_until) \
            ON CONFLICT (session, id) DO UPDATE SET class = excluded.class, fingerprint = excluded.fingerprint, \
            spec = excluded.spec, bindings = excluded.bindings";
        attempt!(self, "keep an instance", {
            let put = sqlx::query(PUT)
                .bind(key.to_string())
                .bind(&new.id)
                .bind(&new.class)
                .bind(&new.fingerprint)
                .bind(&new.spec)
                .bind(new.bindings.to_string())
                .execute(&self.pool)
                .await;
            match put {
                Ok(put) if put.rows_affected() > 0 => Ok(()),
                // The session ended between being found and being referred to.
                Err(error)
                    if error.as_database_error().is_some_and(|error| error.is_foreign_key_violation()) =>
                {
                    Err(not_found(key))
                }
                Ok(_) => Err(not_found(key)),
                Err(error) => Err(error.into()),
            }
        })
    }

    pub(super) async fn instances(&self, key: SessionKey) -> Result<Vec<InstanceRecord>, StoreError> {
        const LIST: &str = "SELECT i.id, i.class, i.fingerprint, i.spec, i.bindings FROM session s \
            LEFT JOIN instance i ON i.session = s.key \
            WHERE s.key = $1 AND lives(s.expires_at, s.leased_until) ORDER BY i.id";
        attempt!(self, "list instances", {
            let rows = sqlx::query(LIST).bind(key.to_string()).fetch_all(&self.pool).await?;
            joined(key, &rows, "id", rows::instance)
        })
    }

    pub(super) async fn delete_instance(&self, key: SessionKey, id: &str) -> Result<bool, StoreError> {
        const DELETE: &str = "WITH there AS (SELECT key FROM session WHERE key = $1 AND lives(expires_at, leased_until)), \
            gone AS (DELETE FROM instance WHERE session = (SELECT key FROM there) AND id = $2 RETURNING id) \
            SELECT EXISTS (SELECT FROM there) AS there, EXISTS (SELECT FROM gone) AS gone";
        attempt!(self, "forget an instance", {
            let row = sqlx::query(DELETE).bind(key.to_string()).bind(id).fetch_one(&self.pool).await?;
            if row.try_get("there")? { Ok(row.try_get("gone")?) } else { Err(not_found(key)) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_like_is_escaped() {
        assert_eq!(like("a*b?c"), "a%b_c");
        assert_eq!(like("100%_\\"), "100\\%\\_\\\\");
    }
}
