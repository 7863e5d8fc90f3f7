//! The models for tests and examples. `golden/prompts.json` holds what DSPy asks; `golden/stand_in.json` holds the
//! stand-in's answers, written after DSPy had read every one of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use dspex_runtime::lm::{Capabilities, LanguageModel, LmError, LmRequest, LmResponse, Message};
use dspex_runtime::testing::{DelayedLm, EchoLm, InstantLm, ScriptedLm, StandInLm};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Asked {
    case: String,
    adapter: String,
    request: LmRequest,
}

#[derive(Deserialize)]
struct Answered {
    case: String,
    adapter: String,
    turns: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    request: Option<LmRequest>,
    response: Value,
}

fn prompts() -> Vec<Asked> {
    serde_json::from_str(include_str!("golden/prompts.json")).unwrap()
}

fn prompt(case: &str, adapter: &str) -> LmRequest {
    prompts().into_iter().find(|asked| asked.case == case && asked.adapter == adapter).unwrap().request
}

#[test]
fn the_stand_in_gives_the_answers_that_dspy_could_read() {
    let answers: Vec<Answered> = serde_json::from_str(include_str!("golden/stand_in.json")).unwrap();
    let prompts = prompts();
    assert!(answers.len() >= 100);
    for Answered { case, adapter, turns } in answers {
        for turn in turns {
            let request = turn.request.unwrap_or_else(|| {
                let first = prompts.iter().find(|asked| asked.case == case && asked.adapter == adapter);
                first.unwrap().request.clone()
            });
            let encoded = StandInLm::new().answer(&request).encode("rust/model").unwrap();
            let answer: Value = serde_json::from_slice(&encoded).unwrap();
            assert_eq!(answer, turn.response, "{adapter} {case}");
        }
    }
}

#[test]
fn the_stand_in_says_that_it_is_one() {
    let answer = StandInLm::new().answer(&prompt("predict_text", "chat"));
    assert_eq!(StandInLm::new().name(), "dspex/stand-in");
    assert_eq!(answer.model, "dspex/stand-in");
    assert!(answer.usage.input_tokens.unwrap() > 100);
}

#[test]
fn the_stand_in_answers_a_schema_that_no_adapter_wrote() {
    let schema = json!({
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"},
            "when": {"type": "string", "format": "date"},
            "mood": {"oneOf": [
                {"const": "calm", "description": "All is well."}, {"const": "angry", "description": "It is not."}
            ]},
            "level": {"type": ["integer", "null"], "minimum": 3, "maximum": 3},
            "deep": {"$ref": "#/$defs/Deep"}
        },
        "required": ["code", "when", "mood", "level", "deep"],
        "$defs": {"Deep": {"type": "object", "properties": {"again": {"anyOf": [{"$ref": "#/$defs/Deep"}, {"type": "null"}]}}, "required": ["again"]}}
    });
    let mut request = LmRequest::user("rust/model", "The customer is angry, level 3.");
    request.config.response_format = Some(json!({"type": "json_schema", "schema": schema}));
    let answer: Value = serde_json::from_str(&StandInLm::new().answer(&request).output_text()).unwrap();
    assert_eq!(answer["code"], "AA-777");
    assert_eq!(answer["when"], "2025-01-15");
    assert_eq!(answer["mood"], "angry");
    assert_eq!(answer["level"], 3);
    assert!(answer["deep"].is_object());
}

#[test]
fn the_stand_in_ends_on_schemas_that_never_end_or_make_no_sense() {
    let schemas = [
        json!({"$ref": "#"}),
        json!({"$ref": "#/nowhere"}),
        json!({"type": "object", "properties": {"x": {"$ref": "#/properties/x"}}, "required": ["x"]}),
        json!({"type": "object", "properties": {"x": {"$ref": "#"}, "y": {"type": "array", "items": {"$ref": "#"}, "minItems": 1}}, "required": ["x", "y"]}),
        json!({"type": "object", "properties": {"x": {"type": "integer", "minimum": 9, "maximum": 1, "multipleOf": 0}}}),
        json!({"type": "object", "properties": {"x": {"type": "number", "exclusiveMinimum": 1e308, "multipleOf": -1}}}),
        json!({"type": "object", "properties": {"x": {"type": "string", "minLength": 10, "maxLength": 2}}}),
        json!({"type": "object", "properties": {"x": {"enum": []}, "y": {"anyOf": []}, "z": {"type": []}}, "required": 7}),
    ];
    for schema in schemas {
        let mut request = LmRequest::user("rust/model", "Hello");
        request.config.response_format = Some(json!({"type": "json_schema", "schema": schema}));
        StandInLm::new().answer(&request).encode("rust/model").unwrap();
    }
}

