//! Single writes, as builders that are awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::{Result, VariableError, Variables, accepted, checked, is_outdated};
use crate::record::{ChangeKind, Revision, VariableRecord};
use crate::spec::{IntoSpec, Spec, SpecError};
use crate::store::{Action, Batch, Committed, Expect, Refusal, StoreError, Write};
use crate::value::{IntoVariable, Value};

/// So often an update follows a spec that changes under it.
const TRIES: usize = 4;

type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A variable that is to be made, or to be set with its spec. It happens when it is awaited.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Put<'a> {
    variables: &'a Variables,
    name: String,
    /// The spec, and the value if the spec takes it.
    wanted: Result<(Spec, Value)>,
    expect: Expect,
    author: Option<String>,
}

impl<'a> Put<'a> {
    pub(super) fn new(
        variables: &'a Variables,
        name: String,
        spec: impl IntoSpec,
        value: impl IntoVariable,
        expect: Expect,
    ) -> Self {
        let wanted = prepared(&name, spec, value);
        Self { variables, name, wanted, expect, author: None }
    }

    /// Who writes, for the history.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    async fn finish(self) -> Result<VariableRecord> {
        let name = checked(self.name)?;
        let (spec, value) = self.wanted?;
        let bytes = value.size() as u64;
        let action = Action::Set { value: value.clone(), spec: Some(Box::new(spec.clone())) };
        let write = Write { name: name.clone(), expect: self.expect, action };
        let committed = self.variables.write(write, self.author).await?;
        let version = committed.revision;
        // What the store would say: its clock is its own, and close enough to ours for a fresh record.
        let now = std::time::SystemTime::now();
        if committed.kinds.first() == Some(&ChangeKind::Created) {
            let record = VariableRecord {
                name,
                spec,
                spec_version: version,
                value: Some(value),
                version,
                bytes,
                created_at: now,
                updated_at: now,
            };
            self.variables.remember(&record);
            return Ok(record);
        }
        self.variables.forget(&name);
        self.variables.describe(&name).await
    }
}

impl<'a> IntoFuture for Put<'a> {
    type Output = Result<VariableRecord>;
    type IntoFuture = Running<'a, VariableRecord>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}

/// The spec and the value of a variable, if they go together.
pub(super) fn prepared(name: &str, spec: impl IntoSpec, value: impl IntoVariable) -> Result<(Spec, Value)> {
    let failed = |source: SpecError| VariableError::Spec { name: name.to_owned(), source };
    let spec = spec.into_spec().map_err(failed)?;
    let value = accepted(&spec, name, value)?;
    Ok((spec, value))
}

/// A value that is to be set. It happens when it is awaited, and gives the new version.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Update<'a, V> {
    variables: &'a Variables,
    name: String,
    value: V,
    version: Option<Revision>,
    author: Option<String>,
}

impl<'a, V: IntoVariable> Update<'a, V> {
    pub(super) fn new(variables: &'a Variables, name: String, value: V) -> Self {
        Self { variables, name, value, version: None, author: None }
    }

    /// Only if the variable still has this version; else [`VariableError::VersionConflict`].
    pub fn if_version(mut self, version: Revision) -> Self {
        self.version = Some(version);
        self
    }

    /// Who writes, for the history.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    async fn finish(self) -> Result<Revision> {
        let name = checked(self.name)?;
        let mut known = self.variables.spec(&name).await?;
        let mut value = match accepted(&known.spec, &name, self.value) {
            Ok(value) => value,
            Err(error) => return Err(self.variables.confirmed(&name, known.version, error).await),
        };
        let mut tries = 1..TRIES;
        loop {
            let expect = Expect::Present { version: self.version, spec: Some(known.version) };
            let action = Action::Set { value: value.clone(), spec: None };
            let write = Write { name: name.clone(), expect, action };
            match self.variables.write(write, self.author.clone()).await {
                Ok(committed) => return Ok(committed.revision),
                // The remembered spec was an earlier one.
                Err(error) if is_outdated(&error) && tries.next().is_some() => {
                    self.variables.forget(&name);
                    known = self.variables.spec(&name).await?;
                    value = accepted(&known.spec, &name, value)?;
                }
                Err(error) => return Err(self.variables.named(&name, error).await),
            }
        }
    }
}

impl<'a, V: IntoVariable + Send + 'a> IntoFuture for Update<'a, V> {
    type Output = Result<Revision>;
    type IntoFuture = Running<'a, Revision>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}

/// A variable that is to be removed. It happens when it is awaited.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Delete<'a> {
    variables: &'a Variables,
    name: String,
    version: Option<Revision>,
    author: Option<String>,
}

impl<'a> Delete<'a> {
    pub(super) fn new(variables: &'a Variables, name: String) -> Self {
        Self { variables, name, version: None, author: None }
    }

    /// Only if the variable still has this version; else [`VariableError::VersionConflict`].
    pub fn if_version(mut self, version: Revision) -> Self {
        self.version = Some(version);
        self
    }

    /// Who removes it, for those who watch.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    async fn finish(self) -> Result<Revision> {
        let expect = Expect::Present { version: self.version, spec: None };
        let write = Write { name: self.name.clone(), expect, action: Action::Delete };
        self.variables.forget(&self.name);
        match self.variables.write(write, self.author).await {
            Ok(committed) => Ok(committed.revision),
            Err(error) => Err(self.variables.named(&self.name, error).await),
        }
    }
}

impl<'a> IntoFuture for Delete<'a> {
    type Output = Result<Revision>;
    type IntoFuture = Running<'a, Revision>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}

impl Variables {
    async fn write(&self, write: Write, author: Option<String>) -> Result<Committed, StoreError> {
        let batch = Batch { writes: vec![write], author };
        self.ask(|store, session| store.commit(session, batch)).await
    }

    /// That a value is refused, unless the spec that refused it is an earlier one.
    async fn confirmed(&self, name: &str, expected: Revision, refused: VariableError) -> VariableError {
        self.forget(name);
        match self.spec(name).await {
            Ok(current) if current.version == expected => refused,
            Ok(current) => {
                VariableError::VersionConflict { name: name.to_owned(), expected, found: current.version }
            }
            Err(error) => error,
        }
    }

    /// The error of a write; where there is no such variable, with the most similar one.
    async fn named(&self, name: &str, error: StoreError) -> VariableError {
        match error {
            StoreError::Refused { refusal: Refusal::NotFound, .. } => {
                self.forget(name);
                self.not_found(name).await
            }
            other => other.into(),
        }
    }
}
