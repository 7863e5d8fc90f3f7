//! The variables of a session: read and written with types, compared and set, watched, taken elsewhere.

mod batch;
mod error;
mod filter;
mod history;
mod transfer;
mod watch;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use serde_json::Value as Json;

pub use batch::VariableBatch;
pub use error::VariableError;
pub use filter::Filter;
pub use transfer::{Conflict, Export, ExportedVariable, Import, ImportReport};
pub use watch::{Event, Watch, WatchBuilder};
pub use write::{Delete, Put, Update};

use crate::record::{Revision, SessionKey, VariableRecord};
use crate::spec::{IntoSpec, Spec};
use crate::store::{Answer, StateStore, StoreError, VariableQuery};
use crate::value::{FromVariable, IntoVariable, Value};

/// A result of something with variables.
pub type Result<T, E = VariableError> = std::result::Result<T, E>;

/// So many specs are remembered, so that most updates read nothing before they write.
const SPECS: usize = 16_384;
/// So many variables come with one page, if nothing else is said.
const PAGE: u32 = 100;

/// A store, and what is remembered of it. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Shared>);

struct Shared {
    store: Arc<dyn StateStore>,
    specs: Mutex<HashMap<(SessionKey, String), Known>>,
}

/// The spec of a variable, as it was when it was last looked at.
#[derive(Clone)]
struct Known {
    version: Revision,
    spec: Arc<Spec>,
}

impl State {
    /// The state in a store.
    pub fn new(store: impl StateStore) -> Self {
        Self::shared(Arc::new(store))
    }

    /// The state in a store that others use as well.
    #[must_use]
    pub fn shared(store: Arc<dyn StateStore>) -> Self {
        Self(Arc::new(Shared { store, specs: Mutex::default() }))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn StateStore> {
        &self.0.store
    }

    /// The variables of a session.
    #[must_use]
    pub fn variables(&self, session: SessionKey) -> Variables {
        Variables { state: self.clone(), session, presence: None }
    }

    /// Forgets what is remembered of a session that ended.
    pub fn forget(&self, session: SessionKey) {
        self.specs().retain(|(of, _), _| *of != session);
    }

    fn specs(&self) -> MutexGuard<'_, HashMap<(SessionKey, String), Known>> {
        // Each change of the map is one step; what it says is checked by the store.
        self.0.specs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("store", &self.0.store).finish_non_exhaustive()
    }
}

/// A value with its version, for writing it back only if nobody else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The write that set it.
    pub version: Revision,
}

/// The variables of a session. Cheap to clone.
///
/// ```
/// use dspex_state::{Filter, State, VarSpec, Variables, VariableError};
///
/// # async fn run(variables: Variables) -> Result<(), VariableError> {
/// let made = variables.create("temperature", VarSpec::float().range(0.0..=2.0), 0.7).await?;
/// variables.update("temperature", 0.2).if_version(made.version).await?;
/// assert_eq!(variables.read::<f64>("temperature").await?.value, 0.2);
///
/// let refused = variables.update("temperature", 0.3).if_version(made.version).await;
/// assert!(matches!(refused, Err(VariableError::VersionConflict { .. })));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Variables {
    state: State,
    session: SessionKey,
    presence: Option<Arc<dyn Presence>>,
}

