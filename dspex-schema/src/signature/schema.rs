//! The JSON Schema of a type, as pydantic writes it for the same type in Python.

use serde_json::{Value as Json, json};

use super::{Kind, Type};

impl Type {
    /// The JSON Schema. That of a Rust type is not known here and is `{}`; those of [`Native`](super::Native) types
    /// are named by their `format`.
    pub fn json_schema(&self) -> Json {
        match &self.kind {
            Kind::Str => json!({"type": "string"}),
            Kind::Int => json!({"type": "integer"}),
            Kind::Float => json!({"type": "number"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::None => json!({"type": "null"}),
            Kind::Any | Kind::Rust(_) => json!({}),
            Kind::List(of) => json!({"type": "array", "items": of.json_schema()}),
            Kind::Set(of) => json!({"type": "array", "items": of.json_schema(), "uniqueItems": true}),
            Kind::Tuple(of) => json!({
                "type": "array",
                "prefixItems": of.iter().map(Self::json_schema).collect::<Vec<_>>(),
                "minItems": of.len(),
                "maxItems": of.len(),
            }),
            Kind::Dict(_, value) if value.kind == Kind::Any => {
                json!({"type": "object", "additionalProperties": true})
            }
            Kind::Dict(_, value) => json!({"type": "object", "additionalProperties": value.json_schema()}),
            Kind::Union(of) => json!({"anyOf": of.iter().map(Self::json_schema).collect::<Vec<_>>()}),
            Kind::Literal(values) => {
                json!({"enum": values.iter().map(super::Value::json).collect::<Vec<_>>()})
            }
            Kind::Native(native) => json!({"type": "object", "format": native.format()}),
        }
    }
}
