//! What a class becomes.

use dspex_schema::{Class, Function};
use serde_json::{Value, json};

use super::{Bindings, Reach, reach};

fn class(edit: impl FnOnce(&mut Value)) -> Class {
    let mut document = json!({
        "format": 1, "name": "zoo.Tiger", "kind": "module", "call": "inputs", "abi_sha256": "ab", "init": [],
        "canonical": "zoo.cats.big.Tiger", "exports": ["zoo.Tiger", "zoo.cats.Tiger", "zoo.cats.big.Tiger"],
    });
    edit(&mut document);
    serde_json::from_value(document).unwrap()
}

fn text_of(class: &Class) -> String {
    Bindings::default().text(&[class], &[]).unwrap()
}

fn parameter(name: &str, role: &str, required: bool, kind: Value) -> Value {
    json!({"name": name, "role": role, "required": required, "type": kind})
}

#[test]
fn required_parameters_are_arguments_and_others_are_setters() {
    let text = text_of(&class(|class| {
        class["init"] = json!([
            parameter("name", "value", true, json!({"k": "str"})),
            parameter("stripes", "value", false, json!({"k": "option", "of": {"k": "int"}})),
        ]);
    }));
    assert!(text.contains("pub fn new(name: impl __b::Into<__b::String>) -> Self"), "{text}");
    assert!(text.contains("pub fn stripes(self, stripes: ::core::primitive::i64) -> Self"), "{text}");
}

#[test]
fn leaving_out_and_none_differ_where_the_default_is_another() {
    let text = text_of(&class(|class| {
        let mut stripes = parameter("stripes", "value", false, json!({"k": "option", "of": {"k": "int"}}));
        stripes["default"] = json!({"json": 7});
        class["init"] = json!([stripes]);
    }));
    assert!(text.contains("stripes: ::core::option::Option<::core::primitive::i64>"), "{text}");
    assert!(text.contains("Default in Python: `7`."), "{text}");
}

#[test]
fn keywords_and_names_of_the_bindings_own_are_escaped() {
    let text = text_of(&class(|class| {
        class["init"] = json!([
            parameter("type", "value", false, json!({"k": "str"})),
            parameter("create", "value", false, json!({"k": "bool"})),
            parameter("self", "value", false, json!({"k": "bool"})),
        ]);
        class["methods"] = json!([{"name": "execute"}, {"name": "match"}]);
    }));
    for escaped in [
        "pub fn r#type(",
        "pub fn create_(",
        "pub fn self_(",
        "pub fn execute_(&self)",
        "pub fn r#match(&self)",
    ] {
        assert!(text.contains(escaped), "{escaped} is not in\n{text}");
    }
    assert!(text.contains(".value(\"self\", self_)") && text.contains(".method(\"execute\")"), "{text}");
}

#[test]
fn what_cannot_be_given_is_left_out_and_said_so() {
    let callback = |required| {
        class(|class| {
            class["init"] = json!([parameter("reduce_fn", "callback", required, json!({"k": "callable"}))]);
            class["methods"] = json!([{"name": "grade", "params": [parameter("lm", "handle:lm", true, json!({"k": "any"}))]}]);
        })
    };
    let text = text_of(&callback(false));
    assert!(!text.contains("pub fn reduce_fn") && !text.contains("pub fn grade"), "{text}");
    assert!(text.contains("Left out: `reduce_fn`, a function"), "{text}");
    assert!(text.contains("The method `grade` is left out: it requires `lm`"), "{text}");
    assert_eq!(reach(&callback(false)), Reach::Bound);

    let text = text_of(&callback(true));
    assert!(text.contains("pub fn new(reduce_fn: __b::Unavailable) -> Self"), "{text}");
    assert_eq!(reach(&callback(true)), Reach::NamedOnly("reduce_fn".into()));
}

#[test]
fn functions_of_the_program_are_given_by_their_types() {
    let text = text_of(&class(|class| {
        class["init"] = json!([
            parameter("reward_fn", "callback", true, json!({"k": "callable"})),
            parameter("metric", "callback", false, json!({"k": "callable"})),
            parameter("embedder", "handle:embedder", false, json!({"k": "any"})),
            parameter("tools", "tools", false, json!({"k": "any"})),
        ]);
    }));
    assert!(text.contains("pub fn new(reward_fn: __b::Reward) -> Self"), "{text}");
    assert!(text.contains("pub fn metric(self, metric: __b::Metric) -> Self"), "{text}");
    assert!(text.contains("pub fn embedder(self, embedder: __b::Embedder) -> Self"), "{text}");
    assert!(text.contains("pub fn tools(self, tools: impl __b::IntoTools) -> Self"), "{text}");
}

