//! Sessions.

use serde_json::{Map, Value as Json};
use sqlx::Row;

use super::Database;
use super::failure::{Failure, attempt};
use super::rows::{self, session_columns};
use crate::record::{NewSession, SessionKey, SessionRecord};
use crate::store::{Hint, SessionChange, SessionQuery, StoreError, Totals, merge_patch};

/// So many sessions are looked through at once for their metadata.
const PAGE: i64 = 500;

fn json<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    Ok(serde_json::to_string(value)?)
}

impl Database {
    pub(super) async fn create(
        &self,
        new: NewSession,
        limit: Option<u64>,
    ) -> Result<SessionRecord, StoreError> {
        if new.temporary {
            self.has_temporary.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        let mut attempts = self.attempts("make a session");
        let mut doubt = false;
        loop {
            match self.try_create(&new, limit, &mut doubt).await {
                Ok(record) => return Ok(record),
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }

    async fn try_create(
        &self,
        new: &NewSession,
        limit: Option<u64>,
        doubt: &mut bool,
    ) -> Result<SessionRecord, Failure> {
        const INSERT: &str = concat!(
            "INSERT INTO session AS s (key, id, lifetime, sliding, temporary, metadata, settings, quotas, expires_at, \
             owner, leased_until) VALUES ($1, $2, $3, make_interval(secs => $4), $5, $6, $7, $8, \
             clock_timestamp() + make_interval(secs => $9), $10, clock_timestamp() + make_interval(secs => $11)) \
             ON CONFLICT (id) DO NOTHING RETURNING ",
            session_columns!()
        );
        if *doubt && let Some(made) = self.by_key(new.key).await? {
            return Ok(made);
        }
        let mut transaction = self.pool.begin().await?;
        if limit.is_some() {
            // Two who count at once would both find room for one more.
            sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('dspex:' || current_schema(), 1))")
                .execute(&mut *transaction)
                .await?;
        }
        let over = sqlx::query(
            "DELETE FROM session WHERE id = $1 AND NOT lives(expires_at, leased_until) RETURNING key",
        )
        .bind(&new.id)
        .fetch_optional(&mut *transaction)
        .await?;
        let owner = new.temporary.then_some(&self.owner);
        let made = sqlx::query(INSERT)
            .bind(new.key.to_string())
            .bind(&new.id)
            .bind(json(&new.lifetime)?)
            .bind(rows::sliding(new.lifetime))
            .bind(new.temporary)
            .bind(json(&new.metadata)?)
            .bind(json(&new.settings)?)
            .bind(json(&new.quotas)?)
            .bind(new.lifetime.from_now().map(rows::seconds))
            .bind(owner)
            .bind(owner.map(|_| rows::seconds(self.lease)))
            .fetch_optional(&mut *transaction)
            .await?;
        let made = made.ok_or_else(|| StoreError::SessionExists(new.id.clone()))?;
        let record = rows::session(&made)?;
        if let Some(limit) = limit {
            // The one that was just made counts too, unless its time is over already.
            let counting = sqlx::query(
                "SELECT count(*) AS n FROM session WHERE key <> $1 AND lives(expires_at, leased_until)",
            );
            let others = counting.bind(new.key.to_string()).fetch_one(&mut *transaction).await?;
            let wanted = rows::count(&others, "n")? + 1;
            if wanted > limit {
                return Err(StoreError::Quota { what: "sessions", limit, wanted }.into());
            }
        }
        *doubt = true;
        transaction.commit().await?;
        if let Some(over) = over {
            self.publish(Hint::Ended(rows::key(over.try_get("key")?)?));
        }
        Ok(record)
    }

    async fn by_key(&self, key: SessionKey) -> Result<Option<SessionRecord>, Failure> {
        const BY_KEY: &str = concat!("SELECT ", session_columns!(), " FROM session s WHERE s.key = $1");
        let row = sqlx::query(BY_KEY).bind(key.to_string()).fetch_optional(&self.pool).await?;
        row.as_ref().map(rows::session).transpose()
    }

    pub(super) async fn session(&self, id: &str) -> Result<Option<SessionRecord>, StoreError> {
        const BY_ID: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM session s WHERE s.id = $1 AND lives(s.expires_at, s.leased_until)"
        );
        attempt!(self, "read a session", {
            let row = sqlx::query(BY_ID).bind(id).fetch_optional(&self.pool).await?;
            row.as_ref().map(rows::session).transpose()
        })
    }

    pub(super) async fn sessions(&self, query: &SessionQuery) -> Result<Vec<SessionRecord>, StoreError> {
        const LIST: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM session s WHERE ($1::text IS NULL OR s.id > $1) AND starts_with(s.id, $2) \
             AND ($3 OR NOT s.temporary) AND lives(s.expires_at, s.leased_until) ORDER BY s.id LIMIT $4"
        );
        let limit = query.limit as usize;
        // Metadata is compared as JSON values here: SQL knows other equalities.
        let page = if query.metadata.is_empty() { i64::from(query.limit) } else { PAGE };
        let mut found = Vec::new();
        let mut after = query.after.clone();
        while found.len() < limit {
            let rows: Vec<SessionRecord> = attempt!(self, "list sessions", {
                let rows = sqlx::query(LIST)
                    .bind(&after)
                    .bind(&query.prefix)
                    .bind(query.temporary)
                    .bind(page)
                    .fetch_all(&self.pool)
                    .await?;
                rows.iter().map(rows::session).collect::<Result<_, _>>()
            })?;
            let last = (rows.len() as i64) < page;
            after = rows.last().map(|record| record.session.id.clone());
            let has = |metadata: &Map<String, Json>| {
                query.metadata.iter().all(|(key, value)| metadata.get(key) == Some(value))
            };
            found.extend(rows.into_iter().filter(|record| has(&record.session.metadata)));
            if last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    pub(super) async fn update(
        &self,
        key: SessionKey,
        change: SessionChange,
    ) -> Result<SessionRecord, StoreError> {
        let mut attempts = self.attempts("change a session");
        let mut doubt = false;
        loop {
            match self.try_update(key, &change, &mut doubt).await {
                Ok(record) => return Ok(record),
                // What adds something must not be done twice; the rest may.
                Err(failure) if doubt && change.extend.is_some() => return Err(attempts.give_up(failure)),
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }

    async fn try_update(
        &self,
        key: SessionKey,
        change: &SessionChange,
        doubt: &mut bool,
    ) -> Result<SessionRecord, Failure> {
        const LOCK: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM session s WHERE s.key = $1 AND lives(s.expires_at, s.leased_until) FOR NO KEY UPDATE"
        );
        const UPDATE: &str = concat!(
            "UPDATE session s SET metadata = $2, settings = $3, quotas = $4, lifetime = $5, \
             sliding = make_interval(secs => $6), expires_at = (CASE WHEN $7 THEN clock_timestamp() + \
             make_interval(secs => $8) ELSE s.expires_at END) + make_interval(secs => $9) WHERE s.key = $1 RETURNING ",
            session_columns!()
        );
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query(LOCK).bind(key.to_string()).fetch_optional(&mut *transaction).await?;
        let row = row.ok_or_else(|| StoreError::SessionNotFound(key.to_string()))?;
        let mut session = rows::session(&row)?.session;
        if let Some(metadata) = &change.replace_metadata {
            session.metadata = metadata.clone();
        }
        if let Some(patch) = &change.merge_metadata {
            merge_patch(&mut session.metadata, patch.clone());
        }
        if let Some(patch) = &change.merge_settings {
            merge_patch(&mut session.settings, patch.clone());
        }
        session.quotas = change.quotas.unwrap_or(session.quotas);
        session.lifetime = change.lifetime.unwrap_or(session.lifetime);
        let row = sqlx::query(UPDATE)
            .bind(key.to_string())
            .bind(json(&session.metadata)?)
            .bind(json(&session.settings)?)
            .bind(json(&session.quotas)?)
            .bind(json(&session.lifetime)?)
            .bind(rows::sliding(session.lifetime))
            .bind(change.lifetime.is_some())
            .bind(session.lifetime.from_now().map(rows::seconds))
            .bind(rows::seconds(change.extend.unwrap_or_default()))
            .fetch_one(&mut *transaction)
            .await?;
        let record = rows::session(&row)?;
        *doubt = true;
        transaction.commit().await?;
        Ok(record)
    }

    pub(super) async fn touch(&self, key: SessionKey) -> Result<(), StoreError> {
        // Most uses change nothing: a sixteenth of the time has to be gone.
        const TOUCH: &str = "WITH there AS (SELECT key FROM session WHERE key = $1 AND lives(expires_at, leased_until)), \
            renewed AS (UPDATE session SET expires_at = clock_timestamp() + sliding * 17 / 16 WHERE key = $1 \
            AND lives(expires_at, leased_until) AND expires_at < clock_timestamp() + sliding) \
            SELECT EXISTS (SELECT FROM there) AS there";
        attempt!(self, "renew a session", {
            let row = sqlx::query(TOUCH).bind(key.to_string()).fetch_one(&self.pool).await?;
            if row.try_get("there")? {
                Ok(())
            } else {
                Err(StoreError::SessionNotFound(key.to_string()).into())
            }
        })
    }

    pub(super) async fn delete(&self, key: SessionKey) -> Result<bool, StoreError> {
        let there = attempt!(self, "end a session", {
            let gone = sqlx::query("DELETE FROM session WHERE key = $1 AND lives(expires_at, leased_until)")
                .bind(key.to_string())
                .execute(&self.pool)
                .await?;
            Ok(gone.rows_affected() > 0)
        })?;
        if there {
            self.publish(Hint::Ended(key));
        }
        Ok(there)
    }

    pub(super) async fn expire(&self, limit: u32) -> Result<Vec<(SessionKey, String)>, StoreError> {
        const EXPIRE: &str = "DELETE FROM session WHERE key IN (SELECT key FROM session \
            WHERE expires_at <= statement_timestamp() OR leased_until <= statement_timestamp() \
            LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING key, id";
        let swept: Vec<(SessionKey, String)> = attempt!(self, "sweep sessions", {
            let rows = sqlx::query(EXPIRE).bind(i64::from(limit)).fetch_all(&self.pool).await?;
            rows.iter()
                .map(|row| Ok((rows::key(row.try_get("key")?)?, row.try_get("id")?)))
                .collect::<Result<_, Failure>>()
        })?;
        for (key, _) in &swept {
            self.publish(Hint::Ended(*key));
        }
        Ok(swept)
    }

    pub(super) async fn totals(&self) -> Result<Totals, StoreError> {
        const TOTALS: &str = "WITH living AS (SELECT * FROM session WHERE lives(expires_at, leased_until)) \
            SELECT count(*) AS sessions, count(*) FILTER (WHERE temporary) AS temporary, \
            coalesce(sum(variables), 0)::bigint AS variables, coalesce(sum(bytes), 0)::bigint AS bytes, \
            (SELECT count(*) FROM instance i JOIN living l ON l.key = i.session) AS instances FROM living";
        attempt!(self, "count what there is", {
            let row = sqlx::query(TOTALS).fetch_one(&self.pool).await?;
            Ok(Totals {
                sessions: rows::count(&row, "sessions")?,
                temporary: rows::count(&row, "temporary")?,
                variables: rows::count(&row, "variables")?,
                bytes: rows::count(&row, "bytes")?,
                instances: rows::count(&row, "instances")?,
            })
        })
    }
}
