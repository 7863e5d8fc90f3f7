//! `#[dspy_module(.., signature = "..")]` and the options beside it, as their user meets them, against the real DSPy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{on_both_carriers, start};
use dspex::lm::{LmRequest, Part, lm_fn};
use dspex::prelude::*;
use dspex::testing::{InstantLm, ScriptedLm};
use dspex::types::{Audio, File, History, Image};
use serde_json::{Value, json};

/// Answer the question.
#[dspy_module("dspy.ChainOfThought", signature = "question, k: int -> answer: float, tags: list[str]")]
#[derive(Clone, Debug, PartialEq)]
pub struct Qa;

#[derive(FieldType, Clone, Debug, PartialEq)]
struct Person {
    name: String,
    age: Option<u8>,
}

mod elsewhere {
    #[derive(dspex::FieldType, Clone, Debug, PartialEq)]
    pub struct Order {
        pub cents: u32,
    }
}

#[dspy_module(
    "dspy.Predict",
    signature = "type: Literal['a b', -1, True, None], person: Person, x: Optional[int], y: int | None, \
                 m: dict[str, list[int]], t: tuple[int, str], s: set[str], any \
                 -> label: Literal['yes', 'no'], value: int | float | str, maybe: Optional[Literal[1, 2]], \
                 orders: list[elsewhere::Order] | None, crate: Any"
)]
struct Everything;

#[dspy_module("dspy.Predict", signature = "image: dspy.Image, more: list[dspy.Image] -> caption")]
struct Caption;

#[dspy_module(
    "dspy.Predict",
    signature = "sound: Optional[dspy.Audio], file: dspy.File, history: dspy.History, question -> answer"
)]
struct Media;

#[dspy_module("dspy.Predict", signature = "text -> picture: dspy.Image")]
struct Draw;

#[derive(Debug, PartialEq)]
struct Verdict(bool);

fn to_verdict(outputs: JudgeOutputs) -> Result<Verdict, String> {
    match outputs.answer.as_str() {
        "yes" => Ok(Verdict(true)),
        "no" => Ok(Verdict(false)),
        other => Err(format!("`{other}` is neither yes nor no")),
    }
}

#[dspy_module("dspy.Predict", signature = "claim -> answer", transform = to_verdict -> Verdict)]
struct Judge;

fn count(outputs: CountedOutputs) -> BTreeMap<String, usize> {
    BTreeMap::from([(outputs.answer.clone(), outputs.answer.len())])
}

/// With a field of a struct, and a type with a comma.
#[dspy_module("dspy.Predict", transform = self::count -> BTreeMap<String, usize>, temperature = 0.5)]
struct Counted {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module(
    "dspy.Predict",
    signature = "question -> answer",
    execute = "forward",
    methods(dump_state, reset, named_predictors)
)]
struct Forward;

#[dspy_module(
    "dspex_test_programs.Team",
    unchecked,
    signature = "question -> answer",
    greeting = "Hello",
    execute = "greet",
    methods(shout)
)]
struct Greeter;

#[dspy_module("dspex_test_programs.Team", unchecked, signature = "question -> answer")]
struct Team;

fn inputs() -> EverythingInputs {
    EverythingInputs {
        r#type: EverythingType::Minus1,
        person: Person { name: "Ada".into(), age: None },
        x: None,
        y: Some(2),
        m: BTreeMap::from([("a".to_owned(), vec![1, 2])]),
        t: (7, "seven".to_owned()),
        s: BTreeSet::from(["z".to_owned()]),
        any: String::new(),
    }
}

#[test]
fn fields_have_the_types_and_the_names_of_the_text() {
    let inputs = serde_json::to_value(inputs()).unwrap();
    let expected = json!({
        "type": -1, "person": {"name": "Ada", "age": null}, "x": null, "y": 2, "m": {"a": [1, 2]}, "t": [7, "seven"],
        "s": ["z"], "any": "",
    });
    assert_eq!(inputs, expected);
    assert_eq!(EverythingLabel::No.cmp(&EverythingLabel::Yes), std::cmp::Ordering::Greater);
    let all = json!(["a b", -1, true, null]);
    let values: Vec<EverythingType> = serde_json::from_value(all.clone()).unwrap();
    assert_eq!(values[3], EverythingType::None);
    assert_eq!(serde_json::to_value(values).unwrap(), all);
    assert!(serde_json::from_value::<EverythingType>(json!(false)).is_err());
}

#[test]
fn the_documentation_of_the_struct_is_the_instructions() {
    assert_eq!(Qa::definition().instructions, Some("Answer the question."));
    assert_eq!(Qa::definition().inputs, ["question", "k"]);
    assert_eq!(Qa::definition().extra_outputs, ["reasoning"]);
}

