//! Arguments of tools against their schemas: what the model is told, what tags stand for, which tools are refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod tool_support;

use std::time::Duration;

use dspex_runtime::__private::schemars;
use dspex_runtime::tool::{ToolArguments, ToolErrorKind, ToolParameter, ToolSpec, ToolSpecBuilder};
use dspex_runtime::wire;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tool_support::{Enums, Lists, Nothing, Optionals, Plain, Tagged};

fn spec<T: JsonSchema>() -> ToolSpec {
    ToolSpec::builder("look_up", "Looks something up.").arguments::<T>().build()
}

fn of_schema(schema: Value) -> ToolSpec {
    ToolSpec::builder("look_up", "Looks something up.").arguments_schema(&schema).build()
}

fn value_of(schema: Value) -> ToolSpec {
    of_schema(json!({"type": "object", "properties": {"value": schema}, "required": ["value"]}))
}

fn refusal(given: Value, spec: &ToolSpec) -> String {
    let error = ToolArguments::validate(given, spec).unwrap_err();
    assert_eq!(error.kind(), ToolErrorKind::InvalidArguments);
    assert!(!error.is_retryable());
    error.message().to_owned()
}

fn taken(given: Value, spec: &ToolSpec) -> Value {
    ToolArguments::validate(given, spec).unwrap().into_value()
}

