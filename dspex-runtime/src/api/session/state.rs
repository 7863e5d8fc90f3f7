//! What all handles of a session share, and which sessions have handles.

use std::collections::BTreeMap;
use std::convert::Infallible;
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
use crate::api::SessionTools;
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
    renewal: Renewal,
    tools: Arc<SessionTools>,
    /// For a session that ends with its last handle: whether the store has it yet.
    temporary: Option<Temporary>,
}

/// When a session with a sliding lifetime was renewed. Its lifetime may change, so all of it is numbers that threads share.
#[derive(Debug)]
struct Renewal {
    /// Uses within so many milliseconds of the last one are not written down; `NEVER` for a lifetime that does not slide.
    every: AtomicU64,
    since: Instant,
    /// In milliseconds after `since`.
    last: AtomicU64,
}

/// The distance of renewals where there are none.
const NEVER: u64 = u64::MAX;

impl Renewal {
    fn of(lifetime: Lifetime) -> Self {
        let new = Self { every: AtomicU64::new(NEVER), since: Instant::now(), last: AtomicU64::new(0) };
        new.follow(lifetime);
        new
    }

    /// The session has this lifetime now.
    fn follow(&self, lifetime: Lifetime) {
        let every = match lifetime {
            Lifetime::Sliding(ttl) => u64::try_from((ttl / 16).as_millis()).unwrap_or(NEVER),
            _ => NEVER,
        };
        self.every.store(every, Ordering::Relaxed);
    }

    /// Whether a use now is to be written down. Of those who come at once, one writes.
    fn is_due(&self) -> bool {
        let every = self.every.load(Ordering::Relaxed);
        if every == NEVER {
            return false;
        }
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(NEVER);
        let before = self.last.load(Ordering::Relaxed);
        now.saturating_sub(before) >= every
            && self.last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Ends a session here: its calls are cancelled, later ones refused, and what it had is let go.
fn end(
    closed: &CancellationToken,
    calls: &TaskTracker,
    tools: &SessionTools,
    (state, key): (&State, SessionKey),
) {
    closed.cancel();
    calls.close();
    tools.clear();
    state.forget(key);
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
        let renewal = Renewal::of(lifetime);
        let tools = Arc::new(SessionTools::new(settings.tool_concurrency));
        let (settings, closed) = (RwLock::new(settings), CancellationToken::new());
        Self { id, key, state, settings, closed, calls: TaskTracker::new(), renewal, tools, temporary: None }
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

    /// The pool that its calls run in; none: the default one.
    pub(crate) fn pool(&self) -> Option<Arc<str>> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).pool.clone()
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

    /// The tools that it has now.
    pub(crate) fn tools(&self) -> &Arc<SessionTools> {
        &self.tools
    }

    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.calls
    }

    pub(crate) fn ensure_open(&self) -> Result<()> {
        if self.closed.is_cancelled() { Err(Error::SessionNotFound(self.id.clone())) } else { Ok(()) }
    }

    /// Ends it here: its calls are cancelled, and later ones are refused.
    pub(super) fn close(&self) {
        end(&self.closed, &self.calls, &self.tools, (&self.state, self.key));
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
        let record = self.ask(|store, key| store.update_session(key, change)).await?;
        self.renewal.follow(record.session.lifetime);
        Ok(record)
    }

    /// What the store has of it now.
    pub(super) async fn record(&self) -> Result<SessionRecord, StoreError> {
        self.present().await?;
        let record = self.state.store().session(&self.id).await?;
        // The id may have been given to another session.
        record
            .filter(|record| record.session.key == self.key)
            .ok_or_else(|| StoreError::SessionNotFound(self.id.clone()))
    }

    /// Takes over what another host changed in the store, such as the language model; what is only here stays as long as the
    /// store says the same as before.
    pub(super) fn follow(&self, record: &SessionRecord) {
        self.renewal.follow(record.session.lifetime);
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        if settings.write() != record.session.settings {
            *settings = Settings::read(&record.session.settings);
        }
    }

    /// Goes on for ever, and renews the session meanwhile: what runs in it uses it.
    pub(crate) async fn in_use(&self) -> Infallible {
        loop {
            let every = self.renewal.every.load(Ordering::Relaxed);
            if every == NEVER {
                return std::future::pending().await;
            }
            tokio::time::sleep(Duration::from_millis(every.max(1))).await;
            self.used();
        }
    }

    /// Writes a use down if it is time to. Whoever uses the session does not wait for that.
    pub(crate) fn used(&self) {
        // The time of one that the store does not have has not begun.
        if !self.is_unstored() && self.renewal.is_due() {
            let (state, key, id) = (self.state.clone(), self.key, self.id.clone());
            let (closed, calls, tools) = (self.closed.clone(), self.calls.clone(), self.tools.clone());
            tokio::spawn(async move {
                match state.store().touch(key).await {
                    Ok(()) => {}
                    Err(StoreError::SessionNotFound(_)) => end(&closed, &calls, &tools, (&state, key)),
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

    /// Ends the session of an id here; how many calls it had.
    pub(super) fn close(&self, id: &str) -> Option<(Arc<SessionState>, usize)> {
        let state = self.lock().remove(id).and_then(|entry| entry.state())?;
        // Counted before: some end in no time.
        let calls = state.calls.len();
        state.close();
        Some((state, calls))
    }

    /// Ends the session of a key here.
    pub(super) fn close_key(&self, key: SessionKey) {
        let found = self.lock().values().filter_map(Entry::state).find(|state| state.key == key);
        if let Some(state) = found {
            self.close(&state.id);
        }
    }

    /// Sessions with handles here.
    pub(crate) fn open(&self) -> usize {
        self.lock().values().filter_map(Entry::state).count()
    }

    /// How many calls run in sessions.
    pub(crate) fn calls(&self) -> usize {
        self.lock().values().filter_map(Entry::state).map(|state| state.calls.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Map operations leave the map whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
