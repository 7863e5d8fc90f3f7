//! What all handles of a session share, and which sessions have handles.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use dspex_state::store::{Answer, SessionChange, StateStore, StoreError};
use dspex_state::{Lifetime, NewSession, Presence, SessionKey, SessionRecord, State, Variables};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Adapter;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::lm::Lm;

/// What all handles of a session share.
#[derive(Debug)]
pub(crate) struct SessionState {
    id: String,
    key: SessionKey,
    state: State,
    settings: RwLock<Settings>,
    closed: CancellationToken,
    /// The calls that Python has not ended.
    calls: TaskTracker,
    renewal: Option<Renewal>,
    /// For a session that ends with its last handle: whether the store has it yet.
    temporary: Option<Temporary>,
}

/// When a session with a sliding lifetime was renewed.
#[derive(Debug)]
struct Renewal {
    /// Uses within this of the last one are not written down.
    every: Duration,
    since: Instant,
    /// In milliseconds after `since`.
    last: AtomicU64,
}

/// A temporary session is in its store only once it has something there, so that most of them never are.
#[derive(Debug)]
struct Temporary {
    session: NewSession,
    limit: Option<u64>,
    stored: OnceCell<()>,
    /// Where what it has in the store is removed.
    runtime: Option<tokio::runtime::Handle>,
}

impl SessionState {
    /// A session that its store has.
    pub(super) fn of(record: &SessionRecord, settings: Settings, state: State) -> Arc<Self> {
        let session = &record.session;
        Arc::new(Self::new(session.id.clone(), session.key, session.lifetime, settings, state))
    }

    /// A session that ends with its last handle.
    pub(super) fn temporary(
        session: NewSession,
        settings: Settings,
        state: State,
        limit: Option<u64>,
    ) -> Arc<Self> {
        let mut new = Self::new(session.id.clone(), session.key, session.lifetime, settings, state);
        let runtime = tokio::runtime::Handle::try_current().ok();
        new.temporary = Some(Temporary { session, limit, stored: OnceCell::new(), runtime });
        Arc::new(new)
    }

    fn new(id: String, key: SessionKey, lifetime: Lifetime, settings: Settings, state: State) -> Self {
        let renewal = match lifetime {
            Lifetime::Sliding(ttl) => {
                Some(Renewal { every: ttl / 16, since: Instant::now(), last: AtomicU64::new(0) })
            }
            _ => None,
        };
        let (settings, closed) = (RwLock::new(settings), CancellationToken::new());
        Self { id, key, state, settings, closed, calls: TaskTracker::new(), renewal, temporary: None }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// Asks the store something about the session.
    pub(super) async fn ask<'a, T, F>(&'a self, question: F) -> Result<T, StoreError>
    where
        F: FnOnce(&'a dyn StateStore, SessionKey) -> Answer<'a, T>,
    {
        self.present().await?;
        question(&**self.state.store(), self.key).await.map_err(|error| match error {
            // Programs know the session by its id.
            StoreError::SessionNotFound(_) => StoreError::SessionNotFound(self.id.clone()),
            other => other,
        })
    }

    /// The session's variables.
    pub(crate) fn variables(self: &Arc<Self>) -> Variables {
        self.state.variables(self.key).with_presence(self.clone())
    }

    /// The session's own language model.
    pub(crate) fn lm(&self) -> Result<Option<Lm>> {
        // Assignments cannot leave settings half-written.
        self.settings.read().unwrap_or_else(PoisonError::into_inner).own_lm()
    }

    pub(crate) fn adapter(&self) -> Option<Adapter> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).adapter
    }

    /// Changes the settings; what is to be written down of them.
    pub(super) fn set(
        &self,
        change: impl FnOnce(&mut Settings),
    ) -> serde_json::Map<String, serde_json::Value> {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut settings);
        settings.write()
    }

    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.calls
    }

    pub(crate) fn ensure_open(&self) -> Result<()> {
        if self.closed.is_cancelled() { Err(Error::SessionNotFound(self.id.clone())) } else { Ok(()) }
    }

    /// Ends it here: its calls are cancelled, and later ones are refused.
    pub(super) fn close(&self) {
        self.closed.cancel();
        self.calls.close();
        self.state.forget(self.key);
    }

    /// Completes when the session was ended.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Whether it is a temporary session that has nothing in the store.
    pub(super) fn is_unstored(&self) -> bool {
        self.temporary.as_ref().is_some_and(|temporary| !temporary.stored.initialized())
    }

    /// Changes what the store keeps of it.
    pub(super) async fn change(&self, change: SessionChange) -> Result<SessionRecord, StoreError> {
        self.ask(|store, key| store.update_session(key, change)).await
    }

    /// Writes a use down if it is time to. Whoever uses the session does not wait for that.
    pub(crate) fn used(&self) {
        let Some(Renewal { every, since, last }) = &self.renewal else { return };
        let now = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = last.load(Ordering::Relaxed);
        let due = now.saturating_sub(before) >= u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        // Of those who come at once, one writes.
        if due && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let (store, key, id, closed) =
                (self.state.store().clone(), self.key, self.id.clone(), self.closed.clone());
            tokio::spawn(async move {
                match store.touch(key).await {
                    Ok(()) => {}
                    Err(StoreError::SessionNotFound(_)) => closed.cancel(),
                    Err(error) => {
                        tracing::warn!(target: "dspex::sessions", session = %id, %error, "not renewed")
                    }
                }
            });
        }
    }
}

