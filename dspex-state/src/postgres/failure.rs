//! How PostgreSQL fails, and what comes of it.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::Database;
use crate::store::StoreError;
use crate::value::DecodeError;

/// How long a look takes at a server that gives no connections.
const PROBE: Duration = Duration::from_millis(500);

/// Why an attempt did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The store's answer is an error.
    Answer(StoreError),
    /// The database failed.
    Database(sqlx::Error),
    /// What is stored makes no sense.
    Stored(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Answer(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Stored(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Stored(error.to_string())
    }
}

/// A failure of PostgreSQL, with the next step.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(
        "PostgreSQL at {place} does not answer; check that it runs and that this host reaches it, and try again"
    )]
    Unreachable { place: String, source: sqlx::Error },
    #[error(
        "all connections to PostgreSQL at {place} are in use; allow more with `pool_size`, or write less at once"
    )]
    Busy { place: String },
    #[error("PostgreSQL at {place} does not let this user in; check the user and the password of its URL")]
    Denied { place: String, source: sqlx::Error },
    #[error(
        "PostgreSQL at {place} has no such database; create it with `createdb`, or name another in the URL"
    )]
    NoDatabase { place: String, source: sqlx::Error },
    #[error("the user may not do this in PostgreSQL at {place}; grant it USAGE and CREATE on the schema")]
    Forbidden { place: String, source: sqlx::Error },
    #[error(
        "PostgreSQL at {place} took longer than the statement timeout; look for locks in pg_stat_activity, or allow more time"
    )]
    Slow { place: String, source: sqlx::Error },
    #[error("PostgreSQL at {place} refused a statement")]
    Refused { place: String, source: sqlx::Error },
    #[error("PostgreSQL at {place} holds something that this dspex cannot read: {what}; restore a backup")]
    Unreadable { place: String, what: String },
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// Whether the connection is gone, or the server goes or comes.
fn lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => code(error).is_some_and(|code| {
            code.starts_with("08") || ["57P01", "57P02", "57P03", "57P05", "53300"].contains(&code.as_str())
        }),
    }
}

/// Whether the same may succeed when it is done again.
fn passing(error: &sqlx::Error) -> bool {
    lost(error) || code(error).is_some_and(|code| code == "40001" || code == "40P01")
}

impl Database {
    /// A failure as the store's error.
    pub(super) fn error(&self, doing: &'static str, failure: Failure) -> StoreError {
        let place = self.place.clone();
        let trouble = match failure {
            Failure::Answer(error) => return error,
            Failure::Stored(what) => Trouble::Unreadable { place, what },
            Failure::Database(sqlx::Error::PoolClosed) => return StoreError::Closed,
            Failure::Database(sqlx::Error::PoolTimedOut) => Trouble::Busy { place },
            Failure::Database(source) => match code(&source).as_deref() {
                Some("53100") => return StoreError::Full,
                Some("28000" | "28P01") => Trouble::Denied { place, source },
                Some("3D000") => Trouble::NoDatabase { place, source },
                Some("42501") => Trouble::Forbidden { place, source },
                Some("57014" | "55P03") => Trouble::Slow { place, source },
                _ if lost(&source) => Trouble::Unreachable { place, source },
                None if matches!(source, sqlx::Error::Tls(_)) => Trouble::Unreachable { place, source },
                _ => Trouble::Refused { place, source },
            },
        };
        StoreError::Unavailable { doing, source: Box::new(trouble) }
    }

    /// What is behind a pool that gives no connection: the server, or that all of them are in use.
    async fn cause(&self, failure: Failure) -> Failure {
        if !matches!(failure, Failure::Database(sqlx::Error::PoolTimedOut)) {
            return failure;
        }
        let probe = tokio::time::timeout(PROBE, PgConnection::connect_with(&self.options)).await;
        match probe {
            Ok(Ok(connection)) => {
                // It was only to see whether there is one.
                let _ = connection.close().await;
                failure
            }
            Ok(Err(error)) => Failure::Database(error),
            Err(_) => Failure::Database(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }

    /// Attempts to do a thing.
    pub(super) fn attempts(&self, doing: &'static str) -> Attempts<'_> {
        Attempts { database: self, doing, until: Instant::now() + self.patience, pause: Duration::ZERO }
    }
}

/// Attempts to do a thing, again and again while the server is away, for as long as the store's patience.
pub(super) struct Attempts<'a> {
    database: &'a Database,
    doing: &'static str,
    until: Instant,
    pause: Duration,
}

impl Attempts<'_> {
    /// Waits for the time of the next attempt.
    pub(super) async fn again(&mut self, failure: Failure) -> Result<(), StoreError> {
        let retry = matches!(&failure, Failure::Database(error) if passing(error));
        if !retry || Instant::now() + self.pause >= self.until {
            let failure = self.database.cause(failure).await;
            return Err(self.database.error(self.doing, failure));
        }
        // A pool is full of broken connections after a restart: the first attempts come at once.
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).clamp(Duration::from_millis(2), Duration::from_millis(250));
        Ok(())
    }

    /// The thing cannot be done again, as nobody knows whether it was done.
    pub(super) fn give_up(&self, failure: Failure) -> StoreError {
        self.database.error(self.doing, failure)
    }
}

/// Does something that may be done twice until it succeeds.
macro_rules! attempt {
    ($database:expr, $doing:literal, $body:block) => {{
        let mut attempts = $database.attempts($doing);
        loop {
            let answer: Result<_, $crate::postgres::failure::Failure> = async { $body }.await;
            match answer {
                Ok(answer) => break Ok(answer),
                Err(failure) => {
                    if let Err(error) = attempts.again(failure).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}
pub(super) use attempt;
