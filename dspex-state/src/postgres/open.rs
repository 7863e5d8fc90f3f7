//! Opening a store: options, the connection, the schema.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row};
use tokio::sync::broadcast;
use ulid::Ulid;

use super::failure::{Failure, attempt};
use super::{Database, PostgresStore, wake};
use crate::store::{Retention, StoreError};

/// The format of [`SCHEMA`].
const FORMAT: i32 = 1;
const SCHEMA: &str = include_str!("schema.sql");

/// How a [`PostgresStore`] is opened.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `connect`"]
pub struct PostgresOptions {
    schema: String,
    pool_size: u32,
    retention: Retention,
    statement_timeout: Duration,
    patience: Duration,
    lease: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(4, |cores| cores.get() as u32);
        Self {
            schema: "dspex".to_owned(),
            pool_size: 2 * cores + 2,
            retention: Retention::default(),
            statement_timeout: Duration::from_secs(30),
            patience: Duration::from_secs(5),
            lease: Duration::from_secs(60),
        }
    }
}

impl PostgresOptions {
    /// The schema `dspex`, two connections for each core and two more, the default retention.
    pub fn new() -> Self {
        Self::default()
    }

    /// The schema that holds the store's tables; `dspex` without it. It is made if it is not there. Small letters, digits and
    /// `_`, at most 48.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// At most so many connections, at least 2: one of them listens to other hosts.
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.pool_size = connections.max(2);
        self
    }

    /// How long the log of writes is kept. All hosts should say the same.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// The longest that a statement may take, with waiting for locks; 30 seconds without it.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long an operation is tried again while the server is away; 5 seconds without it.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long temporary sessions live on after their process stopped to renew them; a minute without it.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Opens the store of a database: `postgres://user:password@host:5432/database?sslmode=verify-full`, or a directory of a
    /// socket with `postgres:///database?host=/run/postgresql`. What the URL leaves out comes from `PGHOST`, `PGPASSWORD` and their
    /// like, and from `~/.pgpass`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] with the next step in its cause, [`StoreError::Newer`] for a store of a later dspex, and
    /// [`StoreError::Foreign`] for a schema with other tables.
    pub async fn connect(self, url: &str) -> Result<PostgresStore, StoreError> {
        let doing = "open";
        let refuse = |what: String| StoreError::Unavailable { doing, source: what.into() };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.schema.is_empty() || self.schema.len() > 48 || !self.schema.chars().all(allowed) {
            let what = "is no name for a schema; use at most 48 small letters, digits and `_`";
            return Err(refuse(format!("`{}` {what}", self.schema)));
        }
        // The error may quote the URL's parts, and a password among them.
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            refuse(
                "the URL of PostgreSQL cannot be read; write postgres://user:password@host:5432/database"
                    .to_owned(),
            )
        })?;
        let options = options.application_name("dspex");
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let place = format!("{host}/{}", options.get_database().unwrap_or(options.get_username()));
        let database = Database {
            pool: self.pool(options.clone()),
            options,
            place,
            channel: format!("dspex_{}", self.schema),
            owner: Ulid::generate().to_string(),
            retention: self.retention,
            patience: self.patience,
            lease: self.lease.max(Duration::from_millis(100)),
            hints: broadcast::Sender::new(4096),
            notes: Default::default(),
            noted: Default::default(),
            has_temporary: Default::default(),
        };
        attempt!(database, "open", { prepare(&database.pool, &self.schema, &database.place).await })?;
        let database = Arc::new(database);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(wake::notify(Arc::clone(&database)));
        tasks.spawn(wake::listen(Arc::clone(&database)));
        tasks.spawn(wake::renew(Arc::clone(&database)));
        Ok(PostgresStore { database, tasks: tasks.into() })
    }

    fn pool(&self, options: PgConnectOptions) -> PgPool {
        let schema = format!("\"{}\"", self.schema);
        let timeout = self.statement_timeout.as_millis().to_string();
        let pool = PgPoolOptions::new()
            .max_connections(self.pool_size.max(2))
            .acquire_timeout(self.patience)
            // A connection that broke is found out by its use, and the use is tried again.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let (schema, timeout) = (schema.clone(), timeout.clone());
                Box::pin(async move {
                    // An answered write is kept: no setting of the server or the user makes that less.
                    const SET: &str = "SELECT set_config('search_path', $1, false), \
                        set_config('statement_timeout', $2, false), \
                        set_config('idle_in_transaction_session_timeout', $2, false), \
                        set_config('default_transaction_isolation', 'read committed', false), \
                        CASE WHEN current_setting('synchronous_commit') = 'off' \
                        THEN set_config('synchronous_commit', 'on', false) END";
                    sqlx::query(SET).bind(schema).bind(timeout).execute(connection).await?;
                    Ok(())
                })
            });
        pool.connect_lazy_with(options)
    }
}

