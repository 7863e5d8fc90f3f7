//! Checks of types that can be made by looking at them.

use syn::{GenericArgument, PathArguments, Type};

use crate::prelude::*;

/// Refuses types that no value from Python can have, with a word on what to use. Everything else is left to
/// the compiler, which knows what the names mean.
pub(crate) fn check(ty: &Type) -> Result {
    match problem(ty) {
        Some(error) => Err(error),
        None => parts(ty).into_iter().try_for_each(check),
    }
}

/// Whether values of a type are bound to a thread, so that a struct with such a field cannot be a module, not even a
/// stand-in for one.
pub(crate) fn is_bound_to_a_thread(ty: &Type) -> bool {
    matches!(ty, Type::Ptr(_) | Type::TraitObject(_) | Type::ImplTrait(_))
        || parts(ty).into_iter().any(is_bound_to_a_thread)
}

/// The types that a type is written with.
fn parts(ty: &Type) -> Vec<&Type> {
    match ty {
        Type::Array(array) => vec![&array.elem],
        Type::Slice(slice) => vec![&slice.elem],
        Type::Paren(paren) => vec![&paren.elem],
        Type::Group(group) => vec![&group.elem],
        Type::Tuple(tuple) => tuple.elems.iter().collect(),
        Type::Path(path) => path
            .path
            .segments
            .iter()
            .filter_map(|segment| match &segment.arguments {
                PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
                _ => None,
            })
            .flatten()
            .filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn problem(ty: &Type) -> Option<Error> {
    let text = || ty.to_token_stream().to_string();
    Some(match ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => {
                err!(ty, "a field owns its value, and `{}` does not; use `String`", shown(&text()))
            }
            Type::Slice(_) => {
                err!(ty, "a field owns its value, and `{}` does not; use `Vec`", shown(&text()))
            }
            inner => err!(
                ty,
                "a field owns its value, and `{}` does not; use `{}`",
                shown(&text()),
                shown(&inner.to_token_stream().to_string())
            ),
        },
        Type::Ptr(_) | Type::FnPtr(_) => {
            err!(
                ty,
                "a field holds data, and `{}` is an address; use a type that implements `FieldType`",
                shown(&text())
            )
        }
        Type::ImplTrait(_) | Type::TraitObject(_) => {
            err!(
                ty,
                "a field has one concrete type, and `{}` has none; use a type that implements `FieldType`",
                shown(&text())
            )
        }
        Type::Infer(_) => err!(ty, "the type of a field cannot be inferred; write it out"),
        _ => return None,
    })
}

/// Tokens as people write them.
fn shown(tokens: &str) -> String {
    [("& ", "&"), ("* ", "*"), (" <", "<"), ("< ", "<"), (" >", ">"), (" :: ", "::")]
        .into_iter()
        .fold(tokens.to_owned(), |text, (from, to)| text.replace(from, to))
}
