//! A session's variables as a document, and back.
//!
//! The document is JSON: `{"format": 1, "variables": [{"name", "spec", "value"}, ..]}`, in the order of the names. A value is
//! as [`Value::to_json`](crate::Value::to_json) gives it, or for tensors and embeddings
//! `{"dtype", "shape", "base64"}` with the little-endian numbers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Filter, Result, VariableError, Variables, accepted, checked};
use crate::record::Revision;
use crate::spec::Spec;
use crate::store::{Action, Batch, Expect, Write};
use crate::value::{Dtype, Embedding, Tensor, Type, Value};

/// The format of the document.
const FORMAT: u32 = 1;

/// A session's variables as a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Export {
    /// The format: 1.
    pub format: u32,
    /// The variables in the order of their names.
    pub variables: Vec<ExportedVariable>,
}

/// A variable in a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExportedVariable {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: Spec,
    /// Its value, as JSON.
    pub value: Json,
}

/// What becomes of variables that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// The import is refused.
    #[default]
    Refuse,
    /// They stay as they are.
    Keep,
    /// They get the spec and the value of the document.
    Replace,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// Variables that were made.
    pub created: Vec<String>,
    /// Variables that were there, and have the value of the document now.
    pub replaced: Vec<String>,
    /// Variables that were there, and stayed.
    pub kept: Vec<String>,
    /// The revision of the import; none if nothing was to be written.
    pub revision: Option<Revision>,
}

/// An import that is to happen.
#[derive(Debug)]
#[must_use = "nothing is written before `run`"]
pub struct Import<'a> {
    variables: &'a Variables,
    export: &'a Export,
    conflict: Conflict,
    dry_run: bool,
}

impl Variables {
    /// All variables as a document.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn export(&self) -> Result<Export> {
        let records = self.read_all(&Filter::all()).await?;
        let exported = |record: crate::VariableRecord| {
            let value = record.value.as_ref().map_or(Json::Null, written);
            ExportedVariable { name: record.name, spec: record.spec, value }
        };
        Ok(Export { format: FORMAT, variables: records.into_iter().map(exported).collect() })
    }

    /// Brings in the variables of a document, all or none: `.run().await` it.
    pub fn import<'a>(&'a self, export: &'a Export) -> Import<'a> {
        Import { variables: self, export, conflict: Conflict::default(), dry_run: false }
    }
}

impl Import<'_> {
    /// What becomes of variables that are there already. Without this, they make the import fail.
    pub fn on_conflict(mut self, conflict: Conflict) -> Self {
        self.conflict = conflict;
        self
    }

    /// Only says what would happen.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// [`VariableError::Import`] if the document does not hold, [`VariableError::Invalid`] if a value does not meet its spec,
    /// [`VariableError::AlreadyExists`] if a variable is there and that is not allowed. Nothing was written then.
    pub async fn run(self) -> Result<ImportReport> {
        if self.export.format != FORMAT {
            let message = format!("its format is {}, and this dspex knows {FORMAT}", self.export.format);
            return Err(VariableError::Import(message));
        }
        let there: std::collections::BTreeSet<String> =
            self.variables.read_names().await?.into_iter().collect();
        let (mut report, mut writes, mut seen) =
            (ImportReport::default(), Vec::new(), std::collections::BTreeSet::new());
        for variable in &self.export.variables {
            let name = checked(variable.name.clone())?;
            if !seen.insert(name.clone()) {
                return Err(VariableError::Import(format!("the variable `{name}` is there twice")));
            }
            let value = read(&variable.spec, &variable.value)
                .map_err(|reason| VariableError::Import(format!("the variable `{name}`: {reason}")))?;
            let value = match value {
                Some(value) => accepted(&variable.spec, &name, value)?,
                None => accepted(&variable.spec, &name, variable.value.clone())?,
            };
            let expect = match (there.contains(&name), self.conflict) {
                (false, _) => {
                    report.created.push(name.clone());
                    Expect::Absent
                }
                (true, Conflict::Refuse) => return Err(VariableError::AlreadyExists(name)),
                (true, Conflict::Keep) => {
                    report.kept.push(name);
                    continue;
                }
                (true, Conflict::Replace) => {
                    report.replaced.push(name.clone());
                    Expect::Anything
                }
            };
            let action = Action::Set { value, spec: Some(Box::new(variable.spec.clone())) };
            writes.push(Write { name, expect, action });
        }
        if !self.dry_run && !writes.is_empty() {
            let names: Vec<_> = writes.iter().map(|write| write.name.clone()).collect();
            let batch = Batch { writes, author: Some("import".to_owned()) };
            let committed = self.variables.ask(|store, session| store.commit(session, batch)).await?;
            names.iter().for_each(|name| self.variables.forget(name));
            report.revision = Some(committed.revision);
        }
        Ok(report)
    }
}

impl Variables {
    async fn read_names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let page = self.list(&Filter::all(), names.last().map(String::as_str)).await?;
            if page.is_empty() {
                return Ok(names);
            }
            names.extend(page.into_iter().map(|record| record.name));
        }
    }
}

fn written(value: &Value) -> Json {
    let numbers = |dtype: Dtype, shape: &[usize], bytes: &[u8]| json!({"dtype": dtype, "shape": shape, "base64": BASE64_STANDARD.encode(bytes)});
    match value {
        Value::Tensor(tensor) => numbers(tensor.dtype(), tensor.shape(), &tensor.to_le_bytes()),
        Value::Embedding(embedding) => {
            numbers(Dtype::Float32, &[embedding.dimensions()], &embedding.to_le_bytes())
        }
        other => other.to_json(),
    }
}

/// The numbers of a tensor or embedding; none for what is plain JSON.
fn read(spec: &Spec, json: &Json) -> Result<Option<Value>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Numbers {
        dtype: Dtype,
        shape: Vec<usize>,
        base64: String,
    }
    let is_numbers = matches!(spec.kind(), Type::Tensor | Type::Embedding) && json.get("base64").is_some();
    if !is_numbers {
        return Ok(None);
    }
    let numbers: Numbers = serde_json::from_value(json.clone()).map_err(|error| error.to_string())?;
    let bytes = BASE64_STANDARD.decode(&numbers.base64).map_err(|error| error.to_string())?;
    let tensor =
        Tensor::from_le_bytes(numbers.dtype, numbers.shape, &bytes).map_err(|error| error.to_string())?;
    match spec.kind() {
        Type::Embedding => match (tensor.shape(), tensor.as_slice::<f32>()) {
            ([_], Ok(numbers)) => Ok(Some(Value::Embedding(Embedding::from(numbers.to_vec())))),
            _ => Err(format!("an embedding is float32 with one dimension, not {tensor:?}")),
        },
        _ => Ok(Some(Value::Tensor(tensor))),
    }
}
