//! Checks against classes that DSPy does not have, for what its own classes do not show.

use dspex_schema::Class;
use proc_macro2::TokenStream;
use quote::quote;
use serde_json::{Value, json};

use super::pretty;
use crate::module::{args, check, expand, model};
use crate::prelude::*;

fn class(init: Value, rest: Value) -> Class {
    let mut document = json!({
        "format": 1, "name": "zoo.Tiger", "kind": "module",
        "init": [{"name": "signature", "role": "signature", "required": true, "type": {"k": "class"}}],
    });
    document["init"].as_array_mut().unwrap().extend(init.as_array().unwrap().iter().cloned());
    document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    Class::parse(&document.to_string(), "test").unwrap()
}

fn item() -> TokenStream {
    quote! {
        struct Ask {
            #[input]
            question: String,
            #[output]
            answer: String,
        }
    }
}

fn errors(class: &Class, args: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let args = args::Args::parse(args, &mut errors);
    let model = model::Model::parse(item(), &args.options, &mut errors).ok().unwrap();
    check::check(&model, &args, Some(class), &mut errors);
    match errors.finish(()) {
        Ok(()) => Vec::new(),
        Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
    }
}

fn expansion(class: &Class) -> String {
    let mut errors = Errors::default();
    let args = args::Args::parse(quote!("zoo.Tiger"), &mut errors);
    let model = model::Model::parse(item(), &args.options, &mut errors).ok().unwrap();
    pretty(expand::items(&model, &args, Some(class)))
}

#[test]
fn a_required_value_has_to_be_given_and_then_is_enough() {
    let tiger = class(
        json!([{"name": "stripes", "role": "value", "required": true, "type": {"k": "int"}}]),
        json!({}),
    );
    assert_eq!(
        errors(&tiger, quote!("zoo.Tiger")),
        ["`zoo.Tiger` needs `stripes`, of type `int`; add `stripes = ..`"]
    );
    assert!(errors(&tiger, quote!("zoo.Tiger", stripes = 100)).is_empty());
}

