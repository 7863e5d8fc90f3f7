//! What `#[dspy_module]` generates, as its user meets it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use dspex::__private::schemars::{JsonSchema, schema_for};
use dspex::{FieldType, Module, dspy_module};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// How soon somebody has to look at it.
#[derive(Clone, Copy, Debug, PartialEq, FieldType)]
enum Urgency {
    High,
    Low,
}

/// Triage a support ticket.
///
/// Be brief.
#[dspy_module("dspy.ChainOfThought", temperature = 0.2, n = -1, stop = ["a", "b"], config(verbose = true, big = 9_007_199_254_740_993))]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Triage {
    /// What the customer wrote.
    #[input]
    ticket: String,
    #[input]
    r#type: Option<String>,
    #[output]
    urgency: Urgency,
    /// From 1
    #[schemars(range(min = 1, max = 5))]
    /// to 5.
    #[output]
    stars: u8,
    #[output]
    #[serde(default)]
    tags: Vec<String>,
}

#[dspy_module("dspy.predict.Predict")]
struct Ask {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[doc = include_str!("fixtures/instructions.md")]
#[dspy_module("dspy.Predict")]
struct Included {
    #[input]
    question: String,
    #[output]
    answer: String,
    #[output]
    #[cfg(not(test))]
    never: String,
    #[output]
    #[cfg(test)]
    always: String,
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

fn round_trip<T: Serialize + DeserializeOwned>(value: &T) -> Value {
    let json = serde_json::to_value(value).unwrap();
    let back: T = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&back).unwrap(), json);
    json
}

#[test]
fn the_definition_names_everything_the_runtime_needs() {
    let definition = Triage::definition();
    assert_eq!(definition.name, "Triage");
    assert_eq!(definition.class, "dspy.ChainOfThought");
    assert_eq!(definition.fingerprint.map(str::len), Some(64));
    assert_eq!(definition.instructions, Some("Triage a support ticket.\n\nBe brief."));
    assert_eq!(definition.inputs, ["ticket", "type"]);
    assert_eq!(definition.outputs, ["urgency", "stars", "tags"]);
    assert_eq!(definition.extra_outputs, ["reasoning"]);
}

#[test]
fn keywords_become_a_json_object_in_a_stable_order() {
    let args = Triage::definition().args;
    assert_eq!(args, r#"{"big":9007199254740993,"n":-1,"stop":["a","b"],"temperature":0.2,"verbose":true}"#);
    assert_eq!(Ask::definition().args, "{}");
}

#[test]
fn another_path_of_a_class_is_resolved_to_its_public_name() {
    assert_eq!(Ask::definition().class, "dspy.Predict");
    assert_eq!(Ask::definition().instructions, None);
}

#[test]
fn instructions_can_come_from_a_file() {
    assert_eq!(Included::definition().instructions, Some(include_str!("fixtures/instructions.md")));
}

#[test]
fn a_field_that_is_configured_out_is_out_everywhere() {
    assert_eq!(Included::definition().outputs, ["answer", "always"]);
    let outputs = IncludedOutputs { answer: String::new(), always: String::new() };
    assert_eq!(round_trip(&outputs), json!({"answer": "", "always": ""}));
}

#[test]
fn inputs_have_a_schema_with_the_descriptions_of_the_fields() {
    let schema = schema::<TriageInputs>();
    let ticket = json!({"type": "string", "description": "What the customer wrote."});
    assert_eq!(schema["properties"]["ticket"], ticket);
    assert_eq!(schema["properties"]["type"], json!({"type": ["string", "null"]}));
    assert_eq!(schema["required"], json!(["ticket"]));
}

#[test]
fn outputs_have_the_constraints_of_the_fields_and_the_outputs_of_the_class() {
    let schema = schema::<TriageOutputs>();
    let stars = &schema["properties"]["stars"];
    assert_eq!((&stars["minimum"], &stars["maximum"]), (&json!(1), &json!(5)));
    assert_eq!(stars["description"], "From 1\nto 5.");
    assert_eq!(schema["properties"]["urgency"], json!({"$ref": "#/$defs/Urgency"}));
    assert_eq!(schema["$defs"]["Urgency"]["enum"], json!(["High", "Low"]));
    assert_eq!(schema["properties"]["reasoning"]["type"], "string");
}

#[test]
fn inputs_and_outputs_survive_json_and_keep_the_names_of_dspy() {
    let inputs = TriageInputs { ticket: "down \u{1F525}".into(), r#type: None };
    assert_eq!(round_trip(&inputs), json!({"ticket": "down \u{1F525}", "type": null}));
    let outputs: TriageOutputs =
        serde_json::from_value(json!({"urgency": "High", "stars": 5, "reasoning": "It burns."})).unwrap();
    assert_eq!((outputs.urgency, outputs.stars, outputs.reasoning.as_str()), (Urgency::High, 5, "It burns."));
    assert_eq!(outputs.tags, Vec::<String>::new());
}

#[test]
fn an_output_that_is_missing_or_of_another_type_is_refused() {
    for wrong in [
        json!({"urgency": "High", "stars": 5}),
        json!({"urgency": "high", "stars": 5, "reasoning": ""}),
        json!({"urgency": "High", "stars": 256, "reasoning": ""}),
    ] {
        assert!(serde_json::from_value::<TriageOutputs>(wrong).is_err());
    }
}

#[test]
fn derives_below_the_attribute_are_on_inputs_and_outputs_too() {
    let inputs = TriageInputs { ticket: "a".into(), r#type: None };
    assert_eq!(inputs.clone(), inputs);
    assert!(format!("{inputs:?}").starts_with("TriageInputs"));
}

#[test]
fn the_struct_stays_a_typed_example() {
    let example = Triage {
        ticket: "down".into(),
        r#type: None,
        urgency: Urgency::Low,
        stars: 1,
        tags: vec!["network".into()],
    };
    assert_eq!(example.clone(), example);
}

#[test]
fn a_module_can_be_declared_inside_of_a_function() {
    #[dspy_module("dspy.Predict")]
    struct Local {
        #[input]
        urgency: Urgency,
        #[output]
        answer: f64,
    }
    let inputs = LocalInputs { urgency: Urgency::Low };
    assert_eq!(round_trip(&inputs), json!({"urgency": "Low"}));
    assert_eq!(Local::definition().name, "Local");
}

#[test]
fn a_macro_can_declare_modules() {
    macro_rules! ask {
        ($name:ident, $class:literal, $field:ident: $ty:ty) => {
            #[dspy_module($class)]
            struct $name {
                #[input]
                $field: $ty,
                #[output]
                answer: $ty,
            }
        };
    }
    ask!(Generated, "dspy.Predict", numbers: Vec<i64>);
    assert_eq!(Generated::definition().inputs, ["numbers"]);
    assert_eq!(round_trip(&GeneratedInputs { numbers: vec![1] }), json!({"numbers": [1]}));
}

#[test]
fn create_and_call_can_be_awaited_by_whoever_has_a_session() {
    // Only compiled: what they do is the runtime's and has tests of its own.
    async fn uses(session: &dspex::Session) -> dspex::Result<String> {
        let _: dspex::Instance<Ask> = Ask::create(session).await?;
        Ok(Ask::call(session, AskInputs { question: String::new() }).await?.answer)
    }
    let _ = uses;
}