/// Makes the tables where there are none, and looks whether they are these where there are some.
async fn prepare(pool: &PgPool, schema: &str, place: &str) -> Result<(), Failure> {
    let mut transaction = pool.begin().await?;
    let connection = &mut *transaction;
    // Hosts that start together must not make the tables twice.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('dspex:' || $1, 0))")
        .bind(schema)
        .execute(&mut *connection)
        .await?;
    server(&mut *connection, place).await?;
    let found = sqlx::query(
        "SELECT to_regnamespace(quote_ident($1)) IS NOT NULL AS schema, to_regclass(quote_ident($1) || '.store') IS NOT NULL AS store, \
         (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident($1))) AS others",
    )
    .bind(schema)
    .fetch_one(&mut *connection)
    .await?;
    let (named, store): (bool, bool) = (found.try_get("schema")?, found.try_get("store")?);
    let shown = || PathBuf::from(format!("the schema `{schema}` of {place}"));
    if store {
        let row = sqlx::query("SELECT format FROM store").fetch_optional(&mut *connection).await;
        let format: i32 = match row {
            Ok(Some(row)) => row.try_get("format")?,
            Ok(None) => {
                let reason = "its table `store` says no format".to_owned();
                return Err(StoreError::Foreign { path: shown(), reason }.into());
            }
            Err(error) if error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("42703")) => {
                let reason = "its table `store` belongs to another program".to_owned();
                return Err(StoreError::Foreign { path: shown(), reason }.into());
            }
            Err(error) => return Err(error.into()),
        };
        if format > FORMAT {
            let (found, known) = (format.unsigned_abs(), FORMAT.unsigned_abs());
            return Err(StoreError::Newer { place: shown().display().to_string(), found, known }.into());
        }
        return Ok(());
    }
    if found.try_get::<i64, _>("others")? > 0 {
        let reason = "it has tables of another program".to_owned();
        return Err(StoreError::Foreign { path: shown(), reason }.into());
    }
    if !named {
        // The name was looked at: letters, digits and `_`.
        sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA \"{schema}\""))).execute(&mut *connection).await?;
    }
    sqlx::raw_sql(SCHEMA).execute(&mut *connection).await?;
    transaction.commit().await?;
    Ok(())
}

/// The server is one that the statements are for.
async fn server(connection: &mut PgConnection, place: &str) -> Result<(), Failure> {
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS shown, \
         current_setting('server_encoding') AS encoding",
    )
    .fetch_one(connection)
    .await?;
    let refuse = |what: String| StoreError::Unavailable { doing: "open", source: what.into() };
    let shown: String = row.try_get("shown")?;
    if row.try_get::<i32, _>("version")? < 150_000 {
        return Err(refuse(format!("PostgreSQL at {place} is {shown}; dspex needs 15 or later")).into());
    }
    let encoding: String = row.try_get("encoding")?;
    if encoding != "UTF8" {
        let step = "create one with `createdb --encoding=UTF8 --template=template0`";
        return Err(refuse(format!("the database {place} is encoded in {encoding}, not UTF8; {step}")).into());
    }
    Ok(())
}
