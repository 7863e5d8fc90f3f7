//! The bindings against the real DSPy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use bindings_of_dspy::dspy;
use dspex::bindings::{Example, ModuleSpec, SignatureSpec};
use dspex::prelude::*;
use dspex::testing::{InstantLm, ScriptedLm, StandInLm};
use serde::{Deserialize, Serialize};
use serde_json::json;

async fn start(lm: impl LanguageModel) -> (Dspex, Session) {
    let dspex = Dspex::builder().workers(1).lm(Lm::host(lm)).start().await.expect("dspex starts");
    let session = dspex.session();
    (dspex, session)
}

fn chat(fields: &[(&str, &str)]) -> String {
    let fields: String =
        fields.iter().map(|(name, value)| format!("[[ ## {name} ## ]]\n{value}\n\n")).collect();
    format!("{fields}[[ ## completed ## ]]")
}

#[derive(FieldType, Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    Low,
    High,
}

/// Triage a support ticket.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Triage {
    /// What the customer wrote.
    #[input]
    ticket: String,
    #[output]
    urgency: Urgency,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_is_created_from_a_text_and_called() {
    let (_dspex, session) = start(InstantLm::text(chat(&[("reasoning", "6 * 7"), ("answer", "42")]))).await;
    let module = dspy::ChainOfThought::new("question -> answer: int").keyword("temperature", 0.2);
    let module = module.create(&session).await.unwrap();
    let out = module.execute(json!({"question": "What is 6 times 7?"})).await.unwrap();
    assert_eq!((&out["reasoning"], &out["answer"]), (&json!("6 * 7"), &json!(42)));

    #[derive(Deserialize)]
    struct Answer {
        reasoning: String,
        answer: i64,
    }
    let out = module.execute_as::<Answer>(json!({"question": "And now?"})).await.unwrap();
    assert_eq!((out.reasoning.as_str(), out.answer), ("6 * 7", 42));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_signature_of_a_typed_module_serves_every_class() {
    let (_dspex, session) =
        start(InstantLm::text(chat(&[("reasoning", "It is down."), ("urgency", "High")]))).await;
    let signature = SignatureSpec::of::<Triage>().unwrap();
    let module = dspy::ChainOfThought::new(&signature).create(&session).await.unwrap();
    let inputs = TriageInputs { ticket: "The checkout is down".into() };
    let out = module.execute_as::<TriageOutputs>(inputs).await.unwrap();
    assert_eq!(out.urgency, Urgency::High);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_tools_answers() {
    let lm = ScriptedLm::new([
        chat(&[("next_thought", "I know it."), ("next_tool_name", "finish"), ("next_tool_args", "{}")]),
        chat(&[("reasoning", "By heart."), ("answer", "Paris")]),
    ]);
    let (_dspex, session) = start(lm).await;
    let agent = dspy::ReAct::new("question -> answer", []).max_iters(3).create(&session).await.unwrap();
    let out = agent.execute(json!({"question": "What is the capital of France?"})).await.unwrap();
    assert_eq!((&out["answer"], &out["reasoning"]), (&json!("Paris"), &json!("By heart.")));
    assert!(out["trajectory"]["thought_0"].is_string(), "{}", out["trajectory"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_are_compared_with_arguments_of_the_call() {
    let (_dspex, session) =
        start(InstantLm::text(chat(&[("rationale", "Most say so."), ("answer", "blue")]))).await;
    let compare = dspy::MultiChainComparison::new("question -> answer").M(2).create(&session).await.unwrap();
    let attempt = |answer: &str| json!({"rationale": "It seems so.", "answer": answer});
    let inputs = json!({"question": "Which colour?", "completions": [attempt("blue"), attempt("red")]});
    let out = compare.execute(inputs).await.unwrap();
    assert_eq!((&out["rationale"], &out["answer"]), (&json!("Most say so."), &json!("blue")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_are_called_with_and_without_their_optional_arguments() {
    let (_dspex, session) = start(StandInLm::new()).await;
    let module = dspy::ChainOfThought::new("question -> answer").create(&session).await.unwrap();
    let named = module.named_predictors().await.unwrap();
    assert_eq!(named[0].0, "predict");
    let (with, without) =
        (module.dump_state().json_mode(true).await.unwrap(), module.dump_state().await.unwrap());
    assert_eq!(with, without);
    assert!(with["predict"]["signature"]["fields"].is_array(), "{with:?}");
    let call = module.dump_state().into_call().deadline(std::time::Duration::from_secs(60)).idempotent(true);
    assert_eq!(call.await.unwrap(), with);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_arguments_of_its_own_takes_them_one_by_one() {
    let (_dspex, session) = start(InstantLm::text(chat(&[("answer", "4")]))).await;
    let parallel = dspy::Parallel::new().disable_progress_bar(true).create(&session).await.unwrap();
    let ask = || dspy::Predict::new("question -> answer: int");
    let pairs = [(ask(), json!({"question": "2 + 2"})), (ask(), json!({"question": "1 + 3"}))];
    let answers = parallel.execute(pairs).num_threads(2).await.unwrap();
    assert_eq!(answers, [json!({"answer": 4}), json!({"answer": 4})]);

    let nothing: [(ModuleSpec, ()); 0] = [];
    let evaluate = dspy::Evaluate::new([]).create(&session).await.unwrap();
    let error = evaluate.execute(ask()).display_progress(false).await.unwrap_err();
    assert!(matches!(error, Error::Python(_)), "an evaluation wants examples: {error:?}");
    assert!(parallel.execute(nothing).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_optimizer_takes_a_student_and_examples_and_gives_a_state() {
    let (_dspex, session) = start(InstantLm::text(chat(&[("answer", "4")]))).await;
    let student = || dspy::Predict::new("question -> answer: int");
    let trainset =
        (1..=3).map(|n: i64| Example::new().input("question", format!("{n} + {n}")).field("answer", 2 * n));
    let optimizer = dspy::teleprompt::LabeledFewShot::new().k(2).create(&session).await.unwrap();
    let state = optimizer.compile(student(), trainset).sample(false).await.unwrap();
    assert_eq!(state["demos"].as_array().unwrap().len(), 2, "{state}");

    let learned = student().state(state.clone()).create(&session).await.unwrap();
    assert_eq!(learned.dump_state().await.unwrap()["demos"].as_array().unwrap().len(), 2);
    let out = learned.execute(json!({"question": "2 + 2"})).await.unwrap();
    assert_eq!(out["answer"], json!(4));
    assert_ne!(learned.bound().spec_hash(), student().create(&session).await.unwrap().bound().spec_hash());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_bound_and_untyped_modules_can_all_be_students() {
    let (_dspex, session) = start(StandInLm::new()).await;
    let optimizer = dspy::LabeledFewShot::new().create(&session).await.unwrap();
    let bound = dspy::Predict::new("ticket -> urgency").create(&session).await.unwrap();
    let typed = Triage::create(&session).await.unwrap();
    let untyped = InstanceSpec::new("dspy.Predict").signature(json!({"text": "ticket -> urgency"}));
    let students: [ModuleSpec; 4] =
        [(&bound).into(), (&typed).into(), ModuleSpec::of::<Triage>().unwrap(), untyped.into()];
    for student in students {
        let example = Example::new().input("ticket", "Help!").field("urgency", Urgency::High);
        let state = optimizer.compile(student, [example]).await.unwrap();
        assert_eq!(state["demos"][0]["urgency"], "High", "{state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_are_called_with_types() {
    let (dspex, session) = start(StandInLm::new()).await;
    let prefix: String = dspy::infer_prefix(&dspex, "someAttributeName").await.unwrap();
    assert_eq!(prefix, "Some Attribute Name");
    assert_eq!(dspy::evaluate::normalize_text(&session, "The  Answer!").await.unwrap(), "answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_types_and_adapters_are_instances_like_any_other() {
    let (_dspex, session) = start(StandInLm::new()).await;
    let history =
        dspy::History::new(vec![BTreeMap::from([("role".to_owned(), json!("user"))]).into_iter().collect()]);
    history.create(&session).await.unwrap();
    dspy::JSONAdapter::new().use_native_function_calling(false).create(&session).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_argument_is_told_at_the_creation() {
    let (_dspex, session) = start(StandInLm::new()).await;
    let error = dspy::Predict::new("question ->").create(&session).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput { .. }), "{error:?}");

    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it has no form"))
        }
    }
    let student = dspy::Predict::new("question -> answer").keyword("temperature", Broken);
    let error = student.clone().create(&session).await.unwrap_err().to_string();
    assert!(error.contains("the argument `temperature` of `dspy.Predict` cannot be sent"), "{error}");
    let optimizer = dspy::LabeledFewShot::new().create(&session).await.unwrap();
    let error = optimizer.compile(student, []).await.unwrap_err().to_string();
    assert!(error.contains("`temperature`") && error.contains("it has no form"), "{error}");

    let error = optimizer.compile(ModuleSpec::from(InstanceSpec::new("os.system")), []).await.unwrap_err();
    assert!(matches!(error, Error::NotAllowed(_)), "{error:?}");
}

/// Every path that documentation and issues name for a class leads to the same type.
#[test]
fn a_class_has_the_paths_that_it_has_in_python() {
    fn same<T>(_: fn() -> T, _: fn() -> T) {}
    same(dspy::LabeledFewShot::new, dspy::teleprompt::LabeledFewShot::new);
    same(dspy::ChatAdapter::new, dspy::adapters::ChatAdapter::new);
    let _: fn(dspy::predict::ReAct) -> dspy::ReAct = std::convert::identity;
    let _: fn(dspy::teleprompt::MIPROv2Instance) -> dspy::MIPROv2Instance = std::convert::identity;
    let _: Option<(
        dspy::Image,
        dspy::Audio,
        dspy::File,
        dspy::Code,
        dspy::RLM,
        dspy::Parallel,
        dspy::Refine,
    )> = None;
}
