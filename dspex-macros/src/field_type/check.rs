//! What a type has to be to cross to Python.

use syn::{Data, Fields};

use super::model::Model;
use crate::prelude::*;
use crate::types;

/// Collects everything that is wrong with the item.
pub(crate) fn check(model: &Model, errors: &mut Errors) {
    let ident = model.ident();
    let generics = &model.input.generics;
    if !generics.params.is_empty() {
        errors.push(err!(
            &generics.params,
            "`{ident}` cannot be generic, since its schema is one; write a type for each use"
        ));
    } else if let Some(clause) = &generics.where_clause {
        errors.push(err!(clause, "`{ident}` cannot have a where clause; remove it"));
    }
    match &model.input.data {
        Data::Union(data) => errors.push(err!(&data.union_token, "`{ident}` is a union; use an enum")),
        Data::Enum(data) if data.variants.is_empty() => {
            errors.push(err!(ident, "`{ident}` has no variants, so there is no value to choose; add some"));
        }
        Data::Struct(data) if matches!(data.fields, Fields::Unit) => {
            errors
                .push(err!(ident, "`{ident}` has no fields, so it holds nothing; add some, or use an enum"));
        }
        _ => {}
    }
    for field in model.fields() {
        errors.handle(types::check(&field.ty));
        misplaced(&field.attrs, errors);
    }
    if let Data::Enum(data) = &model.input.data {
        data.variants.iter().for_each(|variant| misplaced(&variant.attrs, errors));
    }
}

fn misplaced(attrs: &[syn::Attribute], errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("field")) {
        errors.push(err!(attr, "`#[field]` belongs on the item; use `#[serde]` or `#[schemars]` here"));
    }
}
