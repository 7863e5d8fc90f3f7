//! `#[derive(Signature)]`: the fields of a struct as a signature that several modules share; `signature!` in
//! `expression.rs`.

mod args;
pub(crate) mod expression;

use dspex_codegen::SignatureItems;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Fields, Path, Token};

use crate::context;
use crate::module::args::Args;
use crate::module::{check, expand as items, model};
use crate::prelude::*;

/// Expands the derive. Errors become `compile_error!`s, with inputs and outputs all the same.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input = match syn::parse2::<DeriveInput>(item.clone()) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    if !matches!(&input.data, Data::Struct(data) if matches!(data.fields, Fields::Named(_))) {
        let text =
            "`#[derive(Signature)]` goes on a struct with named fields, marked `#[input]` and `#[output]`";
        return err!(&input.ident, "{text}").to_compile_error();
    }
    let mut args = Args::parse(quote!(""), &mut Errors::default());
    args.class = None;
    let derives = settings(&input.attrs, &mut args, &mut errors);
    let Ok(mut model) = model::Model::parse(item, &args.options, &mut errors) else {
        return errors.finish(()).err().map(Error::into_compile_error).unwrap_or_default();
    };
    model.item.attrs.retain(|attr| !attr.path().is_ident("signature"));
    if !derives.is_empty() {
        model.data_attrs.push(quote!(#[derive(#(#derives),*)]));
    }
    check::check(&model, &args, None, &mut errors);
    let module = items::module(&model, &args, None);
    match errors.finish(()) {
        Ok(()) => SignatureItems(module, true).items(),
        Err(errors) => {
            let (errors, data) = (errors.into_compile_error(), module.data_items());
            quote!(#errors #data)
        }
    }
}

/// Reads `#[signature(derive(..), crate = ::path)]`; gives the derives.
fn settings(attrs: &[Attribute], args: &mut Args, errors: &mut Errors) -> Vec<Path> {
    let mut derives = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("signature")) {
        let parsed = attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                args.root = context::root(&meta.value()?.call(context::path)?)?;
            } else if meta.path.is_ident("derive") {
                let inner;
                syn::parenthesized!(inner in meta.input);
                derives.extend(Punctuated::<Path, Token![,]>::parse_terminated(&inner)?);
            } else {
                let name = meta.path.to_token_stream();
                bail!(
                    &meta.path,
                    "`#[signature]` takes no `{name}`; it takes `derive(..)` and `crate = ::path`"
                );
            }
            Ok(())
        });
        errors.handle(parsed);
    }
    derives
}
