//! `#[derive(FieldType)]`: serde and schemars for a type, without the crate depending on them.
//!
//! A derive cannot add derives to its item. A copy of the item is therefore declared in a hidden scope, as serde's
//! "remote" definition of the real one, with the derives on it; and the traits of the real type call into the copy.

mod check;
mod expand;
mod model;

pub(crate) use model::replace_self;

use crate::prelude::*;

/// Expands the derive. Errors become `compile_error!`s, with implementations that do nothing, so that uses of the
/// type are not reported too.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input = match syn::parse2::<syn::DeriveInput>(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let model = model::Model::new(input, &mut errors);
    check::check(&model, &mut errors);
    match errors.finish(()) {
        Ok(()) => expand::implementations(&model),
        Err(errors) => {
            let errors = errors.into_compile_error();
            let inert = expand::inert(&model);
            quote!(#errors #inert)
        }
    }
}
