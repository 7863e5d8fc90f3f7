//! JSON Schemas of schemars in the form that DSPy's own functions accept.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{ToolParameter, ToolSpec};

/// The parameters that the fields of a struct make. The error says why they cannot.
pub(super) fn parameters_of<T: JsonSchema>() -> Result<Vec<ToolParameter>, String> {
    let schema = schemars::SchemaGenerator::from(schemars::generate::SchemaSettings::draft2020_12().with(
        |settings| {
            settings.inline_subschemas = true;
        },
    ))
    .into_root_schema_for::<T>();
    let schema = schema.as_value();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    Ok(fields
        .into_iter()
        .map(|(name, schema)| {
            let default = schema.get("default").cloned().unwrap_or_default();
            match required.contains(&name.as_str()) {
                true => ToolParameter::required(name, schema),
                false => ToolParameter::optional(name, schema, default),
            }
        })
        .collect())
}

/// The schema of what a tool answers.
pub(super) fn of_returned<T: JsonSchema>() -> Result<Value, String> {
    Ok(schemars::schema_for!(T).to_value())
}

/// The schema of all arguments.
pub(super) fn of_arguments(parameters: &[ToolParameter]) -> Value {
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|parameter| (parameter.name().to_owned(), parameter.schema().clone()))
        .collect();
    let required: Vec<&str> =
        parameters.iter().filter(|parameter| parameter.is_required()).map(ToolParameter::name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Why a tool cannot be used.
pub(super) fn problem_of(_: &ToolSpec) -> Option<String> {
    None
}
