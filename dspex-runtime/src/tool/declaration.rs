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
        let mut args = Map::new();
        for parameter in self.spec.parameters() {
            let mut schema = parameter.schema().as_object().cloned().unwrap_or_default();
            if let Some(description) = parameter.described() {
                schema.insert("description".to_owned(), description.into());
            }
            if let Some(default) = parameter.default() {
                schema.insert("default".to_owned(), default.clone());
            }
            args.insert(parameter.name().to_owned(), Value::Object(schema));
        }
        json!({"host": self.key, "name": self.spec.name(), "desc": self.spec.description(), "args": args})
    }
}