#[test]
fn errors_and_language_models_have_types_of_the_runtime() {
    for (kind, own) in [("error", "dspex::Error"), ("lm", "dspex::Lm")] {
        let class = class(|class| class["kind"] = json!(kind));
        assert_eq!(reach(&class), Reach::Runtime(own));
        assert!(!text_of(&class).contains("Tiger"));
    }
}

#[test]
fn a_class_can_be_reached_by_its_public_paths_alone() {
    let text = text_of(&class(|_| {}));
    assert!(text.contains("pub use super::super::zoo::Tiger;"), "{text}");
    assert!(text.contains("pub use super::super::zoo::TigerInstance;"), "{text}");
    assert!(!text.contains("mod big"), "where Python defines it is nobody's business:\n{text}");
}

#[test]
fn a_module_and_a_class_of_one_name_do_not_meet() {
    let tiger = class(|_| {});
    let cub = class(|class| {
        class["name"] = json!("zoo.Tiger.Cub");
        class["exports"] = json!([]);
    });
    let text = Bindings::default().text(&[&tiger, &cub], &[]).unwrap();
    assert!(text.contains("pub struct Tiger_(") && text.contains("pub mod Tiger {"), "{text}");
}

#[test]
fn methods_with_optional_arguments_have_a_type_with_setters() {
    let text = text_of(&class(|class| {
        class["methods"] = json!([
            {"name": "roar", "returns": {"k": "float"}, "params": [
                parameter("at", "value", true, json!({"k": "str"})),
                parameter("loud", "value", false, json!({"k": "bool"})),
            ]},
            {"name": "sleep", "returns": {"k": "ref", "name": "dspy.Prediction"}},
        ]);
    }));
    assert!(text.contains("pub fn roar(&self, at: impl __b::Into<__b::String>) -> TigerRoarCall"), "{text}");
    assert!(text.contains("pub struct TigerRoarCall(__b::Call<::core::primitive::f64>);"), "{text}");
    assert!(text.contains("pub fn loud(self, loud: ::core::primitive::bool) -> Self"), "{text}");
    assert!(text.contains("pub fn sleep(&self) -> __b::Call<__b::Prediction<__b::Value>>"), "{text}");
}

#[test]
fn docstrings_are_neutralised() {
    let text = text_of(&class(|class| class["doc"] = json!("A [cat] of <T>.\n\n    tiger = Tiger()\n")));
    assert!(text.contains("/// A \\[cat\\] of \\<T>."), "{text}");
    assert!(text.contains("/// ```text\n    ///     tiger = Tiger()\n    /// ```"), "{text}");
}

#[test]
fn a_function_takes_whom_it_is_called_on_first() {
    let function: Function = serde_json::from_value(json!({
        "name": "zoo.count", "returns": {"k": "int"},
        "params": [parameter("cages", "value", true, json!({"k": "list", "of": {"k": "str"}}))],
    }))
    .unwrap();
    let text = Bindings::default().text(&[], &[&function]).unwrap();
    let head = "pub fn count(caller: &impl __b::Caller, cages: ::std::vec::Vec<::std::string::String>) -> __b::Call<::core::primitive::i64>";
    assert!(text.contains(head), "{text}");
}

#[test]
fn the_same_catalogue_gives_the_same_text() {
    let (tiger, lion) = (class(|_| {}), class(|class| class["name"] = json!("zoo.Lion")));
    let text = || Bindings::default().text(&[&tiger, &lion], &[]).unwrap();
    assert_eq!(text(), text());
}