#[test]
fn the_stand_in_ends_on_schemas_that_branch_or_ask_for_too_much() {
    let branching = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/T"}},
        "required": ["a"],
        "$defs": {"T": {
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/T"}, "y": {"type": "array", "items": {"$ref": "#/$defs/T"}, "minItems": 9}},
            "required": ["x", "y"]
        }}
    });
    let enormous = json!({"type": "object", "properties": {
        "list": {"type": "array", "items": {"type": "boolean"}, "minItems": u64::MAX},
        "text": {"type": "string", "minLength": u64::MAX},
        "map": {"type": "object", "additionalProperties": {"type": "null"}, "minProperties": u64::MAX},
    }});
    for schema in [branching, enormous] {
        let mut request = LmRequest::user("rust/model", "Hello");
        request.config.response_format = Some(json!({"type": "json_schema", "schema": schema}));
        assert!(StandInLm::new().answer(&request).output_text().len() < 1_000_000);
    }
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(Value::Null),
        any::<i64>().prop_map(|n| json!({"type": "integer", "minimum": n, "multipleOf": n})),
        any::<(i32, i32)>().prop_map(|(a, b)| json!({"type": "number", "exclusiveMinimum": a, "maximum": b})),
        ".{0,12}".prop_map(|pattern| json!({"type": "string", "pattern": pattern})),
        ".{0,6}".prop_map(|text| json!({"enum": [text, null, 3]})),
        Just(json!({"$ref": "#/$defs/T"})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|options| json!({"anyOf": options})),
            inner.clone().prop_map(
                |item| json!({"type": "array", "items": item, "minItems": 2, "$defs": {"T": item}})
            ),
            prop::collection::btree_map("[a-z_]{1,5}", inner, 0..4)
                .prop_map(|properties| json!({"type": "object", "properties": properties})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_schema_and_no_text_makes_the_stand_in_panic(schema in any_schema(), text in ".{0,60}", system in ".{0,60}") {
        let mut request = LmRequest::user("rust/model", text).with_system(system);
        let schema = json!({"type": "object", "properties": {"field": schema.clone()}, "$defs": {"T": schema}});
        request.config.response_format = Some(json!({"type": "json_schema", "schema": schema}));
        let answer: Value = serde_json::from_str(&StandInLm::new().answer(&request).output_text()).unwrap();
        prop_assert!(answer.get("field").is_some());
    }
}

#[test]
fn the_stand_in_answers_prompts_that_are_empty_or_odd() {
    let odd = [
        "",
        "\u{0}\u{1F4A9}",
        "Respond with the corresponding output fields, starting with the field ",
        "Respond with a JSON object in the following order of fields: `",
        "Respond with the corresponding output fields wrapped in XML tags `<x>`, then `<`. Use this nested XML structure: <x><x><x>",
        "[[ ## question ## ]]\n\nRespond with a JSON object in the following order of fields: `a` (must be formatted as a valid Python ...), then `b`.",
    ];
    for text in odd {
        for system in [
            "",
            "Your output fields are:\n1. `x` (list[",
            "Your output fields are:\n1. `x` (int): \nConstraints: less than: x",
        ] {
            let request = LmRequest::user("rust/model", text).with_system(system);
            StandInLm::new().answer(&request).encode("rust/model").unwrap();
        }
    }
    StandInLm::new().answer(&LmRequest::new("rust/model", Vec::new())).encode("rust/model").unwrap();
}

