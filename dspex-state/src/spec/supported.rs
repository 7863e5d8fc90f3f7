//! The types as a list with their constraints, for whoever asks at run time.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value as Json;

use super::rules::{
    BooleanRules, ChoiceRules, DictRules, EmbeddingRules, FloatRules, IntegerRules, ListRules, ModuleRules,
    StringRules, TensorRules,
};
use crate::value::Type;

/// A type of variables, described.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SupportedType {
    /// The type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// What its values are.
    pub description: &'static str,
    /// The JSON Schema (2020-12) of its constraints.
    pub constraints: Json,
}

/// All types, in the order of [`Type::ALL`].
///
/// ```
/// let types = dspex_state::supported_types();
/// assert_eq!(types[2].kind.name(), "float");
/// assert!(types[2].constraints["properties"]["max"].is_object());
/// ```
#[must_use]
pub fn supported_types() -> Vec<SupportedType> {
    Type::ALL
        .into_iter()
        .map(|kind| SupportedType { kind, description: description(kind), constraints: schema(kind) })
        .collect()
}

fn description(kind: Type) -> &'static str {
    match kind {
        Type::String => "Text.",
        Type::Integer => "A whole number of 64 bits with its sign.",
        Type::Float => "A finite number in double precision.",
        Type::Boolean => "True or false.",
        Type::List => "JSON values in order.",
        Type::Dict => "JSON values by name.",
        Type::Tensor => "Numbers in a box of any number of dimensions: float32, float64, int32 or int64.",
        Type::Embedding => "A vector of numbers in single precision.",
        Type::Choice => "One of some texts.",
        Type::Module => "The dotted path of a DSPy module's class.",
    }
}

fn schema(kind: Type) -> Json {
    fn of<T: JsonSchema>() -> Json {
        // Each stands alone, so what it refers to is written out in place.
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
    }
    match kind {
        Type::String => of::<StringRules>(),
        Type::Integer => of::<IntegerRules>(),
        Type::Float => of::<FloatRules>(),
        Type::Boolean => of::<BooleanRules>(),
        Type::List => of::<ListRules>(),
        Type::Dict => of::<DictRules>(),
        Type::Tensor => of::<TensorRules>(),
        Type::Embedding => of::<EmbeddingRules>(),
        Type::Choice => of::<ChoiceRules>(),
        Type::Module => of::<ModuleRules>(),
    }
}