/// A program of a team with a class of data that is defined elsewhere.
fn program() -> Vec<Class> {
    let doc = json!({
        "title": "Doc", "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
        "x-python": "team.models.Doc", "x-python-module": "team.models",
    });
    let docs = json!({"$defs": {"Doc": doc}, "type": "array", "items": {"$ref": "#/$defs/Doc"}});
    let field = |name: &str, schema: &Value| json!({"name": name, "schema": schema});
    let rag = class(|class| {
        class["name"] = json!("team.rag.Rag");
        class["exports"] = json!(["team.rag.Rag"]);
        class["call"] = json!("args");
        class["program"] = json!({
            "inputs": [field("docs", &docs), {"name": "k", "schema": {"type": "integer"}, "required": false, "default": {"json": 3}}],
            "outputs": [field("best", &doc), {"name": "size", "schema": true, "untyped": "nobody says"}],
        });
        class["predictors"] = json!([
            {"name": "steps[0].predict", "instructions": "Find it.", "inputs": [field("docs", &docs)], "outputs": [field("best", &doc)]},
        ]);
        class["methods"] = json!([{"name": "first", "returns": {"k": "option", "of": {"k": "ref", "name": "team.models.Doc"}}}]);
    });
    let data = class(|class| {
        class["name"] = json!("team.models.Doc");
        class["canonical"] = json!("team.models.Doc");
        class["exports"] = json!(["team.models.Doc"]);
        class["kind"] = json!("class");
        class["call"] = json!("none");
        class["value"] = doc.clone();
    });
    vec![rag, data]
}

fn text_of_all(bindings: &Bindings, classes: &[Class]) -> String {
    bindings.text(&classes.iter().collect::<Vec<_>>(), &[]).unwrap()
}

#[test]
fn a_program_has_typed_inputs_and_outputs_and_so_have_its_predictors() {
    let text = text_of_all(&Bindings::default(), &program());
    for part in [
        "pub fn execute(&self, inputs: RagInputs) -> __b::Call<__b::Prediction<RagOutputs>>",
        "pub async fn call(caller: &impl __b::Caller, inputs: RagInputs) -> __b::Result<RagOutputs>",
        "impl __b::Module for Rag {",
        "pub docs: ::std::vec::Vec<super::models::Doc>,",
        "pub fn k(mut self, k: ::core::primitive::i64) -> Self {",
        "/// Any JSON: nobody says.",
        "/// * `steps[0].predict`: [`RagSteps0Inputs`] to [`RagSteps0Outputs`]. Find it.",
        "pub fn first(&self) -> __b::Call<::core::option::Option<super::models::Doc>>",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(text.matches("pub struct Doc {").count(), 1, "{text}");
    assert!(!text.contains("DocInstance"), "a value is no draft of an instance:\n{text}");
}

#[test]
fn a_type_of_the_users_own_stands_for_a_class_of_data_everywhere() {
    let mut bindings = Bindings::default();
    bindings.type_paths.insert("team.models.Doc".into(), "crate::Doc".into());
    let text = text_of_all(&bindings, &program());
    for part in ["pub docs: ::std::vec::Vec<crate::Doc>,", "__b::Call<::core::option::Option<crate::Doc>>"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("pub struct Doc {"), "{text}");
}

#[test]
fn names_of_python_win_over_names_that_the_bindings_make() {
    let mut classes = program();
    classes[1].name = "team.rag.RagInputs".into();
    let text = text_of_all(&Bindings::default(), &classes);
    assert!(text.contains("pub struct RagInputs2 {"), "{text}");
    assert!(text.contains("pub fn execute(&self, inputs: RagInputs2)"), "{text}");
}

#[test]
fn a_program_that_could_not_be_looked_at_takes_json_and_says_why() {
    let text = text_of(&class(|class| {
        class["predictors_unknown"] =
            json!("its constructor needs `index`; give them defaults to have types");
    }));
    assert!(text.contains("Its inputs and outputs have no types: its constructor needs `index`"), "{text}");
    assert!(text.contains("pub fn execute(&self, inputs: impl __b::Serialize)"), "{text}");
}

#[test]
fn a_signature_is_a_type_that_modules_can_share() {
    let text = text_of(&class(|class| {
        let field = |name: &str| json!({"name": name, "schema": {"type": "string"}});
        class["signature"] =
            json!({"instructions": "Say \"hi\".", "inputs": [field("who")], "outputs": [field("greeting")]});
    }));
    for part in [
        "impl ::dspex::Signature for Tiger {",
        "type Inputs = TigerInputs;",
        "::core::option::Option::Some(\"Say \\\"hi\\\".\")",
        "outputs: &[\"greeting\"],",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
