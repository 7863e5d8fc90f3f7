//! Connections for reading. A reader sees the store as it was at the last commit and waits for no writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::located;
use super::open;
use crate::store::StoreError;

/// So many read at once; more wait.
const CONNECTIONS: usize = 4;

/// The connections, opened as they are needed.
#[derive(Clone, Debug)]
pub(super) struct Readers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Arc::new(Inner { path, places: Arc::new(Semaphore::new(CONNECTIONS)), idle: Mutex::default() }))
    }

    /// Reads right here, which should take microseconds.
    pub(super) async fn at_once<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _place = self.0.places.acquire().await.map_err(|_| StoreError::Closed)?;
        self.0.with(read)
    }

    /// Reads on a thread that may block.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = self.0.places.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let inner = self.0.clone();
        let read = move || {
            let outcome = inner.with(read);
            // Even if nobody waits any more, the place is free only now.
            drop(place);
            outcome
        };
        let outcome = tokio::task::spawn_blocking(read).await;
        // The runtime shuts down, or reading panicked.
        outcome.map_err(|source| StoreError::Unavailable { doing: "read", source: source.into() })?
    }

    /// Refuses everything from now on, waits for what is being read, and closes the connections.
    pub(super) async fn close(&self) {
        if let Ok(all) = self.0.places.acquire_many(CONNECTIONS as u32).await {
            all.forget();
        }
        self.0.places.close();
        self.0.idle().clear();
    }
}

impl Inner {
    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reader(&self.path)?,
        };
        let outcome = read(&connection).map_err(|error| located(error, &self.path));
        self.idle().push(connection);
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        // Pushing and popping leave the list whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
