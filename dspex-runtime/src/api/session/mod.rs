//! Sessions: who calls belong to, with their language model, adapter, variables and instances.

mod adapter;
mod config;
mod info;
mod instances;
mod sessions;
mod settings;
mod state;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use dspex_state::store::SessionChange;
use dspex_state::{Lifetime, Variables};
use serde_json::{Map, Value};

pub use adapter::Adapter;
pub use config::{SessionConfig, SessionId};
pub(crate) use info::SessionLimits;
pub use info::{Deleted, SessionFilter, SessionInfo, SessionStats};
pub use instances::{InstanceInfo, Instances};
pub use sessions::Sessions;
pub(crate) use state::{Registry, SessionState};
pub(crate) use sweep::start as start_sweeping;

use self::settings::SessionLm;
use super::Dspex;
use super::caller::{CallContext, Caller};
use super::dspy::Dspy;
use super::tools::Tools;
use crate::error::Result;
use crate::lm::Lm;
use crate::telemetry::TraceContext;

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

    /// The session's variables.
    #[must_use]
    pub fn variables(&self) -> Variables {
        self.state.variables()
    }

    /// The session's tools.
    #[must_use]
    pub fn tools(&self) -> Tools {
        Tools::new(self.clone())
    }

    /// The instances that the session keeps.
    #[must_use]
    pub fn instances(&self) -> Instances {
        Instances::new(self.clone())
    }

    /// What the session is now.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`](crate::Error::SessionNotFound) if it ended.
    pub async fn info(&self) -> Result<SessionInfo> {
        Ok(self.state.record().await?.into())
    }

    /// Merges a patch into the metadata, as RFC 7396 says: null removes, objects merge, all else replaces.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`](crate::Error::SessionNotFound) if it ended.
    pub async fn update_metadata(&self, patch: Map<String, Value>) -> Result<SessionInfo> {
        self.changed(|change| change.merge_metadata = Some(patch)).await
    }

    /// Replaces the metadata.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`](crate::Error::SessionNotFound) if it ended.
    pub async fn replace_metadata(&self, metadata: Map<String, Value>) -> Result<SessionInfo> {
        self.changed(|change| change.replace_metadata = Some(metadata)).await
    }

    /// The session ends so much later than it would. One without an end stays without.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`](crate::Error::SessionNotFound) if it ended.
    pub async fn extend_ttl(&self, by: Duration) -> Result<SessionInfo> {
        self.changed(|change| change.extend = Some(by)).await
    }

    /// Gives the session another lifetime, which begins now.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`](crate::Error::SessionNotFound) if it ended.
    pub async fn set_lifetime(&self, lifetime: Lifetime) -> Result<SessionInfo> {
        self.changed(|change| change.lifetime = Some(lifetime)).await
    }

    /// The language model of the session's later calls; those that run keep theirs. A durable store keeps its name and plain
    /// settings, but no key and no Rust object: give it again after a restart.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`](crate::Error::SessionNotFound) if the session ended.
    pub async fn set_lm(&self, lm: impl Into<Lm>) -> Result<()> {
        let lm = lm.into();
        self.set(|settings| settings.lm = SessionLm::Own(lm)).await
    }

    /// The adapter of the session's later calls.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`](crate::Error::SessionNotFound) if the session ended.
    pub async fn set_adapter(&self, adapter: Adapter) -> Result<()> {
        self.set(|settings| settings.adapter = Some(adapter)).await
    }

    /// A handle of this session whose calls belong to this trace.
    #[must_use]
    pub fn traced(&self, trace: TraceContext) -> Self {
        Self { dspex: self.dspex.traced(trace), state: self.state.clone() }
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

    pub(crate) fn of(dspex: Dspex, state: Arc<SessionState>) -> Self {
        Self { dspex, state }
    }

    /// The same session on another handle.
    pub(crate) fn on(self, dspex: Dspex) -> Self {
        Self { dspex, state: self.state }
    }

    pub(crate) fn state(&self) -> &Arc<SessionState> {
        &self.state
    }

    async fn set(&self, change: impl FnOnce(&mut settings::Settings)) -> Result<()> {
        self.state.ensure_open()?;
        let written = self.state.set(change);
        if self.state.is_unstored() {
            return Ok(());
        }
        self.changed(|change| change.merge_settings = Some(written)).await.map(drop)
    }

    async fn changed(&self, set: impl FnOnce(&mut SessionChange)) -> Result<SessionInfo> {
        let mut change = SessionChange::default();
        set(&mut change);
        Ok(self.state.change(change).await?.into())
    }
}

impl Caller for Session {
    fn context(&self) -> CallContext {
        CallContext {
            runtime: self.dspex.runtime.clone(),
            session: Some(self.state.clone()),
            standing: self.dspex.standing.clone(),
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish_non_exhaustive()
    }
}