#[tokio::test]
async fn a_script_is_written_in_the_format_that_the_adapter_asks_for() {
    let fields = || json!({"reasoning": "a < b & c", "urgency": "High", "tags": ["a", "b"], "hours": null});
    let expected = [
        (
            "chat",
            "[[ ## reasoning ## ]]\na < b & c\n\n[[ ## urgency ## ]]\nHigh\n\n[[ ## tags ## ]]\n[\"a\",\"b\"]\n\n[[ ## completed ## ]]\n",
        ),
        ("json", r#"{"reasoning":"a < b & c","urgency":"High","tags":["a","b"],"hours":null}"#),
        (
            "xml",
            "<reasoning>\na &lt; b &amp; c\n</reasoning>\n\n<urgency>\nHigh\n</urgency>\n\n<tags><item>a</item><item>b</item></tags>\n\n<hours>\n\n</hours>",
        ),
    ];
    for (adapter, text) in expected {
        let lm = ScriptedLm::new([fields()]);
        let answer = lm.complete(prompt("chain_of_thought", adapter)).await.unwrap();
        assert_eq!(answer.output_text(), text, "{adapter}");
    }
}

#[tokio::test]
async fn a_script_answers_in_order_and_then_says_what_is_missing() {
    let lm = ScriptedLm::new(["first"]).then(json!({"answer": "second"})).then_error(LmError::auth("no"));
    let ask = |text: &str| lm.complete(LmRequest::user("rust/model", text));
    assert_eq!(ask("1").await.unwrap().output_text(), "first");
    assert_eq!(ask("2").await.unwrap().output_text(), "second");
    assert_eq!(ask("3").await.unwrap_err().code(), "auth");
    let error = ask(&format!("{}the end of the prompt", "x".repeat(9000))).await.unwrap_err();
    assert!(!error.is_retryable());
    assert!(
        error.message().contains("after 3 answers") && error.message().ends_with("xthe end of the prompt")
    );
    assert!(error.message().len() < 700);
    assert_eq!(lm.requests().len(), 4);
    assert_eq!(lm.requests()[2].last_user_text(), "3");
}

#[tokio::test]
async fn rules_come_before_the_order_and_clones_share_the_record() {
    let lm = ScriptedLm::new(["in order"])
        .when_contains("refund", "money")
        .when(|request| request.system_text().contains("brief"), "short")
        .cycle();
    let clone = lm.clone();
    let ask = |text: &str| lm.complete(LmRequest::user("rust/model", text));
    assert_eq!(ask("a refund, please").await.unwrap().output_text(), "money");
    assert_eq!(ask("hello").await.unwrap().output_text(), "in order");
    assert_eq!(ask("hello again").await.unwrap().output_text(), "in order");
    let brief = LmRequest::user("rust/model", "hello").with_system("Be brief.");
    assert_eq!(clone.complete(brief).await.unwrap().output_text(), "short");
    assert_eq!((clone.requests().len(), lm.remaining()), (4, 1));
}

#[tokio::test]
async fn scripted_tool_calls_are_native_where_tools_are_offered() {
    let step =
        json!({"next_thought": "look", "tool_calls": [{"name": "lookup_plan", "args": {"email": "a@b.c"}}]});
    let native = ScriptedLm::new([step.clone()]).complete(prompt("react_v2", "json")).await.unwrap();
    let calls: Vec<_> =
        native.message.tool_calls().map(|call| (call.name.as_str(), call.input.clone())).collect();
    assert_eq!(calls, [("lookup_plan", json!({"email": "a@b.c"}))]);
    assert_eq!(native.output_text(), r#"{"next_thought":"look"}"#);
    let text = ScriptedLm::new([step]).complete(prompt("react_v2", "chat")).await.unwrap();
    assert_eq!(text.message.tool_calls().count(), 0);
    assert!(text.output_text().contains(
        r#"[[ ## tool_calls ## ]]
[{"name":"lookup_plan","args":{"email":"a@b.c"}}]"#
    ));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_model_answers_many_at_the_same_time() {
    let lm = DelayedLm::new(InstantLm::text("4"), Duration::from_millis(500));
    let begin = tokio::time::Instant::now();
    let answers = (0..200).map(|_| lm.complete(LmRequest::user("rust/model", "2 + 2")));
    let answers = futures::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().output_text() == "4"));
    assert_eq!(begin.elapsed().as_millis(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_script_s_latency_holds_for_errors_too() {
    let lm = ScriptedLm::default().then_error(LmError::timeout("late")).latency(Duration::from_secs(2));
    let begin = tokio::time::Instant::now();
    assert_eq!(lm.complete(LmRequest::user("m", "x")).await.unwrap_err().code(), "timeout");
    assert_eq!(begin.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn an_echo_repeats_the_newest_user_message() {
    let request =
        LmRequest::new("m", vec![Message::user("one"), Message::assistant("two"), Message::user("three")]);
    assert_eq!(EchoLm.complete(request).await.unwrap().output_text(), "three");
}

#[tokio::test]
async fn whole_answers_and_capabilities_of_a_script_are_kept() {
    let whole = LmResponse::text("hi").usage(1, 2).model("other/model");
    let plain = Capabilities::default();
    let lm = ScriptedLm::new([whole.clone()]).named("test/model").with_capabilities(plain.clone());
    assert_eq!((lm.name(), lm.capabilities()), ("test/model".to_owned(), plain));
    assert_eq!(lm.complete(LmRequest::user("m", "x")).await.unwrap(), whole);
}
