//! Enumerations of values.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use serde_json::Value;

use super::{Docs, Kind, Place, SchemaTypes, Shape, distinct, docs, enumeration, names};

impl SchemaTypes {
    /// One of several values.
    pub(super) fn values(&mut self, values: &[Value], schema: &Value, place: Place<'_>) -> Shape {
        let texts: Vec<&Value> = values.iter().filter(|value| value.is_string()).collect();
        let integers: Vec<&Value> = values.iter().filter(|value| value.is_i64()).collect();
        let nulls = values.iter().filter(|value| value.is_null()).count();
        let booleans = values.iter().filter(|value| value.is_boolean()).count();
        if texts.len() == values.len() && !values.is_empty() {
            let variants = variants(values);
            let kind = Kind::Choice(variants);
            let shape = self.item(schema, place, Self::choice);
            return Shape { kind, ..shape };
        }
        if integers.len() == values.len() && !values.is_empty() {
            let shape = self.item(schema, place, Self::numbers);
            return Shape { kind: Kind::Numbers, ..shape };
        }
        if nulls == values.len() && nulls > 0 {
            return Shape { tokens: quote!(()), kind: Kind::Null };
        }
        if booleans == values.len() && booleans > 0 {
            return Shape { tokens: quote!(::core::primitive::bool), kind: Kind::Bool };
        }
        if texts.len() + integers.len() + nulls + booleans < values.len() || values.is_empty() {
            return self.any();
        }
        let mut branches = Vec::new();
        if !texts.is_empty() {
            branches.push(enumeration(&texts));
        }
        if !integers.is_empty() {
            branches.push(enumeration(&integers));
        }
        if booleans > 0 {
            branches.push(serde_json::json!({"type": "boolean"}));
        }
        if nulls > 0 {
            branches.push(serde_json::json!({"type": "null"}));
        }
        self.union(&branches, schema, place)
    }

    fn choice(&mut self, schema: &Value, ident: &Ident, _: Place<'_>) -> TokenStream {
        let (derives, Docs { lines, description }) = (self.derives(), docs(schema));
        let variants = variants(&values_of(schema)).into_iter().map(|(value, variant)| {
            let rename = (variant != value).then(|| quote!(#[serde(rename = #value)]));
            quote!(#rename #variant,)
        });
        quote!(#lines #derives #description #[derive(
                ::core::marker::Copy, ::core::cmp::Eq, ::core::cmp::PartialOrd, ::core::cmp::Ord, ::core::hash::Hash
            )] pub enum #ident { #(#variants)* })
    }

    fn numbers(&mut self, schema: &Value, ident: &Ident, _: Place<'_>) -> TokenStream {
        let (derives, Docs { lines, description }) = (self.derives(), docs(schema));
        let numbers: Vec<i64> = values_of(schema).iter().filter_map(Value::as_i64).collect();
        let names = numbers.iter().map(|number| match number {
            0.. => format!("N{number}"),
            _ => format!("Minus{}", number.unsigned_abs()),
        });
        let variants = distinct(names);
        let literals: Vec<Literal> = numbers.iter().map(|number| Literal::i64_unsuffixed(*number)).collect();
        let expected = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let problem = format!("expected one of {expected}, got {{value}}");
        quote! {
            #lines
            #derives
            #description
            #[derive(
                ::core::marker::Copy, ::core::cmp::Eq, ::core::cmp::PartialOrd, ::core::cmp::Ord, ::core::hash::Hash
            )]
            #[serde(try_from = "i64", into = "i64")]
            #[schemars(extend("enum" = [#(#literals),*]))]
            pub enum #ident { #(#variants,)* }

            impl ::core::convert::From<#ident> for ::core::primitive::i64 {
                fn from(value: #ident) -> Self {
                    match value { #(#ident::#variants => #literals,)* }
                }
            }

            impl ::core::convert::TryFrom<::core::primitive::i64> for #ident {
                type Error = ::std::string::String;

                fn try_from(
                    value: ::core::primitive::i64,
                ) -> ::core::result::Result<Self, ::std::string::String> {
                    match value {
                        #(#literals => ::core::result::Result::Ok(Self::#variants),)*
                        _ => ::core::result::Result::Err(::std::format!(#problem)),
                    }
                }
            }
        }
    }
}

fn values_of(schema: &Value) -> Vec<Value> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => vec![value.clone()],
        (_, Some(Value::Array(values))) => values.clone(),
        _ => Vec::new(),
    }
}

/// The texts, each once, with the variants for them.
fn variants(values: &[Value]) -> Vec<(String, Ident)> {
    let mut texts: Vec<&str> = Vec::new();
    for text in values.iter().filter_map(Value::as_str) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let idents = distinct(texts.iter().map(|text| names::variant_name(text)));
    texts.into_iter().map(str::to_owned).zip(idents).collect()
}
