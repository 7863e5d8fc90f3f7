//! Writes that happen together.

use super::write::prepared;
use super::{Result, VariableError, Variables, accepted, checked, is_outdated};
use crate::record::Revision;
use crate::spec::IntoSpec;
use crate::store::{Action, Batch, Committed, Expect, Write};
use crate::value::{IntoVariable, Value};

/// So often a batch follows specs that change under it.
const TRIES: usize = 4;

/// Writes to several variables, all or none, with one revision. What is wrong is told when it is committed.
///
/// ```
/// # async fn run(variables: dspex_state::Variables) -> Result<(), dspex_state::VariableError> {
/// use dspex_state::VarSpec;
///
/// variables.batch().update("temperature", 0.1).create("model", VarSpec::choice(["a", "b"]), "a").delete("old").commit().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is written before `commit`"]
pub struct VariableBatch {
    variables: Variables,
    steps: Result<Vec<Step>>,
    author: Option<String>,
}

#[derive(Debug)]
enum Step {
    /// What is complete.
    Write(Write),
    /// A value whose type is not known yet.
    Update(String, Option<Revision>, Later),
}

/// A value that waits for its variable's type.
struct Later(Box<Accept>);

type Accept = dyn FnOnce(&crate::spec::Spec, &str) -> Result<Value> + Send;

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl VariableBatch {
    pub(super) fn new(variables: Variables) -> Self {
        Self { variables, steps: Ok(Vec::new()), author: None }
    }

    /// Who writes, for the history.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// Makes a variable.
    pub fn create(self, name: impl Into<String>, spec: impl IntoSpec, value: impl IntoVariable) -> Self {
        self.put(name.into(), spec, value, Expect::Absent)
    }

    /// Makes a variable, or gives the one of its name another spec and value.
    pub fn upsert(self, name: impl Into<String>, spec: impl IntoSpec, value: impl IntoVariable) -> Self {
        self.put(name.into(), spec, value, Expect::Anything)
    }

    /// Sets the value of a variable, which is there before the batch.
    pub fn update(self, name: impl Into<String>, value: impl IntoVariable + Send + 'static) -> Self {
        self.set(name.into(), None, value)
    }

    /// Sets the value of a variable if it still has this version.
    pub fn update_if(
        self,
        name: impl Into<String>,
        version: Revision,
        value: impl IntoVariable + Send + 'static,
    ) -> Self {
        self.set(name.into(), Some(version), value)
    }

    /// Removes a variable.
    pub fn delete(self, name: impl Into<String>) -> Self {
        self.remove(name.into(), None)
    }

    /// Removes a variable if it still has this version.
    pub fn delete_if(self, name: impl Into<String>, version: Revision) -> Self {
        self.remove(name.into(), Some(version))
    }

    /// Writes everything, or nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the first write that does not hold.
    pub async fn commit(self) -> Result<Committed> {
        let Self { variables, steps, author } = self;
        let mut writes = Vec::new();
        for step in steps? {
            writes.push(match step {
                Step::Write(write) => write,
                Step::Update(name, version, Later(value)) => {
                    let known = variables.spec(&name).await?;
                    let value = value(&known.spec, &name)?;
                    let expect = Expect::Present { version, spec: Some(known.version) };
                    Write { name, expect, action: Action::Set { value, spec: None } }
                }
            });
        }
        let mut tries = 1..TRIES;
        loop {
            let batch = Batch { writes: writes.clone(), author: author.clone() };
            match variables.ask(|store, session| store.commit(session, batch)).await {
                Ok(committed) => {
                    // A later update looks again at what may be another variable by now.
                    writes
                        .iter()
                        .filter(|write| !is_plain(write))
                        .for_each(|write| variables.forget(&write.name));
                    return Ok(committed);
                }
                Err(error) if is_outdated(&error) && tries.next().is_some() => {
                    variables.follow(&mut writes).await?
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn put(self, name: String, spec: impl IntoSpec, value: impl IntoVariable, expect: Expect) -> Self {
        self.step(|| {
            let name = checked(name)?;
            let (spec, value) = prepared(&name, spec, value)?;
            Ok(Step::Write(Write { name, expect, action: Action::Set { value, spec: Some(Box::new(spec)) } }))
        })
    }

    fn set(self, name: String, version: Option<Revision>, value: impl IntoVariable + Send + 'static) -> Self {
        let later = Later(Box::new(move |spec, name| accepted(spec, name, value)));
        self.step(|| Ok(Step::Update(checked(name)?, version, later)))
    }

    fn remove(self, name: String, version: Option<Revision>) -> Self {
        let expect = Expect::Present { version, spec: None };
        self.step(|| Ok(Step::Write(Write { name: checked(name)?, expect, action: Action::Delete })))
    }

    fn step(mut self, step: impl FnOnce() -> Result<Step>) -> Self {
        self.steps = self.steps.and_then(|mut steps| {
            steps.push(step()?);
            Ok(steps)
        });
        self
    }
}

/// Whether a write leaves the variable's spec as it is.
fn is_plain(write: &Write) -> bool {
    matches!(write.action, Action::Set { spec: None, .. })
}

impl Variables {
    /// Holds the values of updates against the specs that their variables have now.
    async fn follow(&self, writes: &mut [Write]) -> Result<()> {
        for write in writes.iter_mut().filter(|write| is_plain(write)) {
            self.forget(&write.name);
            let known = self.spec(&write.name).await?;
            if let (Expect::Present { spec, .. }, Action::Set { value, .. }) =
                (&mut write.expect, &write.action)
            {
                known.spec.rules.validate(value).map_err(|violations| {
                    VariableError::from(crate::spec::Invalid { variable: write.name.clone(), violations })
                })?;
                *spec = Some(known.version);
            }
        }
        Ok(())
    }
}
