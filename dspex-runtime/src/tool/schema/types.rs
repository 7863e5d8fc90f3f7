//! Lists of types, which become alternatives.

use serde_json::{Map, Value, json};

/// What speaks of the whole schema, not of values of one type.
const ANNOTATIONS: [&str; 6] = ["description", "default", "examples", "deprecated", "readOnly", "writeOnly"];

/// Whether a keyword only informs.
pub(super) fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword)
}

/// Makes alternatives of a list of types, each with the keywords that speak of it.
pub(super) fn split(schema: &mut Map<String, Value>) {
    let Some(Value::Array(listed)) = schema.get("type") else { return };
    let mut names: Vec<String> = Vec::new();
    for name in listed.iter().filter_map(Value::as_str) {
        if !names.iter().any(|there| there == name) {
            names.push(name.to_owned());
        }
    }
    if names.iter().any(|name| name == "number") {
        names.retain(|name| name != "integer");
    }
    // Null last: models lean towards what is named first.
    names.sort_by_key(|name| name == "null");
    match names.as_slice() {
        [] => {
            schema.shift_remove("type");
            return;
        }
        [one] => {
            schema.insert("type".to_owned(), one.as_str().into());
            return;
        }
        _ => {}
    }
    schema.shift_remove("type");
    let mut branches: Vec<Map<String, Value>> =
        names.iter().map(|name| Map::from_iter([("type".to_owned(), name.as_str().into())])).collect();
    let keywords: Vec<String> = schema.keys().cloned().collect();
    for keyword in keywords {
        let owners = types_of(&keyword);
        if owners.is_empty() {
            continue;
        }
        let Some(value) = schema.shift_remove(&keyword) else { continue };
        for (name, branch) in names.iter().zip(&mut branches) {
            if owners.contains(&name.as_str()) {
                branch.insert(keyword.clone(), value.clone());
            }
        }
    }
    let constants = match (schema.shift_remove("const"), schema.shift_remove("enum")) {
        (Some(constant), _) => Some(vec![constant]),
        (None, Some(Value::Array(constants))) => Some(constants),
        _ => None,
    };
    if let Some(constants) = constants {
        for (name, branch) in names.iter().zip(&mut branches) {
            let own: Vec<Value> = constants.iter().filter(|value| is_of(value, name)).cloned().collect();
            if name != "null" {
                branch.insert("enum".to_owned(), own.into());
            } else if own.is_empty() {
                branch.insert("enum".to_owned(), json!([]));
            }
        }
        // A type of which there is no constant has no values.
        branches.retain(|branch| branch.get("enum") != Some(&json!([])));
    }
    let branches: Vec<Value> = branches.into_iter().map(Value::Object).collect();
    match schema.shift_remove("anyOf") {
        None => {
            schema.insert("anyOf".to_owned(), branches.into());
        }
        Some(others) => {
            schema.insert("anyOf".to_owned(), others);
            let both = schema.entry("allOf").or_insert_with(|| json!([]));
            if let Value::Array(both) = both {
                both.push(json!({"anyOf": branches}));
            }
        }
    }
}

/// Adds null to what the schema takes.
pub(super) fn allow_null(schema: &mut Map<String, Value>) {
    if takes_null(schema) {
        return;
    }
    let alone = schema.keys().all(|keyword| keyword == "anyOf" || is_annotation(keyword));
    if alone && let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.push(json!({"type": "null"}));
        return;
    }
    let mut outer = Map::new();
    let mut inner = Map::new();
    for (keyword, value) in std::mem::take(schema) {
        match is_annotation(&keyword) {
            true => outer.insert(keyword, value),
            false => inner.insert(keyword, value),
        };
    }
    outer.insert("anyOf".to_owned(), json!([inner, {"type": "null"}]));
    *schema = outer;
}

/// Whether null is among the values, as far as the schema says so at its surface.
fn takes_null(schema: &Map<String, Value>) -> bool {
    schema.iter().filter(|(keyword, _)| !is_annotation(keyword)).all(|(keyword, value)| {
        match (keyword.as_str(), value) {
            ("type", kind) => kind == "null",
            ("const", constant) => constant.is_null(),
            ("enum", Value::Array(constants)) => constants.contains(&Value::Null),
            ("anyOf" | "oneOf", Value::Array(branches)) => {
                branches.iter().any(|branch| branch.as_object().is_some_and(takes_null))
            }
            ("allOf", Value::Array(parts)) => {
                parts.iter().all(|part| part.as_object().is_some_and(takes_null))
            }
            ("not" | "if" | "then" | "else", _) => false,
            // The others speak of values of other types.
            _ => true,
        }
    })
}

/// The types that a keyword speaks of; none if it speaks of all.
fn types_of(keyword: &str) -> &'static [&'static str] {
    match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            &["integer", "number"]
        }
        "minLength" | "maxLength" | "pattern" | "format" | "contentEncoding" | "contentMediaType" => {
            &["string"]
        }
        "items" | "prefixItems" | "minItems" | "maxItems" | "uniqueItems" | "contains" => &["array"],
        "minContains" | "maxContains" => &["array"],
        "properties" | "patternProperties" | "additionalProperties" | "required" => &["object"],
        "minProperties" | "maxProperties" | "propertyNames" => &["object"],
        "dependentRequired" | "dependentSchemas" => &["object"],
        _ => &[],
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => {
            name == "number"
                || name == "integer"
                    && (!number.is_f64() || number.as_f64().is_some_and(|x| x.fract() == 0.0))
        }
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}
