//! What models are told of the arguments of tools, and what is held against it.
//!
//! The schemas and verdicts are in `proto/golden/tool_schemas.json`, which `python/tests/engine/test_tool_schemas.py` reads: DSPy takes
//! all of them, and Python's `jsonschema` comes to the same verdicts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod tool_support;

use std::path::Path;

use dspex_runtime::tool::{ToolArguments, ToolParameter};
use serde_json::{Map, Value, json};
use tool_support::{Case, cases};

fn fixture(case: &Case) -> Value {
    let args: Map<String, Value> =
        case.spec.parameters().iter().map(|part| (part.name().to_owned(), part.to_schema())).collect();
    let required: Vec<&str> =
        case.spec.parameters().iter().filter(|part| part.is_required()).map(ToolParameter::name).collect();
    json!({
        "name": case.spec.name(),
        "description": case.spec.description(),
        "args": args,
        "required": required,
        "schema": case.spec.arguments_schema(),
        "fitting": case.fitting,
        "unfit": case.unfit,
    })
}

#[test]
fn the_schemas_are_those_that_dspy_was_tested_with() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/golden/tool_schemas.json");
    let cases: Vec<Value> = cases().iter().map(fixture).collect();
    let written = serde_json::to_string_pretty(&cases).unwrap() + "\n";
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == written,
        "the fixture is stale; run this test with UPDATE_FIXTURES=1 and review the diff"
    );
}

#[test]
fn every_case_can_be_a_tool() {
    for case in cases() {
        assert_eq!(case.spec.problem(), None, "{}", case.spec.name());
    }
}

#[test]
fn what_fits_is_taken_and_serde_reads_it() {
    for case in cases() {
        for value in &case.fitting {
            let arguments = ToolArguments::validate(value.clone(), &case.spec)
                .unwrap_or_else(|error| panic!("{}: {value}: {error}", case.spec.name()));
            assert!((case.reads)(arguments), "{}: serde does not read {value}", case.spec.name());
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for case in cases() {
        for value in &case.unfit {
            assert!(
                ToolArguments::validate(value.clone(), &case.spec).is_err(),
                "{}: {value} was taken",
                case.spec.name()
            );
        }
    }
}

/// Keywords that must not be where schemas are.
fn assert_plain(schema: &Value, place: &str) {
    let schema = schema.as_object().unwrap_or_else(|| panic!("{place} is no object: {schema}"));
    for (keyword, value) in schema {
        let place = format!("{place}/{keyword}");
        match (keyword.as_str(), value) {
            ("$ref" | "$defs" | "$schema" | "definitions", _) => panic!("{place}"),
            ("title", Value::String(_)) => panic!("{place}"),
            ("type", kind) => assert!(kind.is_string(), "{place}: {kind}"),
            ("format", Value::String(format)) => assert!(!format.contains("int"), "{place}: {format}"),
            ("properties" | "patternProperties", Value::Object(parts)) => {
                parts.iter().for_each(|(name, part)| assert_plain(part, &format!("{place}/{name}")));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(parts)) => {
                parts.iter().for_each(|part| assert_plain(part, &place));
            }
            ("items" | "not", part) => assert_plain(part, &place),
            ("additionalProperties", part) if part.is_object() => assert_plain(part, &place),
            _ => {}
        }
    }
}

#[test]
fn no_schema_holds_references_titles_lists_of_types_or_formats_of_numbers() {
    for case in cases() {
        assert_plain(&case.spec.arguments_schema(), case.spec.name());
    }
}

#[test]
fn a_schema_that_was_normalised_stays_as_it_is() {
    for case in cases() {
        let again = dspex_runtime::tool::ToolSpec::builder(case.spec.name(), case.spec.description())
            .arguments_schema(&case.spec.arguments_schema())
            .build();
        assert_eq!(again.arguments_schema(), case.spec.arguments_schema(), "{}", case.spec.name());
    }
}
