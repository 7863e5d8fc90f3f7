//! Rust types for JSON Schemas: the code that is generated. `schema_types.rs` compiles and uses it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use dspex_codegen::{Root, SchemaTypes, types_from_schema};
use quote::quote;
use serde_json::{Value, json};

/// What `fixtures/team.py` writes: by name, `{"schema", "values"}`.
fn team() -> Value {
    serde_json::from_str(include_str!("fixtures/team.json")).unwrap()
}

fn generated() -> String {
    let mut types = SchemaTypes::new(Root::new(quote!(crate::root)));
    let mut aliases = Vec::new();
    for (name, part) in team().as_object().unwrap() {
        let ty = types.ty(&part["schema"], name);
        let alias = quote::format_ident!("{name}Field");
        let doc = format!(" The type for the schema `{name}`.");
        aliases.push(quote!(#[doc = #doc] pub type #alias = #ty;));
    }
    let items = types.items();
    let file = syn::parse2(quote!(#items #(#aliases)*)).unwrap();
    prettyplease::unparse(&file)
}

#[test]
fn the_compiled_code_is_what_is_generated() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/team.rs");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(path, generated()).unwrap();
        return;
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == generated(),
        "the fixture is stale; run this test with UPDATE_FIXTURES=1 and review the diff"
    );
}

#[test]
fn different_definitions_of_one_name_are_different_types() {
    let of = |ty: &str| json!({"$defs": {"A": {"type": "object", "properties": {"x": {"type": ty}}}}, "$ref": "#/$defs/A"});
    let mut types = SchemaTypes::new(Root::default());
    let names = ["string", "integer", "string"].map(|ty| types.ty(&of(ty), "Field").to_string());
    assert_eq!(names, ["A", "A2", "A"]);
}

#[test]
fn malformed_schemas_become_json_values_and_never_panic() {
    for schema in [
        json!(null),
        json!(true),
        json!(1),
        json!({"$ref": "#/$defs/Missing"}),
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}),
        json!({"$ref": 3}),
        json!({"type": "unknown"}),
        json!({"type": []}),
        json!({"enum": []}),
        json!({"anyOf": []}),
        json!({"type": "object", "properties": {"": {}, "9": {}, "$": {}, "a b": {}, "a_b": {}, "self": {}}}),
        json!({"type": "array", "prefixItems": []}),
        json!({"enum": ["", "+", "-", "a", "A", "self", "ß"]}),
    ] {
        let (ty, items) = types_from_schema(&schema, "some name", &Root::default());
        syn::parse2::<syn::Type>(ty).unwrap();
        syn::parse2::<syn::File>(items).unwrap_or_else(|error| panic!("{schema}: {error}"));
    }
}
