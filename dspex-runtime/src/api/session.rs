//! Sessions: who calls belong to, with their language model, adapter and instances.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Dspex;
use super::caller::{CallContext, Caller};
use super::dspy::Dspy;
use crate::error::{Error, Result};
use crate::lm::Lm;

/// How DSPy turns a signature into a prompt, and the answer into values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adapter {
    /// DSPy's own choice: chat, with JSON where the answer could not be read.
    #[default]
    Default,
    /// `dspy.ChatAdapter`: fields between `[[ ## name ## ]]` marks.
    Chat,
    /// `dspy.JSONAdapter`: a JSON object, with the provider's structured outputs where it has them.
    Json,
    /// `dspy.XMLAdapter`: fields between `<name>` tags.
    Xml,
}

impl Adapter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Chat => "chat",
            Self::Json => "json",
            Self::Xml => "xml",
        }
    }
}

/// What a session begins with.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SessionConfig {
    lm: Option<Lm>,
    adapter: Option<Adapter>,
}

impl SessionConfig {
    /// The language model and adapter of the [`Dspex`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The session's own language model.
    pub fn lm(mut self, lm: impl Into<Lm>) -> Self {
        self.lm = Some(lm.into());
        self
    }

    /// The session's own adapter.
    pub fn adapter(mut self, adapter: Adapter) -> Self {
        self.adapter = Some(adapter);
        self
    }
}

/// The sessions of a [`Dspex`].
///
/// ```no_run
/// # async fn run(dspex: dspex_runtime::Dspex) -> dspex_runtime::Result<()> {
/// use dspex_runtime::{Lm, SessionConfig};
///
/// let session = dspex.sessions().create("tenant-7", SessionConfig::new().lm(Lm::new("openai/gpt-4o-mini")))?;
/// assert_eq!(dspex.sessions().get("tenant-7")?.id(), session.id());
/// dspex.sessions().delete("tenant-7")?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    dspex: Dspex,
}

impl Sessions {
    pub(crate) fn new(dspex: Dspex) -> Self {
        Self { dspex }
    }

    /// A named session, which lives until it is deleted.
    ///
    /// # Errors
    ///
    /// [`Error::SessionExists`] if the name is taken.
    pub fn create(&self, id: impl Into<String>, config: SessionConfig) -> Result<Session> {
        let id = id.into();
        let mut open = self.registry().lock();
        if open.get(&id).is_some_and(|entry| entry.state().is_some()) {
            return Err(Error::SessionExists(id));
        }
        let state = SessionState::new(id.clone(), config);
        open.insert(id, Entry::Named(state.clone()));
        Ok(Session { dspex: self.dspex.clone(), state })
    }

    /// A session with an id that nobody can guess, which ends when its last handle is dropped.
    #[must_use]
    pub fn temporary(&self, config: SessionConfig) -> Session {
        let id = Uuid::new_v4().simple().to_string();
        let state = SessionState::new(id.clone(), config);
        let mut open = self.registry().lock();
        // Those that ended leave their entries until there are as many again, so that each costs a constant on average.
        let sweep_at = &self.registry().sweep_at;
        if open.len() >= sweep_at.load(Ordering::Relaxed) {
            open.retain(|_, entry| entry.state().is_some());
            sweep_at.store((2 * open.len()).max(64), Ordering::Relaxed);
        }
        open.insert(id, Entry::Temporary(Arc::downgrade(&state)));
        Session { dspex: self.dspex.clone(), state }
    }

    /// A session by its id.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`].
    pub fn get(&self, id: &str) -> Result<Session> {
        let state = self.registry().lock().get(id).and_then(Entry::state);
        let state = state.ok_or_else(|| Error::SessionNotFound(id.to_owned()))?;
        Ok(Session { dspex: self.dspex.clone(), state })
    }

    /// Ends a session: its calls are cancelled in Python, and later ones are refused.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`].
    pub fn delete(&self, id: &str) -> Result<()> {
        let entry = self.registry().lock().remove(id).and_then(|entry| entry.state());
        entry.ok_or_else(|| Error::SessionNotFound(id.to_owned())).map(|state| state.closed.cancel())
    }

    /// The ids of all sessions that live, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let open = self.registry().lock();
        open.iter().filter(|(_, entry)| entry.state().is_some()).map(|(id, _)| id.clone()).collect()
    }

    fn registry(&self) -> &Registry {
        &self.dspex.runtime.sessions
    }
}

/// A session. Cheap to clone; all clones are the same session.
#[derive(Clone)]
pub struct Session {
    dspex: Dspex,
    state: Arc<SessionState>,
}

impl Session {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.state.id()
    }

    /// The language model of the session's later calls; those that run keep theirs.
    pub fn set_lm(&self, lm: impl Into<Lm>) {
        self.state.settings_mut().lm = Some(lm.into());
    }

    /// The adapter of the session's later calls.
    pub fn set_adapter(&self, adapter: Adapter) {
        self.state.settings_mut().adapter = Some(adapter);
    }

    /// DSPy by dotted paths, within this session.
    #[must_use]
    pub fn dspy(&self) -> Dspy {
        Dspy::new(self.context())
    }

    /// The [`Dspex`] that the session belongs to.
    #[must_use]
    pub fn dspex(&self) -> &Dspex {
        &self.dspex
    }
}

impl Caller for Session {
    fn context(&self) -> CallContext {
        CallContext { runtime: self.dspex.runtime.clone(), session: Some(self.state.clone()) }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// What all handles of a session share.
pub(crate) struct SessionState {
    id: String,
    settings: RwLock<SessionConfig>,
    closed: CancellationToken,
}

impl SessionState {
    fn new(id: String, config: SessionConfig) -> Arc<Self> {
        Arc::new(Self { id, settings: RwLock::new(config), closed: CancellationToken::new() })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn lm(&self) -> Option<Lm> {
        // Assignments cannot leave settings half-written.
        self.settings.read().unwrap_or_else(PoisonError::into_inner).lm.clone()
    }

    pub(crate) fn adapter(&self) -> Option<Adapter> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).adapter
    }

    fn settings_mut(&self) -> std::sync::RwLockWriteGuard<'_, SessionConfig> {
        self.settings.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ensure_open(&self) -> Result<()> {
        if self.closed.is_cancelled() { Err(Error::SessionNotFound(self.id.clone())) } else { Ok(()) }
    }

    /// Completes when the session was deleted.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

/// The sessions that live.
#[derive(Default)]
pub(crate) struct Registry {
    open: Mutex<BTreeMap<String, Entry>>,
    /// So many entries are looked through for those that ended.
    sweep_at: AtomicUsize,
}

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
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Map operations leave the map whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
