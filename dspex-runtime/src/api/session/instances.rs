//! Instances that a session keeps under names, so that they are there after a restart, with what steers them.

use std::sync::Arc;

use dspex_state::InstanceRecord;
use dspex_state::store::StoreError;
use serde_json::json;

use super::Session;
use crate::api::module::spec_of;
use crate::api::steering::{Binding, Steering};
use crate::api::{DynInstance, Instance, Module};
use crate::bridge::Spec;
use crate::error::{Error, Result};

/// The instances that a session keeps: those that were given a name with [`Instance::keep`].
///
/// ```no_run
/// # use dspex_runtime::{Instance, Module, Result, Session};
/// # async fn run<Triage: Module>(session: Session, triage: Instance<Triage>) -> Result<()> {
/// triage.bind("temperature").await?;
/// triage.keep("triage").await?;
/// // In a later process, with the same durable store:
/// let triage = session.instances().open::<Triage>("triage").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Instances {
    session: Session,
}

/// An instance that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceInfo {
    /// The name that it was given.
    pub id: String,
    /// The dotted path of its class.
    pub class: String,
}

impl Instances {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    /// The instances, by their names.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`] if the session ended.
    pub async fn list(&self) -> Result<Vec<InstanceInfo>> {
        let records = self.records().await?;
        Ok(records.into_iter().map(|record| InstanceInfo { id: record.id, class: record.class }).collect())
    }

    /// An instance of a typed module. The module has to have the class and the signature with which the instance was kept.
    ///
    /// # Errors
    ///
    /// [`Error::InstanceNotFound`], or [`Error::Schema`] if it is an instance of another module.
    pub async fn open<M: Module>(&self, id: &str) -> Result<Instance<M>> {
        let record = self.record(id).await?;
        let current = spec_of::<M>()?;
        let spec = if record.spec.as_bytes() == current.json {
            current
        } else {
            let functions = (*current.functions).clone();
            let kept =
                Spec::kept(record.class.clone(), record.spec, current.fingerprint).with_functions(functions);
            if !kept.is_of(&current) {
                let problem = format!(
                    "the session's instance `{id}` is one of `{}` with another signature",
                    record.class
                );
                return Err(Error::Schema { module: M::definition().name.to_owned(), problem });
            }
            Arc::new(kept)
        };
        Ok(Instance::new(self.session.clone(), spec, steering(record.bindings)?))
    }

    /// An instance of whatever class, for [`Dspy::execute`](crate::Dspy::execute).
    ///
    /// # Errors
    ///
    /// [`Error::InstanceNotFound`].
    pub async fn open_untyped(&self, id: &str) -> Result<DynInstance> {
        let record = self.record(id).await?;
        let spec = Arc::new(Spec::kept(record.class, record.spec, None));
        Ok(DynInstance::new(spec, steering(record.bindings)?))
    }

    /// Forgets an instance. Handles of it work on.
    ///
    /// # Errors
    ///
    /// [`Error::InstanceNotFound`].
    pub async fn delete(&self, id: &str) -> Result<()> {
        let state = &self.session.state;
        let deleted = state.ask(|store, key| store.delete_instance(key, id)).await?;
        if deleted { Ok(()) } else { Err(Error::InstanceNotFound(id.to_owned())) }
    }

    /// Keeps an instance, in the place of an earlier one with its name.
    pub(crate) async fn put(session: &Session, id: &str, spec: &Spec, steering: &Steering) -> Result<()> {
        if let Some(function) = spec.functions.closure() {
            return Err(Error::NotKept { class: spec.class.clone(), function: function.to_owned() });
        }
        let text = String::from_utf8(spec.json.clone());
        let record = InstanceRecord {
            id: id.to_owned(),
            class: spec.class.clone(),
            fingerprint: spec.fingerprint.map(str::to_owned),
            // Specs are written by serde_json, which writes UTF-8.
            spec: text.map_err(|error| Error::Protocol(error.to_string()))?,
            bindings: json!(*steering.bindings()),
        };
        Ok(session.state.ask(|store, key| store.put_instance(key, record)).await?)
    }

    async fn record(&self, id: &str) -> Result<InstanceRecord> {
        let found = self.records().await?.into_iter().find(|record| record.id == id);
        found.ok_or_else(|| Error::InstanceNotFound(id.to_owned()))
    }

    async fn records(&self) -> Result<Vec<InstanceRecord>, StoreError> {
        self.session.state.ask(|store, key| store.instances(key)).await
    }
}

fn steering(bindings: serde_json::Value) -> Result<Arc<Steering>> {
    let bindings: Vec<Binding> = serde_json::from_value(bindings).map_err(|error| {
        Error::Protocol(format!("the bindings of the kept instance cannot be read: {error}"))
    })?;
    Ok(Arc::new(Steering::of(bindings)))
}
