//! What a registered tool is, as data.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::tool::{ToolParameter, ToolSpec};

/// The language that a tool is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolLanguage {
    /// Rust: it runs in this process.
    Rust,
    /// Python: it runs in a worker.
    Python {
        /// Its dotted path.
        path: String,
    },
}

/// What a registered tool is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolInfo {
    /// Its description, parameters, result and limits.
    pub spec: ToolSpec,
    /// The language that it is written in.
    pub language: ToolLanguage,
}

impl ToolInfo {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.spec.name()
    }
}

/// A tool as a worker describes it.
#[derive(Deserialize)]
pub(super) struct Described {
    path: String,
    name: String,
    #[serde(default)]
    desc: String,
    args: Map<String, Value>,
    #[serde(default)]
    returns: Option<Value>,
    #[serde(default)]
    streams: bool,
}

impl Described {
    pub(super) fn into_info(self) -> ToolInfo {
        // A tool without a description is Python's own affair; the name says something, at least.
        let desc = if self.desc.trim().is_empty() { self.name.clone() } else { self.desc };
        let mut spec = ToolSpec::builder(self.name, desc).streams(self.streams);
        for (name, schema) in self.args {
            spec = spec.parameter(parameter(name, schema));
        }
        if let Some(returns) = self.returns {
            spec = spec.returns_schema(returns);
        }
        ToolInfo { spec: spec.build(), language: ToolLanguage::Python { path: self.path } }
    }
}

fn parameter(name: String, mut schema: Value) -> ToolParameter {
    let mut take = |key: &str| schema.as_object_mut().and_then(|schema| schema.shift_remove(key));
    let (default, description) = (take("default"), take("description"));
    let parameter = match default {
        None => ToolParameter::required(name, schema),
        Some(default) => ToolParameter::optional(name, schema, default),
    };
    match description {
        Some(Value::String(text)) => parameter.description(text),
        _ => parameter,
    }
}
