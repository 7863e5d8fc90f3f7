//! Schemas as servers of tools write them, without a struct behind them.

use dspex_runtime::tool::{ToolSpec, ToolSpecBuilder};
use serde_json::{Value, json};

use super::Case;

fn dynamic(name: &str, schema: Value, fitting: Vec<Value>, unfit: Vec<Value>) -> Case {
    let build = |builder: ToolSpecBuilder| builder.arguments_schema(&schema).build();
    Case { spec: build(ToolSpec::builder(name, format!("Takes {name}."))), fitting, unfit, reads: |_| true }
}

/// A case for each way to write them.
pub fn cases() -> Vec<Case> {
    vec![
        dynamic(
            "by_pydantic",
            json!({
                "title": "searchArguments",
                "type": "object",
                "properties": {
                    "filter": {"allOf": [{"$ref": "#/$defs/Filter"}], "description": "What to leave out.", "default": null},
                    "limit": {"anyOf": [{"type": "integer", "maximum": 10}, {"type": "null"}], "default": null, "title": "Limit"},
                    "query": {"title": "Query", "type": "string"},
                },
                "required": ["query"],
                "$defs": {
                    "Filter": {
                        "type": "object",
                        "title": "Filter",
                        "properties": {"langs": {"type": "array", "items": {"$ref": "#/$defs/Lang"}}},
                        "required": ["langs"],
                    },
                    "Lang": {"type": "string", "enum": ["de", "en"]},
                },
            }),
            vec![
                json!({"query": "x"}),
                json!({"query": "x", "limit": null, "filter": {"langs": ["de"]}}),
                json!({"query": "x", "limit": -3}),
            ],
            vec![
                json!({"query": "x", "limit": 11}),
                json!({"query": "x", "filter": {"langs": ["fr"]}}),
                json!({"query": "x", "filter": {}}),
                json!({"limit": 1}),
            ],
        ),
        dynamic(
            "by_zod",
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {
                    "path": {"type": "string", "minLength": 1},
                    "other": {"$ref": "#/properties/path"},
                    "range": {"type": "array", "items": [{"type": "integer"}, {"type": "integer"}], "minItems": 2, "maxItems": 2},
                    "mode": {"type": ["string", "null"], "enum": ["r", "w", null]},
                    "size": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
                    "note": {"type": "string", "nullable": true},
                },
                "required": ["path", "mode"],
                "additionalProperties": false,
            }),
            vec![
                json!({"path": "a", "mode": null}),
                json!({"path": "a", "mode": "r", "other": "b", "range": [1, 2], "size": 0.1, "note": null}),
            ],
            vec![
                json!({"path": "", "mode": "r"}),
                json!({"path": "a", "mode": "x"}),
                json!({"path": "a", "mode": "r", "other": ""}),
                json!({"path": "a", "mode": "r", "range": [1, "2"]}),
                json!({"path": "a", "mode": "r", "size": 0}),
                json!({"path": "a"}),
            ],
        ),
        dynamic(
            "between",
            json!({
                "type": "object",
                "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "unit": {"type": "string"}},
                "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
                "dependentRequired": {"unit": ["id"]},
            }),
            vec![json!({"id": 1}), json!({"name": "x"}), json!({"id": 1, "name": "x", "unit": "m"})],
            vec![json!({}), json!({"name": "x", "unit": "m"}), json!({"id": "1"})],
        ),
        dynamic(
            "combined",
            json!({
                "type": "object",
                "properties": {
                    "one": {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]},
                    "not": {"not": {"type": "string"}},
                    "all": {"allOf": [{"minimum": 1}, {"minimum": 2, "maximum": 9}]},
                    "unique": {"type": "array", "uniqueItems": true},
                    "constant": {"const": 1},
                    "keys": {"type": "object", "minProperties": 1, "maxProperties": 2, "patternProperties": {"^x": {"type": "integer"}}},
                    "steps": {"type": "number", "multipleOf": 0.5},
                    "never": false,
                },
            }),
            vec![
                json!({"one": 3, "not": 1, "all": 2, "unique": [1, 2, "1", true, [1], [2]], "constant": 1.0}),
                json!({"one": 10, "all": "a text", "keys": {"x1": 1, "y": "z"}, "steps": 1.5}),
                json!({"unique": (0..40).collect::<Vec<_>>()}),
            ],
            vec![
                json!({"one": 15}),
                json!({"one": 2}),
                json!({"not": "x"}),
                json!({"all": 1}),
                json!({"all": 10}),
                json!({"unique": [1, 1.0]}),
                json!({"unique": [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]}),
                json!({"unique": (0..40).map(|at| at % 39).collect::<Vec<_>>()}),
                json!({"constant": true}),
                json!({"keys": {}}),
                json!({"keys": {"x1": "z"}}),
                json!({"keys": {"a": 1, "b": 1, "c": 1}}),
                json!({"steps": 1.25}),
                json!({"never": 1}),
            ],
        ),
    ]
}
