//! The embedded store: SQLite, in one file, for one process at a time.
//!
//! One thread writes and groups what waits into transactions; readers see the last commit and wait for nobody. Values live in
//! the log of writes, once; a variable points to the write that set it.

mod error;
mod instances;
mod large;
mod lock;
mod log;
mod open;
mod readers;
mod sessions;
mod stale;
mod time;
mod upkeep;
mod variables;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::{RwLock, broadcast};

pub use time::{Clock, SystemClock};

use self::error::located;
use self::large::Large;
use self::lock::Lock;
use self::open::Durability;
use self::readers::Readers;
use self::variables::Reading;
use self::writer::{Undo, Writer};
use crate::record::{
    Change, InstanceRecord, NewSession, Revision, SessionKey, SessionRecord, VariableRecord,
};
use crate::store::{
    Answer, Batch, Committed, Hint, Retention, SessionChange, SessionQuery, StateStore, StoreError, Totals,
    VariableQuery,
};
use crate::value::Value;

/// So many hints wait for a slow listener, who is then told that some were lost.
const HINTS: usize = 4096;

/// How a [`SqliteStore`] is to be opened.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open` or `ephemeral`"]
pub struct SqliteOptions {
    retention: Retention,
    clock: Arc<dyn Clock>,
    max_bytes: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { retention: Retention::default(), clock: Arc::new(SystemClock), max_bytes: None }
    }
}

impl SqliteOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much of the earlier writes is kept.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Where the time comes from; the machine's clock if nothing is said.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How large the file may grow, so that it leaves room on its disk; rounded to pages of 4 KiB. Writes beyond that are
    /// [`StoreError::Full`]. Not limited if nothing is said.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// A store in a file, which is made if it is not there. What was answered survives the loss of power.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if another process has it; [`StoreError::Foreign`], [`StoreError::Newer`] and
    /// [`StoreError::Corrupt`] for a file that is not one of this dspex. No file is ever replaced.
    pub fn open(self, path: impl Into<PathBuf>) -> Result<SqliteStore, StoreError> {
        SqliteStore::start(self, path.into(), Durability::Full, None)
    }

    /// A store that ends with the process: in a file of a temporary directory, and large values in memory.
    ///
    /// # Errors
    ///
    /// If there is no room for the directory.
    pub fn ephemeral(self) -> Result<SqliteStore, StoreError> {
        stale::remove(&std::env::temp_dir());
        let directory = tempfile::Builder::new().prefix(stale::PREFIX).tempdir().map_err(|source| {
            StoreError::Unavailable { doing: "make a temporary directory", source: source.into() }
        })?;
        let path = directory.path().join(stale::FILE);
        SqliteStore::start(self, path, Durability::None, Some(directory))
    }
}

/// A store in a file of SQLite. Cheap to clone; all clones are the same store.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("state.db");
/// use dspex_state::{SqliteStore, store::StateStore};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = SqliteStore::open(path)?;
/// assert_eq!(store.totals().await?.sessions, 0);
/// # Ok::<(), dspex_state::store::StoreError>(()) })?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: SqliteOptions,
    /// None once the store is closed.
    writer: RwLock<Option<Writer>>,
    readers: Readers,
    large: Large,
    hints: broadcast::Sender<Hint>,
    // In this order: the lock goes after the connections, and the directory last.
    lock: std::sync::Mutex<Option<Lock>>,
    _directory: Option<TempDir>,
}

