//! An instance of a class, in a session.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Call;
use crate::api::session::Instances;
use crate::api::steering::{Binding, Steering};
use crate::api::{Caller, Prediction, Session};
use crate::bridge::Spec;
use crate::error::Result;

/// An instance in a session. It is data, as every instance of dspex is; cheap to clone.
#[derive(Clone)]
pub struct Bound {
    session: Session,
    spec: Arc<Spec>,
    steering: Arc<Steering>,
    pool: Option<Arc<str>>,
}

impl Bound {
    pub(crate) fn new(session: Session, spec: Arc<Spec>) -> Self {
        Self { session, spec, steering: Arc::default(), pool: None }
    }

    /// Has a variable of the session steer the instance's calls; see [`Instance::bind`](crate::Instance::bind).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind(&self, binding: impl Into<Binding>) -> Result<()> {
        self.steering.bind(binding.into(), &self.session.variables(), &self.spec).await
    }

    /// Keeps the instance in its session under a name; see [`Instance::keep`](crate::Instance::keep).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn keep(&self, id: &str) -> Result<()> {
        Instances::put(&self.session, id, &self.spec, &self.steering).await
    }

    /// The same instance, whose calls run in this pool, as far as they choose none themselves; see
    /// [`Instance::pool`](crate::Instance::pool).
    #[must_use]
    pub fn pool(mut self, name: impl Into<Arc<str>>) -> Self {
        self.pool = Some(name.into());
        self
    }

    pub(crate) fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// Calls a public method by its name in Python.
    pub fn method<R: DeserializeOwned + Send + 'static>(&self, name: &'static str) -> Call<R> {
        Call::method(self.session.context(), self.spec.clone(), name)
            .steered(&self.steering)
            .in_pool(self.pool.as_ref())
    }

    /// Calls a public method that answers with a prediction.
    pub fn predict<O: DeserializeOwned + Send + 'static>(&self, name: &'static str) -> Call<Prediction<O>> {
        Call::prediction(self.session.context(), self.spec.clone(), name)
            .steered(&self.steering)
            .in_pool(self.pool.as_ref())
    }

    /// Calls the instance itself, with one object that holds all its inputs.
    pub fn execute<O: DeserializeOwned + Send + 'static>(
        &self,
        inputs: impl Serialize,
    ) -> Call<Prediction<O>> {
        self.predict("").inputs(&inputs)
    }

    /// The session that the instance belongs to.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The content address of the instance's spec: equal for equal class, signature and arguments.
    #[must_use]
    pub fn spec_hash(&self) -> &str {
        &self.spec.hash
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("class", &self.spec.class).field("session", &self.session).finish()
    }
}
