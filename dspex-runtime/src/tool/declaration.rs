//! A tool as a worker is told of it.

use serde_json::{Map, Value, json};

use super::ToolSpec;

/// A tool of the host in a spec or in a session's tools, as `worker.proto` describes it at `Spec`.
pub(crate) struct Declaration<'a> {
    /// What callbacks call it.
    pub(crate) key: &'a str,
    pub(crate) spec: &'a ToolSpec,
}

impl Declaration<'_> {
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