impl SqliteStore {
    /// A store in a file, with the defaults of [`SqliteOptions`].
    ///
    /// # Errors
    ///
    /// As for [`SqliteOptions::open`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        SqliteOptions::new().open(path)
    }

    /// A store that ends with the process, with the defaults of [`SqliteOptions`].
    ///
    /// # Errors
    ///
    /// As for [`SqliteOptions::ephemeral`].
    pub fn ephemeral() -> Result<Self, StoreError> {
        SqliteOptions::new().ephemeral()
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn start(
        options: SqliteOptions,
        path: PathBuf,
        durability: Durability,
        directory: Option<TempDir>,
    ) -> Result<Self, StoreError> {
        let lock = Lock::take(&path)?;
        let connection = open::writer(&path, durability, options.max_bytes)?;
        // Their process is gone: two cannot have the file at once.
        sessions::run(&connection, "DELETE FROM session WHERE temporary", [])
            .map_err(|error| located(error, &path))?;
        Ok(Self(Arc::new(Inner {
            readers: Readers::new(path.clone()),
            writer: RwLock::new(Some(Writer::start(connection)?)),
            large: Large::new(durability == Durability::None),
            hints: broadcast::Sender::new(HINTS),
            lock: std::sync::Mutex::new(Some(lock)),
            options,
            path,
            _directory: directory,
        })))
    }

    fn now(&self) -> i64 {
        time::to_millis(self.0.options.clock.now())
    }

    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection, &Inner) -> Result<T, StoreError> + Send + 'static,
        after: impl FnOnce(&Inner, &T) + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_or_undo(Undo::Savepoint, write, after).await
    }

    async fn write_or_undo<T: Send + 'static>(
        &self,
        undo: Undo,
        write: impl FnOnce(&Connection, &Inner) -> Result<T, StoreError> + Send + 'static,
        after: impl FnOnce(&Inner, &T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let (one, other) = (self.0.clone(), self.0.clone());
        let writer = self.0.writer.read().await;
        let writer = writer.as_ref().ok_or(StoreError::Closed)?;
        let write = move |connection: &Connection| write(connection, &one);
        let outcome = writer.write(undo, write, move |value| after(&other, value)).await;
        outcome.map_err(|error| located(error, &self.0.path))
    }

    /// Reads on a thread that may block. A large value that is only in memory may go while a reader still sees the row that
    /// has it, so that such a reader looks again.
    async fn read_aside<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection, &Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.0.clone();
        let again = move |connection: &Connection| {
            let mut outcome = read(connection, &inner);
            for _ in 0..8 {
                match &outcome {
                    Err(StoreError::Corrupt { reason, .. })
                        if inner.large.only_here && reason == large::GONE =>
                    {
                        outcome = read(connection, &inner);
                    }
                    _ => break,
                }
            }
            outcome
        };
        self.0.readers.aside(again).await
    }

    async fn read_value(&self, key: SessionKey, name: &str) -> Result<Option<(Value, Revision)>, StoreError> {
        let read =
            |connection: &Connection, now| variables::read(connection, key, name, now).map(|one| vec![one]);
        Ok(self.settle(key, read).await?.pop().flatten())
    }

    async fn read_values(
        &self,
        key: SessionKey,
        names: &[String],
    ) -> Result<Vec<Option<(Value, Revision)>>, StoreError> {
        self.settle(key, |connection, now| variables::read_together(connection, key, names, now)).await
    }

    /// Reads values, and then the large ones among them. Those may be overwritten between the two looks; then all is read
    /// again, so that what is answered was there together.
    async fn settle(
        &self,
        key: SessionKey,
        read: impl Fn(&Connection, i64) -> Result<Vec<Reading>, StoreError>,
    ) -> Result<Vec<Option<(Value, Revision)>>, StoreError> {
        'again: for _ in 0..8 {
            let now = self.now();
            let readings = self.0.readers.at_once(|connection| read(connection, now)).await?;
            let mut values = Vec::with_capacity(readings.len());
            for reading in readings {
                values.push(match reading {
                    Reading::Absent => None,
                    Reading::Value(value, version) => Some((value, version)),
                    Reading::Large(place) => match self.large_value(key, place).await? {
                        Some(value) => Some((value, place.0)),
                        None => continue 'again,
                    },
                });
            }
            return Ok(values);
        }
        Err(StoreError::Corrupt { path: self.0.path.clone(), reason: large::GONE.to_owned() })
    }

    async fn large_value(&self, key: SessionKey, place: large::Place) -> Result<Option<Value>, StoreError> {
        if let Some(value) = self.0.large.get(key, place) {
            return Ok(Some(value));
        }
        let found =
            self.0.readers.aside(move |connection| variables::value_at(connection, key, place)).await?;
        if let Some(value) = &found {
            self.0.large.put(key, place, value.clone());
        }
        Ok(found)
    }
}

impl Inner {
    fn ended(&self, key: SessionKey) {
        self.large.remove_session(key);
        // Nobody may be listening.
        let _ = self.hints.send(Hint::Ended(key));
    }
}

