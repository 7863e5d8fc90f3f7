//! State that several hosts share, in PostgreSQL.
//!
//! The tables are plain, so that an operator can look into them. Each write locks its session's row, takes the next revision
//! under that lock, and logs itself: revisions become visible in order and without holes, and sessions never wait for one
//! another.

mod commit;
mod failure;
mod open;
mod rows;
mod sessions;
mod variables;
mod wake;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgPool, Row};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

pub use open::PostgresOptions;

use crate::record::{
    Change, InstanceRecord, NewSession, Revision, SessionKey, SessionRecord, VariableRecord,
};
use crate::store::{
    Answer, Batch, Committed, Hint, Retention, SessionChange, SessionQuery, StateStore, StoreError, Totals,
    VariableQuery,
};
use crate::value::Value;
use failure::attempt;

/// A store in PostgreSQL 15 or later, which any number of hosts share.
///
/// ```no_run
/// # async fn example() -> Result<(), dspex_state::store::StoreError> {
/// use dspex_state::postgres::PostgresOptions;
///
/// let url = "postgres://dspex:secret@db.example/agents?sslmode=verify-full";
/// let store = PostgresOptions::new().schema("agents").pool_size(20).connect(url).await?;
/// # Ok(())
/// # }
/// ```
///
/// * A write that was answered was flushed to the server's disk. What happens when that server is lost is the cluster's
///   affair: `synchronous_standby_names` makes writes wait for a standby.
/// * While the server is away, operations are tried again for [`patience`](PostgresOptions::patience), and then fail with
///   [`StoreError::Unavailable`]. A batch whose connection broke at its very end is looked for, and never written twice.
/// * A **temporary** session ends with the process that made it: its host renews it, and if that stops, because the process
///   was killed or cannot reach the server, the session is over after the [`lease`](PostgresOptions::lease), for all hosts.
/// * Session ids, names of variables and the fields of instances must not contain the character U+0000, which PostgreSQL's texts
///   do not hold. Values and metadata may.
/// * Backups are `pg_dump`'s: [`backup`](StateStore::backup) says so.
pub struct PostgresStore {
    database: Arc<Database>,
    tasks: Mutex<JoinSet<()>>,
}

impl PostgresStore {
    /// Opens the store of a database with the default options; see [`PostgresOptions::connect`].
    ///
    /// # Errors
    ///
    /// As [`PostgresOptions::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        PostgresOptions::new().connect(url).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool's own description may hold a password.
        f.debug_struct("PostgresStore").field("place", &self.database.place).finish_non_exhaustive()
    }
}

/// What all parts share.
struct Database {
    pool: PgPool,
    options: PgConnectOptions,
    /// Where it is, for messages.
    place: String,
    /// What hosts notify each other through.
    channel: String,
    /// Who this process is.
    owner: String,
    retention: Retention,
    patience: Duration,
    lease: Duration,
    hints: broadcast::Sender<Hint>,
    /// What other hosts have not been told yet: the last revision, or none for a session that ended.
    notes: Mutex<HashMap<SessionKey, Option<Revision>>>,
    noted: Notify,
    has_temporary: AtomicBool,
}

impl Database {
    async fn check(&self) -> Result<Vec<String>, StoreError> {
        const CHECK: &str = "SELECT format('session %s: it has %s variables of %s bytes, and says %s of %s', s.id, \
            count(v.name), coalesce(sum(v.bytes), 0), s.variables, s.bytes) AS line FROM session s \
            LEFT JOIN variable v ON v.session = s.key GROUP BY s.key \
            HAVING count(v.name) <> s.variables OR coalesce(sum(v.bytes), 0) <> s.bytes \
            UNION ALL SELECT format('session %s: %s of its %s changes are there', s.id, \
            count(DISTINCT c.revision), s.revision - s.floor) FROM session s \
            LEFT JOIN change c ON c.session = s.key AND c.revision > s.floor GROUP BY s.key \
            HAVING count(DISTINCT c.revision) <> s.revision - s.floor \
            UNION ALL SELECT format('session %s: the variable %s is of a revision to come', s.id, v.name) FROM session s \
            JOIN variable v ON v.session = s.key WHERE v.version > s.revision OR v.spec_version > v.version";
        attempt!(self, "look for damage", {
            let rows = sqlx::query(CHECK).fetch_all(&self.pool).await?;
            rows.iter().map(|row| Ok(row.try_get("line")?)).collect()
        })
    }

