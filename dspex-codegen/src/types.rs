//! Which Rust type stands for a type of Python.

use dspex_schema::Type;
use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;

use crate::Root;

/// The Rust type for values of a Python type. Where Rust has no type that holds all of them, it is a JSON value.
pub fn rust_type(ty: &Type, root: &Root) -> TokenStream {
    rust_type_with(ty, root, &|_| None)
}

/// As [`rust_type`], with types of the user's own for classes of Python.
pub(crate) fn rust_type_with(
    ty: &Type,
    root: &Root,
    class: &dyn Fn(&str) -> Option<TokenStream>,
) -> TokenStream {
    let rust_type = |ty: &Type, root: &Root| rust_type_with(ty, root, class);
    let option = |of: &Type, root: &Root| option(of, root, class);
    let json = || root.private(&quote!(serde_json::Value));
    match ty {
        Type::Str => quote!(::std::string::String),
        Type::Int => quote!(::core::primitive::i64),
        Type::Float => quote!(::core::primitive::f64),
        Type::Bool => quote!(::core::primitive::bool),
        Type::None => quote!(()),
        // A set of floats or of JSON values has no order, and `Vec` holds every JSON array there is.
        Type::List { of } | Type::Set { of } => {
            let of = rust_type(of, root);
            let vec = quote!(::std::vec::Vec);
            quote!(#vec<#of>)
        }
        // `()` would be written as null; the standard traits end at twelve.
        Type::Tuple { of } if (1..=12).contains(&of.len()) => {
            let of = of.iter().map(|ty| rust_type(ty, root));
            quote!((#(#of,)*))
        }
        Type::Map { key, value } => match (&**key, &**value) {
            (Type::Str, Type::Any) => {
                let (string, json) = (quote!(::std::string::String), json());
                let map = root.private(&quote!(serde_json::Map));
                quote!(#map<#string, #json>)
            }
            (Type::Str | Type::Int, value) => {
                let (key, value) = (rust_type(key, root), rust_type(value, root));
                let map = quote!(::std::collections::BTreeMap);
                quote!(#map<#key, #value>)
            }
            _ => json(),
        },
        Type::Option { of } => option(of, root),
        Type::Union { of } => match of.iter().partition::<Vec<_>, _>(|ty| **ty == Type::None) {
            (none, rest) if !none.is_empty() => match rest.as_slice() {
                [] => quote!(()),
                [only] => option(only, root),
                _ => json(),
            },
            (_, rest) => match rest.as_slice() {
                [only] => rust_type(only, root),
                [Type::Int, Type::Float] | [Type::Float, Type::Int] => quote!(::core::primitive::f64),
                _ => json(),
            },
        },
        Type::Literal { values } | Type::Enum { values, .. } if !values.is_empty() => {
            if values.iter().all(Value::is_string) {
                quote!(::std::string::String)
            } else if values.iter().all(Value::is_i64) {
                quote!(::core::primitive::i64)
            } else {
                json()
            }
        }
        Type::Ref { name } => class(name).unwrap_or_else(json),
        _ => json(),
    }
}

fn option(of: &Type, root: &Root, class: &dyn Fn(&str) -> Option<TokenStream>) -> TokenStream {
    let rust_type = |ty: &Type, root: &Root| rust_type_with(ty, root, class);
    match of {
        // JSON's null is a value of these already; an option around it would not know which it was.
        Type::Any | Type::Opaque { .. } | Type::None | Type::Option { .. } => rust_type(of, root),
        _ => {
            let of = rust_type(of, root);
            quote!(::core::option::Option<#of>)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(ty: serde_json::Value) -> String {
        let ty: Type = serde_json::from_value(ty).unwrap();
        let text = rust_type(&ty, &Root::default()).to_string().replace(' ', "");
        text.replace("::std::", "").replace("::dspex::__private::", "").replace("::core::", "")
    }

    #[test]
    fn scalars_are_the_types_of_rust() {
        assert_eq!(shown(json!({"k": "str"})), "string::String");
        assert_eq!(shown(json!({"k": "int"})), "primitive::i64");
        assert_eq!(shown(json!({"k": "float"})), "primitive::f64");
        assert_eq!(shown(json!({"k": "bool"})), "primitive::bool");
    }

    #[test]
    fn containers_hold_what_they_hold_in_python() {
        assert_eq!(shown(json!({"k": "list", "of": {"k": "int"}})), "vec::Vec<primitive::i64>");
        let pair = json!({"k": "tuple", "of": [{"k": "str"}, {"k": "bool"}]});
        assert_eq!(shown(pair), "(string::String,primitive::bool,)");
        let map = json!({"k": "map", "key": {"k": "str"}, "value": {"k": "float"}});
        assert_eq!(shown(map), "collections::BTreeMap<string::String,primitive::f64>");
        let object = json!({"k": "map", "key": {"k": "str"}, "value": {"k": "any"}});
        assert_eq!(shown(object), "serde_json::Map<string::String,serde_json::Value>");
    }

    #[test]
    fn none_among_the_alternatives_is_an_option() {
        let either = json!({"k": "union", "of": [{"k": "str"}, {"k": "none"}]});
        assert_eq!(shown(either), "option::Option<string::String>");
        assert_eq!(shown(json!({"k": "option", "of": {"k": "any"}})), "serde_json::Value");
        let number = json!({"k": "union", "of": [{"k": "int"}, {"k": "float"}]});
        assert_eq!(shown(number), "primitive::f64");
    }

    #[test]
    fn what_rust_cannot_name_is_a_json_value() {
        for ty in [
            json!({"k": "any"}),
            json!({"k": "bytes"}),
            json!({"k": "ref", "name": "dspy.LM"}),
            json!({"k": "union", "of": [{"k": "str"}, {"k": "int"}]}),
            json!({"k": "map", "key": {"k": "float"}, "value": {"k": "str"}}),
            json!({"k": "tuple", "of": []}),
            json!({"k": "from the future"}),
        ] {
            assert_eq!(shown(ty), "serde_json::Value");
        }
    }
}
