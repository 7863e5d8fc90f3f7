//! Objects with named fields.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use serde_json::{Map, Value};

use super::builder::{Part, builder};
use super::{Docs, Kind, Place, SchemaTypes, Shape, distinct, docs, names};

/// What is known of an object before its fields are.
pub(super) fn kind_of(schema: &Value) -> Option<Kind> {
    let fields = schema.get("properties")?.as_object()?;
    Some(Kind::Struct(required(schema).len(), fields.len()))
}

fn required(schema: &Value) -> Vec<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A field, ready to be written.
struct Member {
    ident: Ident,
    tokens: TokenStream,
    /// The function that gives the default, and what it returns, where serde needs one.
    default: Option<(Ident, TokenStream, TokenStream)>,
    /// An expression for the value where none is given; none for a required field.
    absent: Option<TokenStream>,
    /// Whether it tells null from nothing.
    present: bool,
    /// What `new` and a setter know of it.
    part: Part,
}

impl SchemaTypes {
    pub(super) fn structure(&mut self, schema: &Value, ident: &Ident, place: Place<'_>) -> TokenStream {
        let empty = Map::new();
        let fields = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required = required(schema);
        let idents = distinct(fields.keys().map(|name| names::field_name(name)));
        let mut members = Vec::new();
        for ((name, field), field_ident) in fields.iter().zip(idents) {
            members.push(self.member(
                name,
                field,
                ident,
                field_ident,
                required.contains(&name.as_str()),
                place,
            ));
        }
        let rest = self.rest(schema, &members, place);
        let strict = (schema.get("additionalProperties") == Some(&Value::Bool(false)))
            .then(|| quote!(#[serde(deny_unknown_fields)]));
        let (derives, Docs { lines, description }) = (self.derives(), docs(schema));
        let tokens = members.iter().map(|member| &member.tokens);
        let defaults = members.iter().filter_map(|member| member.default.as_ref());
        let functions = defaults.map(|(name, ty, value)| quote!(fn #name() -> #ty { #value }));
        let mut functions: Vec<TokenStream> = functions.collect();
        if members.iter().any(|member| member.present) {
            let serde = self.root.private(&quote!(serde));
            functions.push(quote! {
                fn present<'de, D: #serde::Deserializer<'de>, T: #serde::Deserialize<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<::core::option::Option<T>, D::Error> {
                    T::deserialize(deserializer).map(::core::option::Option::Some)
                }
            });
        }
        let inherent = (!functions.is_empty()).then(|| quote!(impl #ident { #(#functions)* }));
        let parts: Vec<Part> = members.iter().map(|member| member.part.clone()).collect();
        let builder = builder(ident, &parts, rest.as_ref().map(|(name, _)| name));
        let rest = rest.map(|(_, field)| field);
        let complete = members.iter().all(|member| member.absent.is_some()) && rest.is_none();
        let default = complete.then(|| {
            let names = members.iter().map(|member| &member.ident);
            let values = members.iter().filter_map(|member| member.absent.as_ref());
            quote! {
                impl ::core::default::Default for #ident {
                    fn default() -> Self {
                        Self { #(#names: #values,)* }
                    }
                }
            }
        });
        quote! {
            #lines
            #derives
            #description
            #strict
            pub struct #ident { #(#tokens)* #rest }
            #inherent
            #builder
            #default
        }
    }

    fn member(
        &mut self,
        name: &str,
        field: &Value,
        owner: &Ident,
        ident: Ident,
        required: bool,
        place: Place<'_>,
    ) -> Member {
        let hint = format!("{owner}{}", names::type_name(name));
        let shape = self.shape(field, place.inner(&hint));
        let plain = ident.to_string();
        let rename = (plain.trim_start_matches("r#") != name).then(|| quote!(#[serde(rename = #name)]));
        let docs = docs(field);
        let ty = &shape.tokens;
        let none = quote!(::core::option::Option::None);
        let text = matches!(shape.kind, Kind::Text);
        let part = |ty: &TokenStream, text: bool, some: bool, absent: Option<&TokenStream>| Part {
            ident: ident.clone(),
            ty: ty.clone(),
            text,
            some,
            absent: absent.cloned(),
        };
        let inner = |absent: &TokenStream| match &shape.kind {
            Kind::Option(of) => part(&of.tokens, matches!(of.kind, Kind::Text), true, Some(absent)),
            _ => part(ty, text, false, Some(absent)),
        };
        let (ty, attribute, default, absent, part) = if required {
            (ty.clone(), None, None, None, part(ty, text, false, None))
        } else if let Some(value) = field.get("default").and_then(|value| literal(value, &shape)) {
            let function = format_ident!("default_{}", plain.trim_start_matches("r#"));
            let path = format!("{owner}::{function}");
            let absent = quote!(Self::#function());
            let part = part(ty, text, false, Some(&absent));
            let function = Some((function, ty.clone(), value));
            (ty.clone(), Some(quote!(#[serde(default = #path)])), function, Some(absent), part)
        } else if field.get("default").is_some_and(|value| is_empty(value, &shape.kind)) {
            let absent = quote!(::core::default::Default::default());
            let part = inner(&absent);
            (ty.clone(), Some(quote!(#[serde(default)])), None, Some(absent), part)
        } else if matches!(shape.kind, Kind::Option(_) | Kind::Any) && field.get("default").is_some() {
            // Null is a value of it, and not the default.
            let path = format!("{owner}::present");
            let skip = quote! {
                #[serde(
                    default,
                    skip_serializing_if = "::core::option::Option::is_none",
                    deserialize_with = #path
                )]
            };
            let part = part(ty, false, true, Some(&none));
            return Member {
                tokens: quote!(#docs #rename #skip pub #ident: ::core::option::Option<#ty>,),
                ident,
                default: None,
                absent: Some(none),
                present: true,
                part,
            };
        } else {
            let skip = quote!(#[serde(default, skip_serializing_if = "::core::option::Option::is_none")]);
            match shape.kind {
                Kind::Option(_) => (ty.clone(), Some(skip), None, Some(none.clone()), inner(&none)),
                _ => {
                    let part = part(ty, text, true, Some(&none));
                    (quote!(::core::option::Option<#ty>), Some(skip), None, Some(none), part)
                }
            }
        };
        let tokens = quote!(#docs #rename #attribute pub #ident: #ty,);
        Member { ident, tokens, default, absent, present: false, part }
    }

    /// The field for those that have no names.
    fn rest(&mut self, schema: &Value, members: &[Member], place: Place<'_>) -> Option<(Ident, TokenStream)> {
        let values = schema.get("additionalProperties")?;
        if values == &Value::Bool(false) {
            return None;
        }
        let hint = format!("{}Additional", place.hint);
        let of = self.shape(values, place.on_the_heap(&hint)).tokens;
        let taken = members.iter().any(|member| member.ident == "additional");
        let ident = if taken { format_ident!("additional_properties") } else { format_ident!("additional") };
        let map = quote!(::std::collections::BTreeMap<::std::string::String, #of>);
        let field = quote!(#[doc = " All other fields."] #[serde(flatten)] pub #ident: #map,);
        Some((ident, field))
    }
}

/// A default as an expression of Rust.
fn literal(value: &Value, shape: &Shape) -> Option<TokenStream> {
    match (value, &shape.kind) {
        (Value::Bool(value), Kind::Bool) => Some(quote!(#value)),
        (Value::Number(number), Kind::Integer) => {
            let number = Literal::i64_unsuffixed(number.as_i64()?);
            Some(quote!(#number))
        }
        (Value::Number(number), Kind::Number) => {
            let number = Literal::f64_unsuffixed(number.as_f64()?);
            Some(quote!(#number))
        }
        (Value::String(text), Kind::Text) => Some(quote!(::std::string::String::from(#text))),
        (value, Kind::Option(of)) if !value.is_null() => {
            let value = literal(value, of)?;
            Some(quote!(::core::option::Option::Some(#value)))
        }
        (Value::String(text), Kind::Choice(variants)) => {
            let (_, variant) = variants.iter().find(|(value, _)| value == text)?;
            let ty = &shape.tokens;
            Some(quote!(#ty::#variant))
        }
        _ => None,
    }
}

/// Whether a default is the one that Rust has for the type.
fn is_empty(value: &Value, kind: &Kind) -> bool {
    match (value, kind) {
        (Value::Null, Kind::Option(_) | Kind::Any | Kind::Null) => true,
        (Value::Array(items), Kind::List) => items.is_empty(),
        (Value::Object(items), Kind::Map) => items.is_empty(),
        _ => false,
    }
}