#[test]
fn every_kind_of_value_is_checked_against_its_type() {
    let of = |ty: Value| class(json!([{"name": "v", "role": "value", "type": ty}]), json!({}));
    let cases = [
        (json!({"k": "float"}), quote!(1), true),
        (json!({"k": "float"}), quote!(-0.5), true),
        (json!({"k": "float"}), quote!("1"), false),
        (json!({"k": "int"}), quote!(1.0), false),
        (json!({"k": "bool"}), quote!(1), false),
        (json!({"k": "str"}), quote!("a"), true),
        (json!({"k": "option", "of": {"k": "int"}}), quote!(-3), true),
        (json!({"k": "list", "of": {"k": "str"}}), quote!(["a", "b"]), true),
        (json!({"k": "list", "of": {"k": "str"}}), quote!(["a", 1]), false),
        (json!({"k": "literal", "values": ["low", "high"]}), quote!("high"), true),
        (json!({"k": "literal", "values": ["low", "high"]}), quote!("hihg"), false),
        (json!({"k": "union", "of": [{"k": "int"}, {"k": "str"}]}), quote!("a"), true),
        (json!({"k": "new in a later release"}), quote!([1, "a", true]), true),
    ];
    for (ty, value, accepted) in cases {
        let found = errors(&of(ty.clone()), quote!("zoo.Tiger", v = #value));
        assert_eq!(found.is_empty(), accepted, "{ty} {value}: {found:?}");
    }
}

#[test]
fn a_wrong_value_is_told_the_type_it_should_have() {
    let ty = json!({"k": "literal", "values": ["low", "high"]});
    let tiger = class(json!([{"name": "v", "role": "value", "type": ty}]), json!({}));
    let found = errors(&tiger, quote!("zoo.Tiger", v = "hihg"));
    assert_eq!(found, ["`v` of `zoo.Tiger` is `Literal[\"low\", \"high\"]`, and `\"hihg\"` is not"]);
}

#[test]
fn a_class_without_keywords_says_so() {
    let tiger = class(json!([]), json!({}));
    let found = errors(&tiger, quote!("zoo.Tiger", banana = 1));
    assert_eq!(found, ["`zoo.Tiger` takes no keyword `banana`; it has none that can be given, remove it"]);
}

#[test]
fn a_raw_identifier_gives_a_keyword_that_rust_reserves() {
    let tiger = class(json!([{"name": "type", "role": "value", "type": {"k": "str"}}]), json!({}));
    assert!(errors(&tiger, quote!("zoo.Tiger", r#type = "a")).is_empty());
}

#[test]
fn roles_that_no_literal_can_fill_are_named() {
    for (role, text) in [
        ("callback", "a function"),
        ("handle:module", "a module"),
        ("handle:lm", "a language model"),
        ("handle:adapter", "an adapter"),
        ("handle:embedder", "an embedder"),
        ("examples", "a list of examples"),
        ("factory", "a factory"),
        ("host_only", "an object of Python"),
        ("handle:keeper", "a `handle:keeper`"),
    ] {
        let tiger = class(json!([{"name": "x", "role": role, "required": true}]), json!({}));
        let found = errors(&tiger, quote!("zoo.Tiger"));
        assert!(found[0].starts_with(&format!("`zoo.Tiger` needs `x`, {text}, which")), "{found:?}");
        let optional = class(json!([{"name": "x", "role": role, "required": false}]), json!({}));
        assert!(errors(&optional, quote!("zoo.Tiger")).is_empty());
        let found = errors(&optional, quote!("zoo.Tiger", x = 1));
        assert!(found[0].contains(text), "{found:?}");
    }
}

#[test]
fn a_class_that_runs_the_source_of_its_tools_gets_none() {
    let mut act = class(json!([{"name": "tools", "role": "tools", "required": true}]), json!({}));
    assert!(errors(&act, quote!("zoo.Tiger", tools(lookup))).is_empty());
    let found = errors(&act, quote!("zoo.Tiger"));
    assert_eq!(
        found,
        ["`zoo.Tiger` needs tools; add `tools(my_tool)`, with functions that have `#[dspex_tool]`"]
    );
    act.bases = vec!["dspy.CodeAct".to_owned()];
    let found = errors(&act, quote!("zoo.Tiger", tools(lookup)));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("`zoo.Tiger` runs the source of its tools in an interpreter of Python"));
}

#[test]
fn a_method_that_needs_more_than_json_is_refused() {
    let tamed = json!({"methods": [{"name": "tame", "params": [{"name": "tamer", "role": "callback", "required": true}]}]});
    let found = errors(&class(json!([]), tamed), quote!("zoo.Tiger", methods(tame)));
    assert_eq!(
        found,
        ["`tame` of `zoo.Tiger` needs `tamer`, a function, which cannot cross to Python; remove it"]
    );
}

#[test]
fn a_keyword_of_the_class_called_config_is_one() {
    let init = json!([{"name": "config", "role": "value", "type": {"k": "str"}}]);
    let tiger = class(init, json!({"init_extra": true}));
    assert!(errors(&tiger, quote!("zoo.Tiger", config = "a", config(other = 1))).is_empty());
}

#[test]
fn a_deprecated_class_warns_where_it_is_named() {
    let deprecated = json!({"flags": ["deprecated"], "deprecated": {"use": "zoo.Lion"}});
    let text = expansion(&class(json!([]), deprecated));
    assert!(text.contains("#[deprecated(note = \"DSPy deprecates `zoo.Tiger`; use `zoo.Lion`\")]"), "{text}");
    assert!(!expansion(&class(json!([]), json!({}))).contains("deprecated"));
}

#[test]
fn outputs_of_the_class_become_fields_of_their_types() {
    let extra = json!({"outputs": {"from_signature": true, "extra": [
        {"name": "type", "type": {"k": "option", "of": {"k": "float"}}, "doc": "Uses `x` and list[str]."},
        {"name": "self", "type": {"k": "any"}},
    ]}});
    let text = expansion(&class(json!([]), extra));
    assert!(text.contains("r#type: ::core::option::Option<::core::primitive::f64>"), "{text}");
    assert!(text.contains("/// Uses `x` and list\\[str\\]."), "{text}");
    assert!(text.contains("#[serde(rename = \"self\")]"), "{text}");
    assert!(text.contains("self_: ::dspex::__private::serde_json::Value"), "{text}");
    assert!(text.contains("extra_outputs: &[\"type\", \"self\"]"), "{text}");
}
