//! A signature written as text in an argument.

use dspex_codegen::is_identifier;
use dspex_schema::Class;
use dspex_schema::signature::{Kind, Options, Signature, Type, parse_with};
use syn::LitStr;

use crate::prelude::*;

/// The text and what it says.
pub(crate) struct Text {
    /// As it was written; errors point here.
    pub(crate) literal: LitStr,
    /// What could be read.
    pub(crate) signature: Signature,
}

impl Text {
    /// Reads the text; what is wrong with it is shown with carets under the fragment, since a part of a literal has
    /// no place of its own for the compiler.
    pub(crate) fn parse(literal: &LitStr, class: Option<&Class>, errors: &mut Errors) -> Self {
        let text = literal.value();
        let parsed = parse_with(&text, &Options { class, rust_types: true });
        for error in &parsed.errors {
            errors.push(err!(literal, "{error}\n\n{}", error.excerpt(&text)));
        }
        let mut signature = parsed.signature;
        for side in [&mut signature.inputs, &mut signature.outputs] {
            side.retain(|field| {
                let fits = is_identifier(&field.name);
                // What is no name in Python either has been reported.
                let reported = parsed.errors.iter().any(|error| error.range == field.name_range);
                if !fits && !reported {
                    errors.push(err!(
                        literal,
                        "`{}` cannot be the name of a field in Rust; use letters, digits and underscores",
                        field.name
                    ));
                }
                fits
            });
        }
        // A field that is there twice would be another error in the generated items.
        let mut seen: Vec<String> = Vec::new();
        for side in [&mut signature.inputs, &mut signature.outputs] {
            side.retain(|field| {
                !seen.contains(&field.name) && {
                    seen.push(field.name.clone());
                    true
                }
            });
        }
        for side in [&mut signature.inputs, &mut signature.outputs] {
            side.retain(|field| {
                let path = wrong_path(&field.ty);
                if let Some(path) = path {
                    errors.push(err!(
                        literal,
                        "`{path}` is no path of Rust; write one such as `crate::Person`"
                    ));
                }
                path.is_none()
            });
        }
        Self { literal: literal.clone(), signature }
    }
}

/// A path of Rust that only looks like one.
fn wrong_path(ty: &Type) -> Option<&str> {
    match &ty.kind {
        Kind::Rust(path) => syn::parse_str::<syn::Path>(path).is_err().then_some(path),
        Kind::List(of) | Kind::Set(of) => wrong_path(of),
        Kind::Dict(key, value) => wrong_path(key).or_else(|| wrong_path(value)),
        Kind::Tuple(of) | Kind::Union(of) => of.iter().find_map(wrong_path),
        _ => None,
    }
}