/// What has to hold, or to happen, before a session's state is used: that the session is open, is in the store, is renewed.
pub trait Presence: fmt::Debug + Send + Sync + 'static {
    /// The session's id, for messages.
    fn id(&self) -> &str;

    /// Makes sure of it.
    fn present(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl Variables {
    /// Makes a variable.
    pub fn create(&self, name: impl Into<String>, spec: impl IntoSpec, value: impl IntoVariable) -> Put<'_> {
        Put::new(self, name.into(), spec, value, crate::store::Expect::Absent)
    }

    /// Makes a variable, or gives the one of its name another spec and value.
    pub fn upsert(&self, name: impl Into<String>, spec: impl IntoSpec, value: impl IntoVariable) -> Put<'_> {
        Put::new(self, name.into(), spec, value, crate::store::Expect::Anything)
    }

    /// The value of a variable, as a type that holds what it can be.
    ///
    /// # Errors
    ///
    /// [`VariableError::NotFound`], or [`VariableError::Mismatch`] if it holds something else.
    pub async fn read<T: FromVariable>(&self, name: &str) -> Result<Versioned<T>> {
        let found = self.ask(|store, session| store.read(session, name)).await?;
        let Some((value, version)) = found else { return Err(self.not_found(name).await) };
        let value = T::from_value(value)
            .map_err(|source| VariableError::Mismatch { name: name.to_owned(), source })?;
        Ok(Versioned { value, version })
    }

    /// The values of several variables, as they were together at one moment.
    ///
    /// # Errors
    ///
    /// [`VariableError::NotFound`] for the first that is not there.
    pub async fn read_together(&self, names: &[String]) -> Result<Vec<Versioned<Value>>> {
        let found = self.ask(|store, session| store.read_together(session, names)).await?;
        let mut values = Vec::with_capacity(found.len());
        for (name, found) in names.iter().zip(found) {
            let Some((value, version)) = found else { return Err(self.not_found(name).await) };
            values.push(Versioned { value, version });
        }
        Ok(values)
    }

    /// A variable with its spec, its version and its times.
    ///
    /// # Errors
    ///
    /// [`VariableError::NotFound`].
    pub async fn describe(&self, name: &str) -> Result<VariableRecord> {
        let found = self.ask(|store, session| store.variable(session, name)).await?;
        let Some(record) = found else { return Err(self.not_found(name).await) };
        self.remember(&record);
        Ok(record)
    }

    /// Sets the value of a variable: `.await` it. `.if_version(..)` does so only if nobody wrote it since.
    pub fn update<V: IntoVariable>(&self, name: impl Into<String>, value: V) -> Update<'_, V> {
        Update::new(self, name.into(), value)
    }

    /// Removes a variable: `.await` it. `.if_version(..)` does so only if nobody wrote it since.
    pub fn delete(&self, name: impl Into<String>) -> Delete<'_> {
        Delete::new(self, name.into())
    }

    /// Variables in the order of their names, without their values, a hundred at most; those after `after`, which is the last
    /// name of the page before.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn list(&self, filter: &Filter, after: Option<&str>) -> Result<Vec<VariableRecord>> {
        self.page(filter, after, PAGE, false).await
    }

    /// All variables that are meant, with their values.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn read_all(&self, filter: &Filter) -> Result<Vec<VariableRecord>> {
        let mut all: Vec<VariableRecord> = Vec::new();
        loop {
            let after = all.last().map(|record| record.name.clone());
            let page = self.page(filter, after.as_deref(), PAGE, true).await?;
            let is_last = page.len() < PAGE as usize;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Writes that happen together.
    pub fn batch(&self) -> VariableBatch {
        VariableBatch::new(self.clone())
    }

    /// Changes of the variables that are meant, as they happen: `.await` it for the stream.
    pub fn watch(&self, filter: Filter) -> WatchBuilder {
        WatchBuilder::new(self.clone(), filter)
    }

    /// Sets values as JSON, as Python does it: what a variable may hold is the same, wherever it is written.
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update).
    pub async fn update_json(&self, name: &str, value: Json, expected: Option<Revision>) -> Result<Revision> {
        let update = self.update(name, value);
        match expected {
            Some(version) => update.if_version(version).await,
            None => update.await,
        }
    }

    /// The same variables, with something that is made sure of before each use.
    #[must_use]
    pub fn with_presence(mut self, presence: Arc<dyn Presence>) -> Self {
        self.presence = Some(presence);
        self
    }

    /// The session that they belong to, as the store knows it.
    #[must_use]
    pub fn session(&self) -> SessionKey {
        self.session
    }

    /// The state that they are part of.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Asks the store something about the session.
    async fn ask<'a, T, F>(&'a self, question: F) -> Result<T, StoreError>
    where
        F: FnOnce(&'a dyn StateStore, SessionKey) -> Answer<'a, T>,
    {
        let ask = async {
            if let Some(presence) = &self.presence {
                presence.present().await?;
            }
            question(&*self.state.0.store, self.session).await
        };
        ask.await.map_err(|error| match (error, &self.presence) {
            // Programs know the session by its id.
            (StoreError::SessionNotFound(_), Some(presence)) => {
                StoreError::SessionNotFound(presence.id().to_owned())
            }
            (error, _) => error,
        })
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<&str>,
        limit: u32,
        values: bool,
    ) -> Result<Vec<VariableRecord>> {
        let mut found: Vec<VariableRecord> = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let query = &VariableQuery { after, glob: filter.as_glob().map(str::to_owned), values, limit };
            let page = self.ask(|store, session| store.variables(session, query)).await?;
            let is_last = page.len() < limit as usize;
            after = page.last().map(|record| record.name.clone());
            found.extend(page.into_iter().filter(|record| filter.matches(&record.name)));
            if is_last || found.len() >= limit as usize {
                found.truncate(limit as usize);
                return Ok(found);
            }
        }
    }

    /// The spec that a value has to meet, from memory if it is there.
    async fn spec(&self, name: &str) -> Result<Known> {
        if let Some(known) = self.state.specs().get(&(self.session, name.to_owned())) {
            return Ok(known.clone());
        }
        let record = self.describe(name).await?;
        Ok(Known { version: record.spec_version, spec: Arc::new(record.spec) })
    }

    fn remember(&self, record: &VariableRecord) {
        let known = Known { version: record.spec_version, spec: Arc::new(record.spec.clone()) };
        let mut specs = self.state.specs();
        if specs.len() >= SPECS {
            specs.clear();
        }
        specs.insert((self.session, record.name.clone()), known);
    }

    fn forget(&self, name: &str) {
        self.state.specs().remove(&(self.session, name.to_owned()));
    }

    /// That there is no such variable, with the most similar one.
    async fn not_found(&self, name: &str) -> VariableError {
        let query = &VariableQuery { limit: 1000, ..VariableQuery::default() };
        let names = self.ask(|store, session| store.variables(session, query)).await.unwrap_or_default();
        let similar = names.into_iter().map(|record| (strsim::jaro_winkler(&record.name, name), record.name));
        let best = similar.filter(|(score, _)| *score > 0.8).max_by(|one, other| one.0.total_cmp(&other.0));
        VariableError::NotFound { name: name.to_owned(), suggestion: best.map(|(_, name)| name) }
    }
}

/// Whether a variable may have this name.
fn checked(name: String) -> Result<String> {
    let length = name.chars().count();
    if (1..=256).contains(&length) && !name.chars().any(char::is_control) {
        Ok(name)
    } else {
        Err(VariableError::Name(name))
    }
}

/// The value of a variable for a spec.
fn accepted(spec: &Spec, name: &str, value: impl IntoVariable) -> Result<Value> {
    spec.accept(name, value).map_err(VariableError::from)
}

/// Whether a write failed because the spec was another one by then.
fn is_outdated(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused { refusal: crate::store::Refusal::Spec { .. }, .. })
}
