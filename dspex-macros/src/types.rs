//! Checks of types that can be made by looking at them.

use syn::{GenericArgument, PathArguments, Type};

use crate::prelude::*;

/// Refuses types that no value from Python can have, with a word on what to use. Everything else is left to
/// the compiler, which knows what the names mean.
pub(crate) fn check(ty: &Type) -> Result {
    check_of("a field", ty)
}

/// The same for something else than a field: its name with an article.
pub(crate) fn check_of(what: &str, ty: &Type) -> Result {
    match problem(what, ty) {
        Some(error) => Err(error),
        None => parts(ty).into_iter().try_for_each(|part| check_of(what, part)),
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

fn problem(what: &str, ty: &Type) -> Option<Error> {
    let text = shown(ty);
    Some(match ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => {
                err!(ty, "{what} owns its value, and `{}` does not; use `String`", text)
            }
            Type::Slice(_) => {
                err!(ty, "{what} owns its value, and `{}` does not; use `Vec`", text)
            }
            inner => err!(ty, "{what} owns its value, and `{}` does not; use `{}`", text, shown(inner)),
        },
        Type::Ptr(_) | Type::FnPtr(_) => {
            err!(
                ty,
                "{what} holds data, and `{}` is an address; use a type that implements `FieldType`",
                text
            )
        }
        Type::ImplTrait(_) | Type::TraitObject(_) => {
            err!(
                ty,
                "{what} has one concrete type, and `{}` has none; use a type that implements `FieldType`",
                text
            )
        }
        Type::Infer(_) => err!(ty, "the type of {what} cannot be inferred; write it out"),
        _ => return None,
    })
}

/// A type as people write it.
pub(crate) fn shown(ty: &Type) -> String {
    [("& ", "&"), ("* ", "*"), (" <", "<"), ("< ", "<"), (" >", ">"), (" :: ", "::")]
        .into_iter()
        .fold(ty.to_token_stream().to_string(), |text, (from, to)| text.replace(from, to))
}
