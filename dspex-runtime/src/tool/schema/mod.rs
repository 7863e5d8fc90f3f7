//! JSON Schemas in the form that DSPy's own functions accept, whoever wrote them.
//!
//! What schemars derives and what servers of tools send goes through one [`Normaliser`]: references are replaced by what they
//! refer to, lists of types become `anyOf`, and what models do not need is left out. [`Arguments`] makes parameters of an
//! object's schema; [`problem_of`] says why a tool cannot be used.
//!
//! What is changed, and what is kept:
//!
//! | written | becomes |
//! |---|---|
//! | `$ref` | what it refers to; a recursive type is an error |
//! | `"type": ["string", "null"]`, `nullable` | `anyOf`, null last; DSPy fails on lists of types |
//! | `oneOf` of constants with texts | one `enum`, the texts in its description |
//! | `$schema`, `$id`, `title`, `$comment`, formats of numbers | left out |
//! | `unevaluatedProperties` | left out: nothing but serde holds values against it |
//! | tuples and exclusive bounds of older drafts | `prefixItems`, `exclusiveMinimum` as a number |
//! | everything else | kept as it is |

mod alternatives;
mod arguments;
mod merge;
mod normalise;
mod problem;
mod types;

pub(super) use arguments::{Arguments, of_arguments};
use normalise::Normaliser;
pub(super) use problem::{problem_of, settle};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// A schema that can be told to models, or why it cannot.
pub(super) fn normalised(schema: &Value) -> Result<Map<String, Value>, String> {
    Normaliser::new(schema).root().map_err(|problem| problem.to_string())
}

/// The arguments that the fields of a struct make.
pub(super) fn arguments_of<T: JsonSchema>() -> Result<Arguments, String> {
    Arguments::new(&written::<T>(SchemaSettings::draft2020_12().for_deserialize()))
}

/// The schema of what a tool answers.
pub(super) fn of_returned<T: JsonSchema>() -> Result<Value, String> {
    normalised(&written::<T>(SchemaSettings::draft2020_12().for_serialize())).map(Value::Object)
}

/// The schema that schemars writes. It replaces references as far as there is no recursion, and applies the constraints of
/// fields to what they refer to.
fn written<T: JsonSchema>(mut settings: SchemaSettings) -> Value {
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