    /// Ends what belongs to this process alone.
    async fn leave(&self) {
        let gone = sqlx::query("DELETE FROM session WHERE owner = $1 RETURNING key")
            .bind(&self.owner)
            .fetch_all(&self.pool)
            .await;
        for row in gone.iter().flatten() {
            if let Ok(key) = row.try_get("key").map_err(Into::into).and_then(rows::key) {
                self.publish(Hint::Ended(key));
            }
        }
        if let Err(failure) = self.flush().await {
            tracing::debug!(?failure, "other hosts were not told of the last writes");
        }
    }
}

impl StateStore for PostgresStore {
    fn create_session(&self, session: NewSession, limit: Option<u64>) -> Answer<'_, SessionRecord> {
        self.database.create(session, limit).boxed()
    }

    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Option<SessionRecord>> {
        self.database.session(id).boxed()
    }

    fn sessions<'a>(&'a self, query: &'a SessionQuery) -> Answer<'a, Vec<SessionRecord>> {
        self.database.sessions(query).boxed()
    }

    fn update_session(&self, key: SessionKey, change: SessionChange) -> Answer<'_, SessionRecord> {
        self.database.update(key, change).boxed()
    }

    fn touch(&self, key: SessionKey) -> Answer<'_, ()> {
        self.database.touch(key).boxed()
    }

    fn delete_session(&self, key: SessionKey) -> Answer<'_, bool> {
        self.database.delete(key).boxed()
    }

    fn expire(&self, limit: u32) -> Answer<'_, Vec<(SessionKey, String)>> {
        self.database.expire(limit).boxed()
    }

    fn totals(&self) -> Answer<'_, Totals> {
        self.database.totals().boxed()
    }

    fn commit(&self, key: SessionKey, batch: Batch) -> Answer<'_, Committed> {
        self.database.commit(key, batch).boxed()
    }

    fn read<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<(Value, Revision)>> {
        self.database.read(key, name).boxed()
    }

    fn read_together<'a>(
        &'a self,
        key: SessionKey,
        names: &'a [String],
    ) -> Answer<'a, Vec<Option<(Value, Revision)>>> {
        self.database.read_together(key, names).boxed()
    }

    fn variable<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<VariableRecord>> {
        self.database.variable(key, name).boxed()
    }

    fn variables<'a>(&'a self, key: SessionKey, query: &'a VariableQuery) -> Answer<'a, Vec<VariableRecord>> {
        self.database.variables(key, query).boxed()
    }

    fn history<'a>(&'a self, key: SessionKey, name: &'a str, limit: u32) -> Answer<'a, Vec<Change>> {
        self.database.history(key, name, limit).boxed()
    }

    fn changes(&self, key: SessionKey, after: Revision, limit: u32) -> Answer<'_, (Vec<Change>, Revision)> {
        self.database.changes(key, after, limit).boxed()
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.database.hints.subscribe()
    }

    fn put_instance(&self, key: SessionKey, instance: InstanceRecord) -> Answer<'_, ()> {
        async move { self.database.put_instance(key, &instance).await }.boxed()
    }

    fn instances(&self, key: SessionKey) -> Answer<'_, Vec<InstanceRecord>> {
        self.database.instances(key).boxed()
    }

    fn delete_instance<'a>(&'a self, key: SessionKey, id: &'a str) -> Answer<'a, bool> {
        self.database.delete_instance(key, id).boxed()
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, ()> {
        let step = format!(
            "a store in PostgreSQL is backed up by PostgreSQL's own tools; run `pg_dump --format=custom --file={}` for the \
             schema of {}",
            to.display(),
            self.database.place
        );
        async move { Err(StoreError::Unsupported(step)) }.boxed()
    }

    fn check(&self) -> Answer<'_, Vec<String>> {
        self.database.check().boxed()
    }

    fn close(&self) -> Answer<'_, ()> {
        async move {
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
            if !self.database.pool.is_closed() {
                self.database.leave().await;
            }
            self.database.pool.close().await;
            Ok(())
        }
        .boxed()
    }
}