impl StateStore for SqliteStore {
    fn create_session(&self, session: NewSession, limit: Option<u64>) -> Answer<'_, SessionRecord> {
        let now = self.now();
        self.write(move |connection, _| sessions::create(connection, &session, limit, now), |_, _| ()).boxed()
    }

    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Option<SessionRecord>> {
        let now = self.now();
        self.0.readers.at_once(move |connection| sessions::by_id(connection, id, now)).boxed()
    }

    fn sessions<'a>(&'a self, query: &'a SessionQuery) -> Answer<'a, Vec<SessionRecord>> {
        let (query, now) = (query.clone(), self.now());
        self.read_aside(move |connection, _| sessions::list(connection, &query, now)).boxed()
    }

    fn update_session(&self, key: SessionKey, change: SessionChange) -> Answer<'_, SessionRecord> {
        let now = self.now();
        self.write(move |connection, _| sessions::update(connection, key, change, now), |_, _| ()).boxed()
    }

    fn touch(&self, key: SessionKey) -> Answer<'_, ()> {
        let now = self.now();
        self.write(move |connection, _| sessions::touch(connection, key, now), |_, ()| ()).boxed()
    }

    fn delete_session(&self, key: SessionKey) -> Answer<'_, bool> {
        let now = self.now();
        self.write(
            move |connection, _| sessions::delete(connection, key, now),
            move |inner, _| inner.ended(key),
        )
        .boxed()
    }

    fn expire(&self, limit: u32) -> Answer<'_, Vec<(SessionKey, String)>> {
        let now = self.now();
        let ended = |inner: &Inner, ended: &Vec<(SessionKey, String)>| {
            ended.iter().for_each(|(key, _)| inner.ended(*key))
        };
        self.write(move |connection, _| sessions::expire(connection, limit, now), ended).boxed()
    }

    fn totals(&self) -> Answer<'_, Totals> {
        let now = self.now();
        self.read_aside(move |connection, _| sessions::totals(connection, now)).boxed()
    }

    fn commit(&self, key: SessionKey, batch: Batch) -> Answer<'_, Committed> {
        let (now, undo) = (self.now(), variables::undo(&batch));
        let write = move |connection: &Connection, inner: &Inner| {
            let kept = (&inner.options.retention, inner.large.only_here);
            let mut written = variables::commit(connection, key, batch, now, kept)?;
            // Before the commit: nobody may see a row whose value is not there. If the commit fails, the next batch has the
            // same revision and puts its own values here.
            for (place, value) in std::mem::take(&mut written.large) {
                inner.large.put(key, place, value);
            }
            Ok(written)
        };
        let after = move |inner: &Inner, written: &variables::Written| {
            inner.large.remove(key, &written.pruned);
            let _ = inner.hints.send(Hint::Written(key, written.committed.revision));
        };
        self.write_or_undo(undo, write, after).map(|outcome| outcome.map(|written| written.committed)).boxed()
    }

    fn read<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<(Value, Revision)>> {
        self.read_value(key, name).boxed()
    }

    fn read_together<'a>(
        &'a self,
        key: SessionKey,
        names: &'a [String],
    ) -> Answer<'a, Vec<Option<(Value, Revision)>>> {
        self.read_values(key, names).boxed()
    }

    fn variable<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<VariableRecord>> {
        let (name, now) = (name.to_owned(), self.now());
        self.read_aside(move |connection, inner| variables::one(connection, key, &name, now, &inner.large))
            .boxed()
    }

    fn variables<'a>(&'a self, key: SessionKey, query: &'a VariableQuery) -> Answer<'a, Vec<VariableRecord>> {
        let (query, now) = (query.clone(), self.now());
        self.read_aside(move |connection, inner| variables::list(connection, key, &query, now, &inner.large))
            .boxed()
    }

    fn history<'a>(&'a self, key: SessionKey, name: &'a str, limit: u32) -> Answer<'a, Vec<Change>> {
        let (name, now) = (name.to_owned(), self.now());
        self.read_aside(move |connection, inner| {
            log::history(connection, key, &name, limit, (now, &inner.large))
        })
        .boxed()
    }

    fn changes(&self, key: SessionKey, after: Revision, limit: u32) -> Answer<'_, (Vec<Change>, Revision)> {
        let now = self.now();
        self.read_aside(move |connection, inner| {
            log::changes(connection, key, after, limit, (now, &inner.large))
        })
        .boxed()
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.0.hints.subscribe()
    }

    fn put_instance(&self, key: SessionKey, instance: InstanceRecord) -> Answer<'_, ()> {
        let now = self.now();
        self.write(move |connection, _| instances::put(connection, key, &instance, now), |_, ()| ()).boxed()
    }

    fn instances(&self, key: SessionKey) -> Answer<'_, Vec<InstanceRecord>> {
        let now = self.now();
        self.read_aside(move |connection, _| instances::list(connection, key, now)).boxed()
    }

    fn delete_instance<'a>(&'a self, key: SessionKey, id: &'a str) -> Answer<'a, bool> {
        let (id, now) = (id.to_owned(), self.now());
        self.write(move |connection, _| instances::delete(connection, key, &id, now), |_, _| ()).boxed()
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, ()> {
        if self.0.large.only_here {
            let source = "large values of a store that ends with the process are in no file".into();
            return futures::future::ready(Err(StoreError::Unavailable { doing: "write the copy", source }))
                .boxed();
        }
        let to = to.to_owned();
        self.read_aside(move |_, inner| upkeep::backup(&inner.path, &to)).boxed()
    }

    fn check(&self) -> Answer<'_, Vec<String>> {
        self.read_aside(|connection, _| upkeep::check(connection)).boxed()
    }

    fn close(&self) -> Answer<'_, ()> {
        let close = async {
            // Waits for those that write; dropping the writer waits for its thread.
            let writer = self.0.writer.write().await.take();
            let joined = tokio::task::spawn_blocking(move || drop(writer)).await;
            self.0.readers.close().await;
            let lock = self.0.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            drop(lock);
            joined.map_err(|source| StoreError::Unavailable { doing: "close", source: source.into() })
        };
        close.boxed()
    }
}
