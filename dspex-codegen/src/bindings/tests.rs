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
            class["init"] = json!([parameter("metric", "callback", required, json!({"k": "callable"}))]);
            class["methods"] = json!([{"name": "grade", "params": [parameter("lm", "handle:lm", true, json!({"k": "any"}))]}]);
        })
    };
    let text = text_of(&callback(false));
    assert!(!text.contains("pub fn metric") && !text.contains("pub fn grade"), "{text}");
    assert!(text.contains("Left out: `metric`, a function"), "{text}");
    assert!(text.contains("The method `grade` is left out: it requires `lm`"), "{text}");
    assert_eq!(reach(&callback(false)), Reach::Bound);

    let text = text_of(&callback(true));
    assert!(text.contains("pub fn new(metric: __b::Callback) -> Self"), "{text}");
    assert_eq!(reach(&callback(true)), Reach::NamedOnly("metric".into()));
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
