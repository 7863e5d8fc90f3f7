//! All sessions: making, finding, listing and ending them.

use std::sync::Arc;
use std::time::Duration;

use dspex_state::store::{SessionQuery, StoreError};
use dspex_state::{NewSession, SessionKey};

use super::info::{Deleted, SessionFilter, SessionInfo, SessionStats};
use super::settings::Settings;
use super::state::{Registry, SessionState};
use super::{Session, SessionConfig, SessionId};
use crate::api::Dspex;
use crate::error::{Error, Result};

/// The sessions of a [`Dspex`].
///
/// ```no_run
/// # async fn run(dspex: dspex_runtime::Dspex) -> dspex_runtime::Result<()> {
/// use std::time::Duration;
/// use dspex_runtime::{Lm, SessionConfig};
///
/// let config = SessionConfig::new().lm(Lm::new("openai/gpt-4o-mini")).ttl(Duration::from_secs(7200));
/// let session = dspex.sessions().create("tenant-7", config).await?;
/// assert_eq!(dspex.sessions().get("tenant-7").await?.id(), session.id());
/// dspex.sessions().delete("tenant-7").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    dspex: Dspex,
}

impl Sessions {
    /// So long [`delete`](Self::delete) waits for Python to end the session's calls.
    pub const DELETE_DEADLINE: Duration = Duration::from_secs(5);

    pub(crate) fn new(dspex: Dspex) -> Self {
        Self { dspex }
    }

    /// Makes a session, which lives until its time is over or it is deleted. [`SessionId::generate`] gives an id that nobody can
    /// guess; one that was deleted may be given again, to another session that has nothing of the earlier one.
    ///
    /// # Errors
    ///
    /// [`Error::SessionExists`] if the id is taken, [`Error::Store`] if there may be no more sessions, [`Error::PoolNotFound`] for a
    /// pool that there is not.
    pub async fn create(&self, id: impl Into<SessionId>, config: SessionConfig) -> Result<Session> {
        if let Some(pool) = &config.pool {
            self.dspex.runtime.bridge.check_pool(pool)?;
        }
        let (session, settings) = self.new_session(id.into().checked()?, config, false);
        let state = &self.dspex.runtime.state;
        let record = state.store().create_session(session, self.dspex.runtime.limits.sessions).await?;
        Ok(self.handle(self.registry().keep(SessionState::of(&record, settings, state.clone()))))
    }

    /// A session that ends when its last handle is dropped, with an id that nobody can guess. It costs nothing in the store
    /// before it has a variable.
    #[must_use]
    pub fn temporary(&self, config: SessionConfig) -> Session {
        let (session, settings) = self.new_session(SessionId::generate().to_string(), config, true);
        let runtime = &self.dspex.runtime;
        let state =
            SessionState::temporary(session, settings, runtime.state.clone(), runtime.limits.sessions);
        self.registry().watch(&state);
        self.handle(state)
    }

    /// A session by its id: one of this process, or one that the store has, of an earlier process or another host.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`].
    pub async fn get(&self, id: &str) -> Result<Session> {
        let here = self.registry().get(id);
        let state = &self.dspex.runtime.state;
        match (state.store().session(id).await?, here) {
            (Some(record), Some(here)) if here.key() == record.session.key => {
                here.follow(&record);
                Ok(self.handle(here))
            }
            (Some(record), _) => {
                let settings = Settings::read(&record.session.settings);
                Ok(self.handle(self.registry().keep(SessionState::of(&record, settings, state.clone()))))
            }
            // It is in the store only once it has something there.
            (None, Some(here)) if here.is_unstored() => Ok(self.handle(here)),
            (None, _) => {
                self.registry().close(id);
                Err(Error::SessionNotFound(id.to_owned()))
            }
        }
    }

    /// A session by its id, or a new one. The configuration is for a new one alone.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if there may be no more sessions.
    pub async fn get_or_create(&self, id: impl Into<SessionId>, config: SessionConfig) -> Result<Session> {
        let id = id.into();
        loop {
            match self.get(id.as_str()).await {
                Err(Error::SessionNotFound(_)) => {}
                other => return other,
            }
            match self.create(id.clone(), config.clone()).await {
                // Somebody else was faster; unless it ended at once, it is there.
                Err(Error::SessionExists(_)) => {}
                other => return other,
            }
        }
    }

    /// Ends a session with everything in it: its calls are cancelled in Python, its variables and instances are removed, its
    /// watches end. Completes when Python has ended the calls, or after [`DELETE_DEADLINE`](Self::DELETE_DEADLINE).
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`].
    pub async fn delete(&self, id: &str) -> Result<Deleted> {
        let store = self.dspex.runtime.state.store();
        let record = store.session(id).await?;
        let (here, cancelled) = self.registry().close(id).unzip();
        let was_there = match record {
            Some(record) => store.delete_session(record.session.key).await?,
            None => here.as_ref().is_some_and(|here| here.is_unstored()),
        };
        if let Some(here) = &here {
            // What is left after that is told below.
            let _ = tokio::time::timeout(Self::DELETE_DEADLINE, here.tracker().wait()).await;
        }
        if !was_there {
            return Err(Error::SessionNotFound(id.to_owned()));
        }
        let unacknowledged = here.map_or(0, |here| here.tracker().len());
        Ok(Deleted { cancelled: cancelled.unwrap_or(0), unacknowledged })
    }

    /// Sessions in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn list(&self, filter: SessionFilter) -> Result<Vec<SessionInfo>> {
        let mut query = SessionQuery::default();
        query.prefix = filter.prefix;
        query.metadata = filter.metadata;
        query.after = filter.after;
        query.temporary = filter.temporary;
        query.limit = filter.limit.unwrap_or(100);
        let records = self.dspex.runtime.state.store().sessions(&query).await?;
        Ok(records.into_iter().map(SessionInfo::from).collect())
    }

    /// How much there is in all sessions.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn stats(&self) -> Result<SessionStats> {
        let totals = self.dspex.runtime.state.store().totals().await?;
        Ok(SessionStats {
            sessions: totals.sessions,
            temporary: totals.temporary,
            variables: totals.variables,
            bytes: totals.bytes,
            instances: totals.instances,
            calls: self.registry().calls(),
        })
    }

    fn new_session(&self, id: String, config: SessionConfig, temporary: bool) -> (NewSession, Settings) {
        let (lifetime, metadata, quotas) = (config.lifetime, config.metadata.clone(), config.quotas);
        let tool_concurrency = config.tool_concurrency.or(self.dspex.runtime.tool_concurrency);
        let settings = Settings::new(SessionConfig { tool_concurrency, ..config });
        let session = NewSession {
            key: SessionKey::generate(),
            id,
            lifetime,
            temporary,
            metadata,
            settings: settings.write(),
            quotas: quotas.unwrap_or(self.dspex.runtime.limits.quotas),
        };
        (session, settings)
    }

    fn handle(&self, state: Arc<SessionState>) -> Session {
        Session { dspex: self.dspex.clone(), state }
    }

    fn registry(&self) -> &Registry {
        &self.dspex.runtime.sessions
    }
}

/// The store's errors about sessions, as those of the runtime.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::SessionExists(id) => Self::SessionExists(id),
            StoreError::SessionNotFound(id) => Self::SessionNotFound(id),
            other => Self::Store(other),
        }
    }
}