/// The lines that tell of problems.
fn problems(given: Value, spec: &ToolSpec) -> Vec<String> {
    refusal(given, spec).lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect()
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_what_was_expected() {
    let message = refusal(
        json!({"email": 7, "invoices": "many", "ratio": 0.5, "urgnt": true, "color": "red"}),
        &spec::<Plain>(),
    );
    assert_eq!(
        message,
        "The arguments of `look_up` do not fit:\n\
         - `email`: expected string, got 7\n\
         - `invoices`: expected integer from 0 to 50, got \"many\"\n\
         - `urgnt` is not known; did you mean `urgent`?\n\
         - `color` is not known; leave it out\n\
         It takes `email` (string), `invoices` (integer from 0 to 50, optional), `ratio` (number), \
         `urgent` (true or false, optional)."
    );
}

#[test]
fn what_is_missing_is_named_with_what_it_would_be() {
    assert_eq!(
        problems(json!({}), &spec::<Enums>()),
        [
            "`urgency` is missing: expected \"low\" or \"very_high\"",
            "`channel` is missing: expected \"Other\", \"Post\" or \"Phone\"",
        ]
    );
}

#[test]
fn the_place_of_a_nested_value_is_told() {
    let given = json!({"address": {"city": "Ulm", "zip": 89073}, "tags": ["a", 1]});
    assert_eq!(
        problems(given, &spec::<Optionals>()),
        ["`tags[1]`: expected string, got 1", "`address.zip`: expected string or null, got 89073"]
    );
}

#[test]
fn of_alternatives_the_one_that_was_meant_is_told() {
    let spec = spec::<Tagged>();
    assert_eq!(
        problems(json!({"shape": {"type": "Circle", "radius": "1"}, "more": [{"type": "At"}]}), &spec),
        ["`shape.radius`: expected number, got \"1\"", "`more[0].city` is missing: expected string"]
    );
    let unknown = problems(json!({"shape": {"type": "Triangle"}, "more": []}), &spec);
    assert!(unknown[0].contains("object with `type` (\"Circle\"), `radius` (number)"), "{unknown:?}");
}

#[test]
fn null_stands_for_the_absence_of_an_optional_argument_and_defaults_are_set() {
    let given = json!({"email": "a", "ratio": 1.5, "invoices": null, "urgent": null});
    assert_eq!(
        taken(given, &spec::<Plain>()),
        json!({"email": "a", "ratio": 1.5, "invoices": 3, "urgent": false})
    );
    assert_eq!(taken(json!({"region": null}), &spec::<Optionals>()), json!({"share": 0.1}));
    assert_eq!(
        problems(json!({"email": null, "ratio": 1}), &spec::<Plain>()),
        ["`email`: expected string, got null"]
    );
}

#[test]
fn a_tool_without_arguments_takes_null_and_an_empty_object() {
    assert_eq!(taken(Value::Null, &spec::<Nothing>()), json!({}));
    assert_eq!(taken(json!({}), &spec::<Nothing>()), json!({}));
    let message = refusal(json!({"a": 1}), &spec::<Nothing>());
    assert!(message.ends_with("- `a` is not known; leave it out\nIt takes no arguments."), "{message}");
}

#[test]
fn what_is_no_object_is_refused_with_what_the_tool_takes() {
    assert_eq!(
        refusal(json!("{\"email\": \"a\"}"), &spec::<Enums>()),
        "The arguments of `look_up` must be one object, got \"{\\\"email\\\": \\\"a\\\"}\". It takes `urgency` (\"low\" or \
         \"very_high\"), `channel` (\"Other\", \"Post\" or \"Phone\"), `fallback` (\"Other\", \"Post\" or \"Phone\" or null, \
         optional)."
    );
    assert!(refusal(json!([1, 2]), &spec::<Nothing>()).contains("got a list of 2 items"));
}

#[test]
fn a_whole_float_is_an_integer_wherever_one_is_expected() {
    #[derive(JsonSchema, Deserialize, Debug, PartialEq)]
    struct Whole {
        one: u32,
        list: Vec<i64>,
        maybe: Option<u8>,
        pair: (u8, f64),
        map: std::collections::BTreeMap<String, i32>,
    }
    let given = json!({"one": 3.0, "list": [1, 2.0], "maybe": 4.0, "pair": [1.0, 2.0], "map": {"a": -1.0}});
    let arguments = ToolArguments::validate(given, &spec::<Whole>()).unwrap();
    let whole: Whole = arguments.read().unwrap();
    assert_eq!(whole.list, [1, 2]);
    assert_eq!((whole.one, whole.maybe, whole.pair), (3, Some(4), (1, 2.0)));
}

#[test]
fn long_values_and_keys_are_cut() {
    let long = "x".repeat(5_000_000);
    let message = refusal(json!({"email": [long.clone()], "ratio": long, "invoices": 1}), &spec::<Plain>());
    assert!(message.contains("(5000000 characters)"), "{message}");
    assert!(message.len() < 1_000, "{}", message.len());
    let mut many = serde_json::Map::new();
    for at in 0..1_000 {
        many.insert(format!("{at}{}", "k".repeat(10_000)), Value::Null);
    }
    let message = refusal(many.into(), &spec::<Plain>());
    assert!(message.contains("- and more"));
    assert!(message.len() < 3_000, "{}", message.len());
}

#[test]
fn tags_stand_for_what_json_cannot_hold() {
    let number = value_of(json!({"type": "number"}));
    assert!(ToolArguments::validate(json!({"value": wire::float(f64::NAN)}), &number).is_ok());
    assert!(ToolArguments::validate(json!({"value": wire::float(f64::INFINITY)}), &number).is_ok());
    assert!(ToolArguments::validate(json!({"value": wire::integer(i128::MAX)}), &number).is_ok());

    let integer = value_of(json!({"type": "integer", "minimum": 0}));
    assert!(ToolArguments::validate(json!({"value": wire::integer(i128::MAX)}), &integer).is_ok());
    assert_eq!(
        problems(json!({"value": wire::integer(i128::MIN)}), &integer).len(),
        1,
        "a bound holds for integers of more than 64 bits"
    );
    let digits = "1".repeat(50);
    assert!(ToolArguments::validate(json!({"value": {"$dspex": ["int", digits]}}), &integer).is_ok());
    assert_eq!(
        problems(json!({"value": wire::float(f64::NAN)}), &integer),
        ["`value`: expected integer of at least 0, got NaN"]
    );
    let bounded = value_of(json!({"type": "number", "maximum": 1}));
    assert_eq!(
        problems(json!({"value": wire::float(f64::NAN)}), &bounded),
        ["`value`: expected number of at most 1, got NaN"]
    );
}

#[test]
fn bytes_are_a_list_of_integers() {
    #[derive(JsonSchema, Deserialize)]
    struct Bytes {
        value: Vec<u8>,
    }
    let arguments =
        ToolArguments::validate(json!({"value": wire::bytes(&[0, 255])}), &spec::<Bytes>()).unwrap();
    assert_eq!(arguments.read::<Bytes>().unwrap().value, [0, 255]);
    let few = value_of(json!({"type": "array", "items": {"type": "integer", "maximum": 9}, "maxItems": 2}));
    assert!(ToolArguments::validate(json!({"value": wire::bytes(&[9, 9])}), &few).is_ok());
    assert_eq!(problems(json!({"value": wire::bytes(&[10])}), &few).len(), 1);
    assert_eq!(
        problems(json!({"value": wire::bytes(&[1, 2, 3])}), &few),
        ["`value`: expected list of at most 2 items, each integer of at most 9, got 3 bytes"]
    );
}

#[test]
fn what_only_python_can_hold_fits_only_what_takes_anything() {
    let opaque = json!({"$dspex": ["opaque", {"type": "threading.Lock", "repr": "<lock>"}]});
    assert!(ToolArguments::validate(json!({"value": opaque}), &value_of(json!({}))).is_ok());
    assert_eq!(
        problems(json!({"value": opaque}), &value_of(json!({"type": "object"}))),
        ["`value`: expected object, got an object of Python's `threading.Lock`, which has no JSON"]
    );
    let broken = json!({"$dspex": ["no such tag", 1]});
    assert_eq!(
        problems(json!({"value": broken}), &value_of(json!({"type": "object"}))),
        ["`value`: expected object, got an object with the reserved key `$dspex`"]
    );
}

#[test]
fn an_object_that_looks_like_a_tag_is_held_against_the_schema_as_it_is() {
    let schema = json!({"type": "object", "properties": {"$dspex": {"type": "integer"}}, "additionalProperties": false});
    let spec = value_of(schema);
    assert!(ToolArguments::validate(json!({"value": wire::escape(json!({"$dspex": 1}))}), &spec).is_ok());
    assert_eq!(problems(json!({"value": wire::escape(json!({"$dspex": "x"}))}), &spec).len(), 1);
}

#[test]
fn keywords_that_are_not_known_inform_and_are_not_enforced() {
    let spec = value_of(json!({
        "type": "string", "format": "email", "pattern": "^(?=.*x).*$", "contentEncoding": "base64", "x-hint": 3,
    }));
    assert_eq!(spec.problem(), None);
    assert!(ToolArguments::validate(json!({"value": "no mail"}), &spec).is_ok());
    assert_eq!(spec.parameters()[0].schema()["x-hint"], 3);
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct Tree {
    children: Vec<Tree>,
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct Forest {
    first: Option<Box<Tree>>,
}

#[test]
fn a_recursive_type_is_refused_with_its_name_and_what_to_do() {
    let problem = spec::<Forest>().problem().unwrap().to_owned();
    assert!(problem.starts_with("at `first.children.children`, the type `Tree` is recursive"), "{problem}");
    assert!(problem.contains("take `serde_json::Value` there"), "{problem}");
    let itself = spec::<Tree>().problem().unwrap().to_owned();
    assert!(itself.starts_with("at `children`, the type `Tree` is recursive"), "{itself}");
    let dynamic = of_schema(json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/A"}},
        "definitions": {"A": {"properties": {"b": {"$ref": "#/definitions/B"}}}, "B": {"items": {"$ref": "#/definitions/A"}}},
    }));
    assert!(dynamic.problem().unwrap().starts_with("at `a.b`, the type `A` is recursive"), "{dynamic:?}");
}

#[test]
fn a_schema_that_explodes_without_references_is_refused() {
    let mut definitions = serde_json::Map::new();
    for at in 0..40 {
        let next = json!({"$ref": format!("#/$defs/D{}", at + 1)});
        definitions.insert(format!("D{at}"), json!({"type": "object", "properties": {"a": next, "b": next}}));
    }
    definitions.insert("D40".to_owned(), json!({"type": "string"}));
    let spec = of_schema(
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": definitions}),
    );
    assert!(spec.problem().unwrap().contains("more than 20000 parts"), "{:?}", spec.problem());
}

#[test]
fn references_that_lead_nowhere_or_out_of_the_schema_are_refused() {
    for reference in ["#/$defs/Missing", "https://example.org/schema.json", "other.json#/x"] {
        let spec = of_schema(json!({"type": "object", "properties": {"a": {"$ref": reference}}}));
        let problem = spec.problem().unwrap();
        assert!(problem.contains(&format!("`{reference}` refers to nothing")), "{problem}");
    }
}

fn problem_of(builder: ToolSpecBuilder) -> String {
    builder.build().problem().unwrap().to_owned()
}

#[test]
fn a_tool_that_models_cannot_be_told_of_is_refused_with_what_to_do() {
    let text = json!({"type": "string"});
    for name in ["", "7up", "plan of", "plän", "-x", &"x".repeat(65)] {
        let problem = problem_of(ToolSpec::builder(name, "x"));
        assert!(problem.starts_with("models take no tool of the name"), "{problem}");
    }
    for name in ["a", "_", "plan-of_2", &"x".repeat(64)] {
        assert_eq!(ToolSpec::builder(name, "x").build().problem(), None);
    }
    assert!(problem_of(ToolSpec::builder("a", " \n")).starts_with("it has no description"));
    assert!(problem_of(ToolSpec::builder("a", "x").concurrency(0)).starts_with("its concurrency is 0"));
    assert!(
        problem_of(ToolSpec::builder("a", "x").timeout(Duration::ZERO)).starts_with("its timeout is zero")
    );
    let twice = ToolSpec::builder("a", "x")
        .parameter(ToolParameter::required("q", text.clone()))
        .parameter(ToolParameter::optional("q", text.clone(), Value::Null));
    assert_eq!(problem_of(twice), "two of its parameters are called `q`; rename one");
    let unfit = ToolSpec::builder("a", "x").parameter(ToolParameter::optional("q", text, json!(7)));
    assert_eq!(problem_of(unfit), "the default of its parameter `q` does not fit: expected string, got 7");
    let broken = ToolSpec::builder("a", "x").parameter(ToolParameter::required("q", json!({"type": "text"})));
    assert!(problem_of(broken).starts_with("its parameter `q`: \"text\" is no type"));
    let list = ToolSpec::builder("a", "x").arguments::<Vec<String>>();
    assert!(problem_of(list).contains("must be an object; take a struct"));
}

#[test]
fn the_schema_of_a_parameter_gives_its_description_and_takes_its_types_apart() {
    let spec = ToolSpec::builder("a", "x")
        .parameter(ToolParameter::required("q", json!({"type": ["string", "null"], "description": "What."})))
        .parameter(
            ToolParameter::optional("n", json!({"type": "integer"}), Value::Null).description("How many."),
        )
        .build();
    let shown: Vec<Value> = spec.parameters().iter().map(ToolParameter::to_schema).collect();
    assert_eq!(
        shown,
        [
            json!({"anyOf": [{"type": "string"}, {"type": "null"}], "description": "What."}),
            json!({"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "How many.", "default": null}),
        ]
    );
}

#[test]
fn what_a_tool_answers_is_described_as_serde_writes_it() {
    #[derive(JsonSchema, Serialize)]
    struct Answer {
        #[serde(serialize_with = "as_text")]
        #[schemars(with = "String")]
        id: u32,
        lists: Lists,
    }
    fn as_text<S: serde::Serializer>(id: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }
    let spec = ToolSpec::builder("a", "x").returns::<Answer>().build();
    let returns = spec.returns().unwrap();
    assert_eq!(returns["properties"]["id"], json!({"type": "string"}));
    assert!(returns.get("$schema").is_none() && returns.get("title").is_none());
    let recursive = ToolSpec::builder("a", "x").returns::<Tree>().build();
    assert_eq!((recursive.returns(), recursive.problem()), (None, None));
}
