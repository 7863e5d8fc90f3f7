//! Unions: an option where null is among the branches, otherwise an enum without tags.
//!
//! serde takes the first branch that fits, so the branches that fit least come first.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use serde_json::{Value, json};

use super::{Docs, Kind, Place, SchemaTypes, Shape, distinct, docs};

impl SchemaTypes {
    pub(super) fn union(&mut self, branches: &[Value], schema: &Value, place: Place<'_>) -> Shape {
        let (nulls, rest): (Vec<&Value>, Vec<&Value>) = branches.iter().partition(|branch| is_null(branch));
        let whole = match rest.as_slice() {
            [] => return Shape { tokens: quote!(()), kind: Kind::Null },
            [only] => self.shape(only, Place { titled: false, ..place }),
            _ => {
                let mut union = json!({"anyOf": rest});
                for key in ["description", "title"] {
                    if let Some(value) = schema.get(key) {
                        union[key] = value.clone();
                    }
                }
                self.branches(&union, place)
            }
        };
        if nulls.is_empty() || matches!(whole.kind, Kind::Any | Kind::Option(_) | Kind::Null) {
            return whole;
        }
        let of = &whole.tokens;
        Shape { tokens: quote!(::core::option::Option<#of>), kind: Kind::Option(Box::new(whole)) }
    }

    fn branches(&mut self, union: &Value, place: Place<'_>) -> Shape {
        // What all branches are, or what one of them takes from all others.
        let hint = place.hint;
        let shapes = self.shapes(union, Place { inline: true, titled: false, ..place }, hint);
        if let Some(any) = shapes.iter().find(|shape| matches!(shape.kind, Kind::Any)) {
            return any.clone();
        }
        if let [only] = shapes.as_slice() {
            return only.clone();
        }
        // The title of a field is no name for its type. What has names makes one, which all fields share; the description
        // of one of them is not that of the type.
        let place = Place { titled: false, ..place };
        match names_of(&shapes, hint) {
            Some(name) => {
                let plain = json!({"anyOf": union["anyOf"]});
                self.item(&plain, Place { hint: &name, ..place }, Self::untagged)
            }
            None => self.item(union, place, Self::untagged),
        }
    }

    /// The branches, each once, the most particular first.
    fn shapes(&mut self, union: &Value, place: Place<'_>, hint: &str) -> Vec<Shape> {
        let mut shapes: Vec<Shape> = Vec::new();
        for branch in union["anyOf"].as_array().into_iter().flatten() {
            let hint = format!("{hint}{}", suffix(branch));
            let shape = self.shape(branch, place.inner(&hint));
            if !shapes.iter().any(|other| other.tokens.to_string() == shape.tokens.to_string()) {
                shapes.push(shape);
            }
        }
        shapes.sort_by_key(|shape| rank(&shape.kind));
        shapes
    }

    fn untagged(&mut self, schema: &Value, ident: &Ident, place: Place<'_>) -> TokenStream {
        let (derives, Docs { lines, description }) = (self.derives(), docs(schema));
        let hint = ident.to_string();
        let shapes = self.shapes(schema, place, &hint);
        let variants = distinct(shapes.iter().map(|shape| variant(shape, &hint)));
        let types: Vec<&TokenStream> = shapes.iter().map(|shape| &shape.tokens).collect();
        quote! {
            #lines
            #derives
            #description
            #[serde(untagged)]
            pub enum #ident { #(#variants(#types),)* }
        }
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type") == Some(&json!("null")) || schema.get("const") == Some(&Value::Null)
}

/// `ClaimOrRefusal`, where all branches have names that do not come from this place.
fn names_of(shapes: &[Shape], hint: &str) -> Option<String> {
    let mut names = Vec::new();
    for shape in shapes {
        let unnamed = matches!(shape.kind, Kind::Null | Kind::List | Kind::Map | Kind::Option(_) | Kind::Any);
        names.push(Some(variant(shape, "")).filter(|name| !unnamed && !name.starts_with(hint))?);
    }
    names.sort();
    Some(names.join("Or"))
}

/// What tells the type of a branch without a name from that of the whole.
fn suffix(branch: &Value) -> &'static str {
    match branch.get("type").and_then(Value::as_str) {
        Some("array") => "List",
        Some("object") => "Object",
        Some("integer") => "Number",
        _ if branch.get("enum").and_then(|values| values.get(0)).is_some_and(Value::is_i64) => "Number",
        _ => "Choice",
    }
}

fn variant(shape: &Shape, whole: &str) -> String {
    match &shape.kind {
        Kind::Null => "Null".to_owned(),
        Kind::Bool => "Bool".to_owned(),
        Kind::Integer => "Integer".to_owned(),
        Kind::Number => "Number".to_owned(),
        Kind::Text => "Text".to_owned(),
        Kind::List => "List".to_owned(),
        Kind::Map | Kind::Any => "Object".to_owned(),
        Kind::Option(_) => "Optional".to_owned(),
        Kind::Choice(_) | Kind::Numbers | Kind::Struct(..) | Kind::Union | Kind::Own => {
            let text = shape.tokens.to_string().replace(' ', "");
            let name = text.rsplit("::").next().unwrap_or(&text);
            let name = name.trim_start_matches("Box<").trim_end_matches('>').trim_start_matches("r#");
            name.strip_prefix(whole).filter(|rest| !rest.is_empty()).unwrap_or(name).to_owned()
        }
    }
}

fn rank(kind: &Kind) -> (u8, i64) {
    match kind {
        Kind::Null => (0, 0),
        Kind::Bool => (1, 0),
        Kind::Numbers => (2, 0),
        Kind::Integer => (3, 0),
        Kind::Number => (4, 0),
        Kind::Choice(_) => (5, 0),
        Kind::Text => (6, 0),
        // A struct with more fields fits fewer objects.
        Kind::Struct(required, all) => (7, -(1000 * (*required as i64) + *all as i64)),
        Kind::Union | Kind::Own => (8, 0),
        Kind::List => (9, 0),
        Kind::Map => (10, 0),
        Kind::Option(_) => (11, 0),
        Kind::Any => (12, 0),
    }
}
