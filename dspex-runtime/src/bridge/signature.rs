//! Rust types -> the structured signature that workers build a `dspy.Signature` from.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::api::Definition;
use crate::error::Error;

/// The signature of a module: each field with its description and a self-contained JSON Schema.
pub(crate) fn signature_of<I: JsonSchema, O: JsonSchema>(definition: &Definition) -> Result<Value, Error> {
    let inputs = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<I>();
    let outputs =
        SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<O>();
    Ok(json!({
        "name": definition.name,
        "instructions": definition.instructions,
        "inputs": fields(definition, inputs.as_value(), definition.inputs)?,
        "outputs": fields(definition, outputs.as_value(), definition.outputs)?,
    }))
}

fn fields(definition: &Definition, root: &Value, names: &[&str]) -> Result<Vec<Value>, Error> {
    names
        .iter()
        .map(|name| {
            let schema =
                root.get("properties").and_then(|properties| properties.get(name)).ok_or_else(|| {
                    let problem = format!("its JSON Schema has no property `{name}`");
                    Error::Schema { module: definition.name.to_owned(), problem }
                })?;
            Ok(field(name, schema, root.get("$defs")))
        })
        .collect()
}

fn field(name: &str, schema: &Value, definitions: Option<&Value>) -> Value {
    let mut schema = schema.clone();
    // The description is the field's, so it belongs to the signature and not to the type.
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    if let (Some(object), Some(Value::Object(definitions))) = (schema.as_object(), definitions) {
        let mut used = BTreeSet::new();
        collect_references(&Value::Object(object.clone()), definitions, &mut used);
        let kept: Map<_, _> =
            used.iter().filter_map(|key| Some((key.clone(), definitions.get(key)?.clone()))).collect();
        if !kept.is_empty() {
            schema["$defs"] = Value::Object(kept);
        }
    }
    json!({"name": name, "desc": description, "schema": schema})
}

/// The definitions that a schema needs, directly or through others.
fn collect_references(schema: &Value, definitions: &Map<String, Value>, used: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(key) =
                object.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"))
            {
                // JSON Pointer escapes, as schemars writes them.
                let key = key.replace("~1", "/").replace("~0", "~");
                if used.insert(key.clone())
                    && let Some(definition) = definitions.get(&key)
                {
                    collect_references(definition, definitions, used);
                }
            }
            object.values().for_each(|value| collect_references(value, definitions, used));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, definitions, used)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Inputs {
        /// What the customer wrote.
        ticket: String,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Outputs {
        owner: Option<Person>,
        #[schemars(range(min = 1, max = 5))]
        score: u8,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Person {
        name: String,
        boss: Option<Box<Person>>,
    }

    const DEFINITION: Definition = Definition {
        name: "Triage",
        class: "dspy.Predict",
        fingerprint: None,
        instructions: Some("Triage a ticket."),
        inputs: &["ticket"],
        outputs: &["owner", "score"],
        extra_outputs: &[],
        args: "{}",
        method: "",
    };

    #[test]
    fn each_field_carries_its_description_its_constraints_and_only_its_definitions() {
        let signature = signature_of::<Inputs, Outputs>(&DEFINITION).unwrap();
        assert_eq!(signature["inputs"][0]["desc"], "What the customer wrote.");
        assert_eq!(signature["inputs"][0]["schema"], json!({"type": "string"}));
        let owner = &signature["outputs"][0]["schema"];
        assert!(owner["$defs"]["Person"]["properties"]["boss"].is_object());
        let score = &signature["outputs"][1]["schema"];
        assert_eq!((score["minimum"].as_u64(), score["maximum"].as_u64()), (Some(1), Some(5)));
        assert!(score.get("$defs").is_none());
        assert_eq!(signature["outputs"][1]["desc"], Value::Null);
    }

    #[test]
    fn a_name_that_the_schema_lacks_is_an_error_that_names_it() {
        let wrong = Definition { outputs: &["owners"], ..DEFINITION };
        let error = signature_of::<Inputs, Outputs>(&wrong).unwrap_err();
        assert!(error.to_string().contains("`owners`"), "{error}");
    }
}