#[test]
fn schemas_of_the_rust_types_are_those_of_the_text() {
    let text = "q -> a: Literal['x', 'y'], b: int | str, c: dict[str, list[int]], d: tuple[int, str], e: set[str], \
                f: Literal[1, None], g: Any, h: list[dspy.Image]";
    #[dspy_module(
        "dspy.Predict",
        signature = "q -> a: Literal['x', 'y'], b: int | str, c: dict[str, list[int]], d: tuple[int, str], e: set[str], \
                     f: Literal[1, None], g: Any, h: list[dspy.Image]"
    )]
    struct Same;
    let schema = dspex::__private::schemars::schema_for!(SameOutputs).to_value();
    for field in dspex_schema::signature::parse(text).unwrap().outputs {
        let mut expected = field.ty.json_schema();
        let found = normal(&schema["properties"][&field.name]);
        if expected == json!({}) {
            expected = json!(true);
        }
        assert_eq!(found, expected, "{}", field.name);
    }
}

/// Without what schemars says about the size of Rust's integers and the type of an enum's values.
fn normal(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let kept = object.iter().filter(|(key, value)| {
                !(*key == "format" && (*value == "int64" || *value == "double"))
                    && !(*key == "type" && object.contains_key("enum"))
            });
            Value::Object(kept.map(|(key, value)| (key.clone(), normal(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        other => other.clone(),
    }
}

on_both_carriers! {
    async fn a_module_from_a_text_is_called_with_types(carrier: Carrier) {
        let script = ScriptedLm::new([json!({"reasoning": "six sevens", "answer": 42.0, "tags": ["math"]})]);
        let dspex = start(carrier, script).await;
        let out = Qa::call(&dspex, QaInputs { question: "6 * 7".into(), k: 3 }).await.unwrap();
        let expected = QaOutputs { answer: 42.0, tags: vec!["math".into()], reasoning: "six sevens".into() };
        assert_eq!(out, expected);
    }

    async fn every_type_of_the_grammar_crosses_both_ways(carrier: Carrier) {
        let script = ScriptedLm::new([
            json!({"label": "no", "value": 7, "maybe": 2, "orders": [{"cents": 5}], "crate": {"a": [1]}}),
            json!({"label": "yes", "value": "seven", "maybe": null, "orders": null, "crate": "x"}),
            json!({"label": "yes", "value": 7.5, "maybe": 1, "orders": [], "crate": "x"}),
        ]);
        let dspex = start(carrier, script).await;
        let out = Everything::call(&dspex, inputs()).await.unwrap();
        assert_eq!((out.label, out.maybe), (EverythingLabel::No, Some(EverythingMaybe::N2)));
        assert_eq!(out.value, EverythingValue::Int(7));
        assert_eq!(out.orders, Some(vec![elsewhere::Order { cents: 5 }]));
        assert_eq!(out.crate_, json!({"a": [1]}));
        let out = Everything::call(&dspex, inputs()).await.unwrap();
        assert_eq!((out.value, out.maybe, out.orders), (EverythingValue::Str("seven".into()), None, None));
        let out = Everything::call(&dspex, inputs()).await.unwrap();
        assert_eq!(out.value, EverythingValue::Float(7.5));
    }

    async fn a_model_receives_images_as_images(carrier: Carrier) {
        let model = lm_fn(|request: LmRequest| async move {
            let parts = request.messages.iter().flat_map(|message| &message.parts);
            let images: Vec<String> = parts
                .filter_map(|part| match part {
                    Part::Image(media) => Some(media.url.clone().unwrap_or_else(|| {
                        format!("{}:{}", media.media_type, media.data.clone().unwrap_or_default())
                    })),
                    _ => None,
                })
                .collect();
            Ok(LmResponse::text(format!("[[ ## caption ## ]]\n{}\n\n[[ ## completed ## ]]", images.join(" "))))
        });
        let dspex = start(carrier, model).await;
        let inputs = CaptionInputs {
            image: Image::from_url("https://example.com/cat.png"),
            more: vec![Image::from_bytes("image/png", b"\x89PNG")],
        };
        let out = Caption::call(&dspex, inputs).await.unwrap();
        assert_eq!(out.caption, "https://example.com/cat.png image/png:iVBORw==");
    }

    async fn sound_files_and_history_reach_the_model_as_what_they_are(carrier: Carrier) {
        let model = lm_fn(|request: LmRequest| async move {
            let kinds: Vec<&str> = request
                .messages
                .iter()
                .flat_map(|message| &message.parts)
                .map(|part| match part {
                    Part::Text(_) => "text",
                    Part::Audio(_) => "audio",
                    Part::Document(_) => "document",
                    _ => "other",
                })
                .filter(|kind| *kind != "text")
                .collect();
            let turns = request.messages.len();
            let earlier = request.messages.iter().any(|message| message.text().contains("earlier answer"));
            Ok(LmResponse::text(format!("[[ ## answer ## ]]\n{kinds:?} {turns} {earlier}\n\n[[ ## completed ## ]]")))
        });
        let dspex = start(carrier, model).await;
        let inputs = |sound| MediaInputs {
            sound,
            file: File::from_bytes("application/pdf", b"%PDF"),
            history: History::new().turn(&json!({"question": "earlier question", "answer": "earlier answer"})).unwrap(),
            question: "?".into(),
        };
        let out = Media::call(&dspex, inputs(Some(Audio::from_bytes("wav", b"RIFF")))).await.unwrap();
        assert_eq!(out.answer, r#"["audio", "document"] 3 true"#);
        let out = Media::call(&dspex, inputs(None)).await.unwrap();
        assert_eq!(out.answer, r#"["document"] 3 true"#);
    }

    async fn an_image_can_be_an_output(carrier: Carrier) {
        let dspex = start(carrier, ScriptedLm::new([json!({"picture": {"url": "https://example.com/a.png"}})])).await;
        let out = Draw::call(&dspex, DrawInputs { text: "a".into() }).await.unwrap();
        assert_eq!(out.picture.url(), "https://example.com/a.png");
    }

    async fn a_transform_makes_the_answer_or_refuses_the_outputs(carrier: Carrier) {
        let dspex = start(carrier, ScriptedLm::new([json!({"answer": "yes"}), json!({"answer": "no"}), json!({"answer": "?"})])).await;
        let inputs = || JudgeInputs { claim: "2 + 2 = 4".into() };
        let verdict: Verdict = Judge::call(&dspex, inputs()).await.unwrap();
        assert_eq!(verdict, Verdict(true));
        let judge = Judge::create(&dspex.session()).await.unwrap();
        let prediction = judge.run(inputs()).await.unwrap();
        assert_eq!((prediction.outputs(), prediction.usage().total_tokens() > 0), (&Verdict(false), true));
        let error = judge.execute(inputs()).await.unwrap_err();
        assert!(matches!(error, Error::Transform { .. }), "{error:?}");
        assert_eq!(error.to_string(), "the transform of `Judge` refused the outputs: `?` is neither yes nor no");
    }

    async fn a_transform_may_give_any_type(carrier: Carrier) {
        let dspex = start(carrier, InstantLm::text("[[ ## answer ## ]]\nfour\n\n[[ ## completed ## ]]")).await;
        let answer = Counted::call(&dspex, CountedInputs { question: "?".into() }).await.unwrap();
        assert_eq!(answer, BTreeMap::from([("four".to_owned(), 4)]));
    }

    async fn another_method_can_take_the_inputs(carrier: Carrier) {
        let dspex = start(carrier, ScriptedLm::new([json!({"answer": "x"})])).await;
        let forward = Forward::create(&dspex.session()).await.unwrap();
        assert_eq!(forward.execute(ForwardInputs { question: "?".into() }).await.unwrap().answer, "x");
    }

    async fn methods_of_the_class_can_be_called(carrier: Carrier) {
        let dspex = start(carrier, ScriptedLm::new([json!({"answer": "x"})])).await;
        let forward = Forward::create(&dspex.session()).await.unwrap();
        let state = Forward::dump_state(&forward, None).await.unwrap();
        assert!(state["signature"]["fields"].is_array(), "{state:?}");
        Forward::reset(&forward).await.unwrap();
        let predictors = Forward::named_predictors(&forward).await.unwrap();
        assert_eq!(predictors[0].0, "self", "{predictors:?}");
    }

    async fn a_class_that_is_not_checked_is_built_and_called_all_the_same(carrier: Carrier) {
        let dspex = start(carrier, ScriptedLm::new([json!({"answer": "x"})])).await;
        let session = dspex.session();
        assert_eq!(Team::call(&session, TeamInputs { question: "?".into() }).await.unwrap().answer, "x");
        let greeter = Greeter::create(&session).await.unwrap();
        assert_eq!(greeter.execute(GreeterInputs { question: "you".into() }).await.unwrap().answer, "Hello, you!");
        let arguments = json!({"text": "hi"}).as_object().cloned().unwrap();
        assert_eq!(Greeter::shout(&greeter, arguments).await.unwrap(), "HI");
        assert_eq!(Greeter::definition().fingerprint, None);
    }
}
