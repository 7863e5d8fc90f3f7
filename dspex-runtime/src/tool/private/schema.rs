//! The schema of what a function returns, where its type has one.

use schemars::{JsonSchema, schema_for};

use super::super::ToolSpecBuilder;
use super::Returned;

/// Found first.
pub trait ResultSchema {
    /// Adds the schema of the value.
    fn describe(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder;
    /// Adds the schema of all items, as the model sees them.
    fn describe_items(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder;
}

impl<T: JsonSchema, E> ResultSchema for &&Returned<Result<T, E>> {
    fn describe(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder {
        spec.returns::<T>()
    }

    fn describe_items(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder {
        items::<T>(spec)
    }
}

/// Found for other types with a schema.
pub trait ValueSchema {
    /// Adds the schema of the value.
    fn describe(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder;
    /// Adds the schema of all items, as the model sees them.
    fn describe_items(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder;
}

impl<T: JsonSchema> ValueSchema for &Returned<T> {
    fn describe(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder {
        spec.returns::<T>()
    }

    fn describe_items(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder {
        items::<T>(spec)
    }
}

/// Found for everything else.
pub trait AnySchema {
    /// Adds nothing.
    fn describe(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder {
        spec
    }

    /// Adds nothing.
    fn describe_items(&self, spec: ToolSpecBuilder) -> ToolSpecBuilder {
        spec
    }
}

impl<T> AnySchema for Returned<T> {}

/// The items of a stream are a list to the model, and texts are one text.
fn items<T: JsonSchema>(spec: ToolSpecBuilder) -> ToolSpecBuilder {
    match schema_for!(T).get("type").and_then(serde_json::Value::as_str) {
        Some("string") => spec.returns::<String>(),
        _ => spec.returns::<Vec<T>>(),
    }
}
