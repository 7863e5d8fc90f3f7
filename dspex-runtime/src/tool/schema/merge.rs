//! Two schemas that hold at once as one.

use serde_json::{Map, Value};

use super::types::is_annotation;

/// Adds what else holds to a schema, whose own annotations come first. What cannot be put together goes to `allOf`.
pub(super) fn into(mut schema: Map<String, Value>, other: Map<String, Value>) -> Map<String, Value> {
    if agree(&schema, &other) {
        for (keyword, value) in other {
            add(&mut schema, keyword, value);
        }
        return schema;
    }
    if let Value::Array(all) = schema.entry("allOf").or_insert_with(|| Value::Array(Vec::new())) {
        all.push(Value::Object(other));
    }
    schema
}

/// No keyword says something different in both.
fn agree(schema: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    other.iter().all(|(keyword, value)| match (schema.get(keyword), keyword.as_str()) {
        (None, _) | (_, "required" | "allOf") => true,
        (Some(own), "properties" | "patternProperties") => match (own.as_object(), value.as_object()) {
            (Some(own), Some(others)) => {
                others.iter().all(|(name, part)| own.get(name).is_none_or(|there| there == part))
            }
            _ => own == value,
        },
        (Some(own), keyword) => is_annotation(keyword) || own == value,
    })
}

fn add(schema: &mut Map<String, Value>, keyword: String, value: Value) {
    match (schema.get_mut(&keyword), value) {
        (None, value) => {
            schema.insert(keyword, value);
        }
        (Some(Value::Array(own)), Value::Array(others)) if matches!(&*keyword, "required" | "allOf") => {
            for other in others {
                if !own.contains(&other) {
                    own.push(other);
                }
            }
        }
        (Some(Value::Object(own)), Value::Object(others)) if keyword.ends_with("roperties") => {
            for (name, part) in others {
                own.entry(name).or_insert(part);
            }
        }
        _ => {}
    }
}
