//! A tool as a worker is told of it.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{ToolParameter, ToolSpec};

/// A tool of the host in a spec or in a session's tools, as `worker.proto` describes it at `Spec`.
pub(crate) struct Declaration<'a> {
    /// What callbacks call it.
    pub(crate) key: Cow<'a, str>,
    pub(crate) spec: &'a ToolSpec,
}

/// What the keys of a session's tools begin with; those of an instance's own begin otherwise.
pub(crate) const SESSION_PREFIX: &str = "session:";

impl<'a> Declaration<'a> {
    /// A tool that a session has under its name.
    pub(crate) fn of_session(spec: &'a ToolSpec) -> Self {
        Self { key: format!("{SESSION_PREFIX}{}", spec.name()).into(), spec }
    }

    pub(crate) fn to_document(&self) -> Value {
        let args: Map<String, Value> = self
            .spec
            .parameters()
            .iter()
            .map(|parameter| (parameter.name().to_owned(), parameter.to_schema()))
            .collect();
        json!({"host": self.key, "name": self.spec.name(), "desc": self.spec.description(), "args": args})
    }
}

impl ToolSpec {
    /// The tool that a declaration describes, as a worker or a value has it.
    pub(crate) fn of_declaration(document: &Value) -> Option<Self> {
        let name = document.get("name")?.as_str()?;
        // A tool of Python may have no description; its name says something, at least.
        let described = document.get("desc").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let streams = document.get("streams").and_then(Value::as_bool).unwrap_or_default();
        let mut spec = Self::builder(name, described.unwrap_or(name)).streams(streams);
        for (name, schema) in document.get("args")?.as_object()? {
            spec = spec.parameter(parameter(name, schema.clone()));
        }
        if let Some(returns) = document.get("returns").filter(|returns| !returns.is_null()) {
            spec = spec.returns_schema(returns.clone());
        }
        Some(spec.build())
    }
}

fn parameter(name: &str, mut schema: Value) -> ToolParameter {
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
