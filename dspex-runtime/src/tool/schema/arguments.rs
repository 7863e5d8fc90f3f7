//! The parameters that an object's schema makes.

use serde_json::{Map, Value, json};

use super::super::ToolParameter;
use super::types::allow_null;
use super::{alternatives, normalised};

/// What holds between several arguments, and not for one of them.
const BETWEEN: [&str; 12] = [
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "patternProperties",
    "dependentRequired",
    "dependentSchemas",
    "minProperties",
    "maxProperties",
];

/// The arguments of a tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Arguments {
    pub(in super::super) parameters: Vec<ToolParameter>,
    /// What other keys hold, where they are allowed.
    pub(in super::super) rest: Option<Value>,
    /// Keywords that speak of several arguments.
    pub(in super::super) between: Map<String, Value>,
}

impl Arguments {
    /// Reads the schema of an object.
    ///
    /// Alternatives of whole objects, as a flattened enum makes them, become parameters that are required where all
    /// alternatives require them; that they fit together is checked for each call.
    pub(in super::super) fn new(written: &Value) -> Result<Self, String> {
        let mut schema = normalised(written)?;
        if let Some(kind) = schema.get("type").filter(|kind| *kind != "object") {
            return Err(format!(
                "its arguments are of the type {kind}, and must be an object; take a struct with a field for each"
            ));
        }
        let mut properties = match schema.shift_remove("properties") {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        let mut required = names(&schema);
        let between: Map<String, Value> = BETWEEN
            .iter()
            .filter_map(|keyword| Some(((*keyword).to_owned(), schema.shift_remove(*keyword)?)))
            .collect();
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = between.get(keyword) {
                let (others, always) = union(branches)?;
                for (name, part) in others {
                    properties.entry(name).or_insert(part);
                }
                required.extend(always);
            }
        }
        if let Some(Value::Array(parts)) = between.get("allOf") {
            for part in parts {
                required.extend(part.as_object().map(names).unwrap_or_default());
                for (name, part) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
                    properties.entry(name.clone()).or_insert_with(|| part.clone());
                }
            }
        }
        let rest = match (schema.shift_remove("additionalProperties"), written.get("additionalProperties")) {
            (Some(Value::Object(part)), _) => Some(part.into()),
            (_, Some(Value::Bool(true))) => Some(json!({})),
            _ if between.contains_key("patternProperties") => Some(json!({})),
            // That nothing is said of other keys means in a schema that they are allowed, and of a tool that nobody
            // thought of them.
            _ => None,
        };
        let parameters =
            properties.into_iter().map(|(name, part)| parameter(&required, name, part)).collect();
        Ok(Self { parameters, rest, between })
    }
}

fn names(schema: &Map<String, Value>) -> Vec<String> {
    let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The properties of alternative objects, and those that all of them require.
fn union(branches: &[Value]) -> Result<(Map<String, Value>, Vec<String>), String> {
    let mut all: Map<String, Value> = Map::new();
    let mut always: Option<Vec<String>> = None;
    for branch in branches {
        let Some(branch) = branch.as_object() else { continue };
        if branch.get("type").is_some_and(|kind| kind != "object") {
            return Err(
                "its arguments are not always an object; take a struct with a field for each".to_owned()
            );
        }
        let mut own = branch.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut required = names(branch);
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(inner)) = branch.get(keyword) {
                let (others, inner) = union(inner)?;
                own.extend(others);
                required.extend(inner);
            }
        }
        for (name, part) in own {
            match all.get_mut(&name) {
                None => {
                    all.insert(name, part);
                }
                Some(there) if *there == part => {}
                Some(there) => {
                    let mut either = Map::from_iter([("anyOf".to_owned(), json!([there, part]))]);
                    alternatives::simplify(&mut either);
                    *there = either.into();
                }
            }
        }
        always = Some(match always {
            None => required,
            Some(always) => always.into_iter().filter(|name| required.contains(name)).collect(),
        });
    }
    Ok((all, always.unwrap_or_default()))
}

fn parameter(required: &[String], name: String, part: Value) -> ToolParameter {
    let mut schema = match part {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    let description = match schema.shift_remove("description") {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    };
    let default = schema.shift_remove("default").unwrap_or_default();
    if required.contains(&name) {
        return ToolParameter { name, description, schema: schema.into(), default: None };
    }
    if default.is_null() {
        allow_null(&mut schema);
    }
    ToolParameter { name, description, schema: schema.into(), default: Some(default) }
}

/// A parameter whose schema is written for models; what its schema says of its description and default goes to them.
pub(super) fn settled(parameter: &ToolParameter) -> Result<ToolParameter, String> {
    let mut schema = normalised(&parameter.schema)?;
    let described = schema.shift_remove("description").and_then(|text| text.as_str().map(str::to_owned));
    schema.shift_remove("default");
    if parameter.default == Some(Value::Null) {
        allow_null(&mut schema);
    }
    Ok(ToolParameter {
        name: parameter.name.clone(),
        description: parameter.description.clone().or(described),
        schema: schema.into(),
        default: parameter.default.clone(),
    })
}

/// The schema of all arguments.
pub(in super::super) fn of_arguments(arguments: &Arguments) -> Value {
    let properties: Map<String, Value> = arguments
        .parameters
        .iter()
        .map(|parameter| (parameter.name().to_owned(), parameter.to_schema()))
        .collect();
    let required: Vec<&str> = arguments
        .parameters
        .iter()
        .filter(|parameter| parameter.is_required())
        .map(ToolParameter::name)
        .collect();
    let mut schema = Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), properties.into()),
        ("required".to_owned(), required.into()),
        ("additionalProperties".to_owned(), arguments.rest.clone().unwrap_or(Value::Bool(false))),
    ]);
    schema.extend(arguments.between.clone());
    schema.into()
}