impl Presence for SessionState {
    fn id(&self) -> &str {
        &self.id
    }

    fn present(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let present = async {
            if self.closed.is_cancelled() {
                return Err(StoreError::SessionNotFound(self.id.clone()));
            }
            if let Some(temporary) = &self.temporary {
                temporary.present(&self.state).await?;
            }
            self.used();
            Ok(())
        };
        present.boxed()
    }
}

impl Temporary {
    async fn present(&self, state: &State) -> Result<(), StoreError> {
        let create =
            || async { state.store().create_session(self.session.clone(), self.limit).await.map(drop) };
        self.stored.get_or_try_init(create).await.copied()
    }
}

impl Drop for SessionState {
    fn drop(&mut self) {
        // Its last handle is gone; what it has in the store goes with it. Should the process end before that, the store
        // removes it when it is opened again.
        let Some(Temporary { stored, runtime: Some(runtime), .. }) = &self.temporary else { return };
        if stored.initialized() && !self.closed.is_cancelled() {
            let (store, key) = (self.state.store().clone(), self.key);
            self.state.forget(key);
            runtime.spawn(async move {
                if let Err(error) = store.delete_session(key).await {
                    tracing::debug!(target: "dspex::sessions", %error, "a temporary session stays in its store");
                }
            });
        }
    }
}

/// The sessions that have handles, or a language model that only this process has.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    open: Mutex<BTreeMap<String, Entry>>,
    /// So many entries are looked through for those that ended.
    sweep_at: AtomicUsize,
}

#[derive(Debug)]
enum Entry {
    Named(Arc<SessionState>),
    /// Lives as long as its handles.
    Temporary(Weak<SessionState>),
}

impl Entry {
    fn state(&self) -> Option<Arc<SessionState>> {
        match self {
            Self::Named(state) => Some(state.clone()),
            Self::Temporary(state) => state.upgrade(),
        }
        .filter(|state| !state.closed.is_cancelled())
    }
}

impl Registry {
    /// The session of an id, if it has handles here.
    pub(super) fn get(&self, id: &str) -> Option<Arc<SessionState>> {
        self.lock().get(id).and_then(Entry::state)
    }

    /// Keeps a named session, in the place of one that ended. If another was faster for the same session, that one.
    pub(super) fn keep(&self, state: Arc<SessionState>) -> Arc<SessionState> {
        let mut open = self.lock();
        if let Some(earlier) = open.get(&state.id).and_then(Entry::state) {
            if earlier.key == state.key {
                return earlier;
            }
            // The store gave the id to another session, so the earlier one is gone.
            earlier.close();
        }
        open.insert(state.id.clone(), Entry::Named(state.clone()));
        state
    }

    /// Knows a temporary session as long as it has handles.
    pub(super) fn watch(&self, state: &Arc<SessionState>) {
        let mut open = self.lock();
        // Those that ended leave their entries until there are as many again, so that each costs a constant on average.
        if open.len() >= self.sweep_at.load(Ordering::Relaxed) {
            open.retain(|_, entry| entry.state().is_some());
            self.sweep_at.store((2 * open.len()).max(64), Ordering::Relaxed);
        }
        open.insert(state.id.clone(), Entry::Temporary(Arc::downgrade(state)));
    }

    /// Ends the session of an id here.
    pub(super) fn close(&self, id: &str) -> Option<Arc<SessionState>> {
        let state = self.lock().remove(id).and_then(|entry| entry.state())?;
        state.close();
        Some(state)
    }

    /// Ends the session of a key here.
    pub(super) fn close_key(&self, key: SessionKey) {
        let found = self.lock().values().filter_map(Entry::state).find(|state| state.key == key);
        if let Some(state) = found {
            self.close(&state.id);
        }
    }

    /// How many calls run in sessions.
    pub(super) fn calls(&self) -> usize {
        self.lock().values().filter_map(Entry::state).map(|state| state.calls.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Map operations leave the map whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
