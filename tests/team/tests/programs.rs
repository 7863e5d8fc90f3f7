//! Programs of a team against real workers: typed inputs go in, typed outputs come out, and what is wrong is told.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bindings_of_a_team::my_team::models::{Author, Claim, Comment, Doc, PageInt, Refusal, Span, Urgency};
use bindings_of_a_team::my_team::rag::{
    self, ClaimOrRefusal, RagProgram, RagProgramInputs2 as Inputs, RagProgramInputs2Mode as Mode,
    RagProgramTitleInputs, Shapes, ShapesInputs, ShapesInputsChoice, ShapesOutputsChoice, Undecided,
};
use dspex::bindings::{ModuleSpec, SignatureSpec};
use dspex::prelude::*;
use dspex::testing::{ScriptedLm, StandInLm};
use dspex::types::{Code, Document, Image};
use serde_json::{Value, json};

async fn start(lm: impl LanguageModel) -> (Dspex, Session) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let builder = Dspex::builder().workers(1).allow_module("my_team.rag").python_path(python);
    let dspex = builder.lm(Lm::host(lm)).start().await.expect("dspex starts");
    let session = dspex.session();
    (dspex, session)
}

fn chat(fields: &[(&str, &str)]) -> String {
    let fields: String =
        fields.iter().map(|(name, value)| format!("[[ ## {name} ## ]]\n{value}\n\n")).collect();
    format!("{fields}[[ ## completed ## ]]")
}

fn answer(verdict: &str) -> String {
    chat(&[
        ("reasoning", "It is written there."),
        ("urgency", "some day"),
        ("verdict", verdict),
        ("table", "[[1, 2], [], [3]]"),
        ("counts", r#"{"pages": 2}"#),
        ("confidence", "null"),
    ])
}

fn doc(title: &str) -> Doc {
    Doc::new(Author::new("Ada").email("ada@example.org"), title).score(0.75)
}

const CLAIM: &str =
    r#"{"text": "It is so.", "support": [{"title": "A", "author": {"name": "Bo"}, "tags": ["x"]}]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_takes_and_answers_with_the_types_of_its_pydantic_models() {
    let lm = ScriptedLm::new([answer(CLAIM), chat(&[("title", "On it")])]);
    let (_dspex, session) = start(lm.clone()).await;
    let program = RagProgram::new().depth(7).create(&session).await.unwrap();
    let inputs = Inputs::new("Is it so?", vec![doc("A")]).hint("Look twice.").mode(Mode::Slow).limit(None);
    let out = program.execute(inputs).await.unwrap();

    let bo = Doc::new(Author::new("Bo"), "A").tags(vec!["x".into()]);
    assert_eq!((bo.score, &bo.author.email), (0.5, &None));
    assert_eq!(out.verdict, ClaimOrRefusal::Claim(Claim::new(vec![bo], "It is so.")));
    assert_eq!((out.urgency, out.confidence), (Urgency::SomeDay, None));
    assert_eq!(out.table, [vec![1, 2], vec![], vec![3]]);
    assert_eq!(out.counts, BTreeMap::from([("pages".to_owned(), 2)]));
    assert_eq!((out.why.as_str(), out.title.as_str()), ("It is written there.", "On it"));
    assert_eq!(out.documents, [doc("A")]);
    assert_eq!(out.size, json!(1));

    let asked = lm.requests().iter().map(|request| request.last_user_text()).collect::<Vec<_>>();
    assert!(asked[0].contains("ada@example.org"), "{}", asked[0]);
    assert!(asked[1].contains("Is it so? (slow, Look twice., None, 7)"), "{}", asked[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_called_in_passing_and_leaves_defaults_to_python() {
    let lm = ScriptedLm::new([answer(r#"{"reason": "No idea."}"#), chat(&[("title", "On it")])]);
    let (dspex, _session) = start(lm.clone()).await;
    let out = RagProgram::call(&dspex, Inputs::new("Is it so?", vec![])).await.unwrap();
    assert_eq!(out.verdict, ClaimOrRefusal::Refusal(Refusal::new("No idea.")));
    let asked = lm.requests().iter().map(|request| request.last_user_text()).collect::<Vec<_>>();
    assert!(asked[1].contains("Is it so? (fast, None, 5, 3)"), "{}", asked[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_all_sorts_go_through_a_program_and_come_back() {
    let (_dspex, session) = start(StandInLm::new()).await;
    let comment = Comment::new("First!").replies(vec![Comment::new("Second.")]);
    let (page, span) = (PageInt::new(vec![1, 2]).next(3), Span::new(4));
    let image = Image::from_bytes("image/png", [0x89, b'P', b'N', b'G']);
    let pair = (5, "five".to_owned());
    let choice = ShapesInputsChoice::List(vec!["a".into()]);
    let (code, document) = (Code::new("int x = 1;"), Document::text("The sky is blue.").titled("Weather"));
    let inputs = ShapesInputs::new(
        comment.clone(),
        page.clone(),
        span.clone(),
        image.clone(),
        code.clone(),
        document.clone(),
        pair.clone(),
    );
    let shapes = Shapes::new().create(&session).await.unwrap();
    let out = shapes.execute(inputs.clone().choice(choice).new_(true)).await.unwrap().into_outputs();
    assert_eq!((out.comment, out.page, out.span), (comment, page, span));
    assert_eq!((out.image, out.code, out.document), (image, code, document));
    assert_eq!((out.pair, out.new), (pair, true));
    assert_eq!(out.choice, Some(ShapesOutputsChoice::List(vec!["a".into()])));
    let out = shapes.execute(inputs).await.unwrap();
    assert_eq!((&out.choice, out.new), (&None, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_another_type_is_an_error_that_names_the_place() {
    let lm = ScriptedLm::new([answer(CLAIM), chat(&[("title", "On it")])]);
    let (_dspex, session) = start(lm).await;

    /// The same program, as somebody remembers it.
    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Remembered {
        counts: Vec<i64>,
    }
    let program = RagProgram::new().create(&session).await.unwrap();
    let error = program.execute_as::<Remembered>(Inputs::new("Is it so?", vec![])).await.unwrap_err();
    assert!(matches!(error, Error::Wire { .. }), "{error:?}");
    assert!(error.to_string().contains("outputs.counts: invalid type: map, expected a sequence"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_model_says_that_is_of_no_type_never_reaches_the_program() {
    let lm = ScriptedLm::new([answer(r#"{"neither": "claim nor refusal"}"#)]).cycle();
    let (dspex, _session) = start(lm).await;
    let error = RagProgram::call(&dspex, Inputs::new("Is it so?", vec![])).await.unwrap_err();
    assert!(matches!(error, Error::InvalidOutput { .. }), "{error:?}");
    assert!(error.to_string().contains("verdict"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_python_refuses_is_told_by_its_place() {
    let (_dspex, session) = start(StandInLm::new()).await;
    let program = RagProgram::new().create(&session).await.unwrap();
    let error = program.execute(Inputs::new("Is it so?", vec![doc("A"), doc("")])).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput { .. }), "{error:?}");
    assert!(error.to_string().contains("`documents`: at 1.title: String should have"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_whose_types_nobody_can_tell_takes_and_answers_with_json() {
    let (_dspex, session) = start(StandInLm::new()).await;
    let program = Undecided::new().create(&session).await.unwrap();
    let out = program.execute(json!({"question": "Why?"})).await.unwrap();
    assert_eq!(*out.outputs(), json!({"answer": "Why?"}));

    let program = rag::Needs::new("index").create(&session).await.unwrap();
    let out = program.execute("Why?").await.unwrap();
    assert_eq!(out["answer"], json!("index: Why?"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_of_the_team_take_and_give_its_types() {
    let (dspex, _session) = start(StandInLm::new()).await;
    let best: Doc = rag::best(&dspex, vec![doc("A"), doc("B").score(0.9)]).await.unwrap();
    assert_eq!(best.title, "B");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_object_of_the_team_is_a_typed_function_and_a_tool_of_sessions() {
    let (dspex, session) = start(StandInLm::new()).await;
    let counted: BTreeMap<String, i64> = rag::count_words(&dspex, "To be or not to be").await.unwrap();
    assert_eq!((counted.len(), counted["to"], counted["not"]), (4, 2, 1));
    let short = rag::count_words(&dspex, "To be or not to be").longest(2).await.unwrap();
    assert_eq!((short.len(), short.get("not")), (3, None));
    session.tools().register_python("my_team.rag.count_words").await.unwrap().keep();
    let same =
        session.tools().execute("count_words", json!({"text": "To be or not to be", "longest": 2})).await;
    assert_eq!(same.unwrap(), json!(short));
    let error = session.tools().execute("count_words", json!({"text": 7})).await.unwrap_err();
    assert!(error.to_string().contains("`text`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_has_changed_since_the_bindings_were_made_is_told_before_it_is_called() {
    let python = tempfile::tempdir().unwrap();
    let package = python.path().join("my_team");
    fs::create_dir(&package).unwrap();
    for name in ["__init__.py", "models.py", "rag.py"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/my_team").join(name);
        let text = fs::read_to_string(source).unwrap();
        fs::write(package.join(name), text.replace("hint: Optional[str] = None", "hint: str = \"none\""))
            .unwrap();
    }
    let builder = Dspex::builder().workers(1).allow_module("my_team.rag").python_path(python.path());
    let dspex = builder.lm(Lm::host(StandInLm::new())).start().await.unwrap();
    let error = RagProgram::new().create(&dspex.session()).await.unwrap_err();
    assert!(matches!(error, Error::SchemaMismatch { .. }), "{error:?}");
    assert!(error.to_string().starts_with("`my_team.rag.RagProgram` differs between the schema"), "{error}");
    assert!(error.to_string().contains("run `schema-gen dump` again"), "{error}");
    // What did not change is served.
    assert!(Shapes::new().create(&dspex.session()).await.is_ok());
}

// DSPy's own class with the team's signature. Its schema is not among those of the team.
#[dspy_module("dspy.ChainOfThought", signature = rag::Answer, unchecked)]
struct Answer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_of_the_team_serves_a_module_of_the_programs_own() {
    let lm = ScriptedLm::new([answer(CLAIM)]);
    let (dspex, _session) = start(lm.clone()).await;
    let inputs = rag::AnswerInputs::new(vec![doc("A")], "Is it so?");
    let out: rag::AnswerOutputs = Answer::call(&dspex, inputs).await.unwrap();
    assert_eq!((out.urgency, out.table.len()), (Urgency::SomeDay, 3));
    let asked = lm.requests()[0].prompt_text();
    // What Python says of the fields and types, and nothing that was made up for Rust.
    for said in ["Answer from the documents.", "What the documents say.", "What it is called."] {
        assert!(asked.contains(said), "{said} is not in\n{asked}");
    }
    assert!(!asked.contains("The field") && !asked.contains("Sets"), "{asked}");
    assert!(asked.contains("A document, see `list[str]` and [the page](https://example.org)."), "{asked}");
}

#[test]
fn a_program_is_a_module_like_any_other_but_has_no_signature_of_its_own() {
    fn definition<M: Module<Inputs = Inputs>>() -> (&'static str, &'static [&'static str]) {
        (M::definition().class, M::definition().outputs)
    }
    let (class, outputs) = definition::<RagProgram>();
    assert_eq!((class, outputs.first()), ("my_team.rag.RagProgram", Some(&"urgency")));
    assert!(ModuleSpec::of::<RagProgram>().is_ok());
    let error = SignatureSpec::of::<RagProgram>().unwrap_err().to_string();
    assert!(error.contains("a signature for each of its predictors"), "{error}");
    let inputs: Value = serde_json::to_value(RagProgramTitleInputs::new("Why?")).unwrap();
    assert_eq!(inputs, json!({"question": "Why?"}));
}
