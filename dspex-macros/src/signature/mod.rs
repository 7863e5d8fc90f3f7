//! `#[derive(Signature)]`: the fields of a struct as a signature that several modules share; `signature!` in
//! `expression.rs`.

mod args;
pub(crate) mod expression;

use darling::FromAttributes;
use darling::util::PathList;
use dspex_codegen::SignatureItems;
use syn::{Data, DeriveInput, Fields};

use crate::attribute::{self, Facade};
use crate::module::args::Args;
use crate::module::{check, expand as items, model};
use crate::prelude::*;

/// `#[signature(..)]` on the struct.
#[derive(Default, FromAttributes)]
#[darling(attributes(signature), default)]
struct Options {
    /// Derives for the inputs and outputs.
    derive: PathList,
    #[darling(rename = "crate")]
    facade: Option<Facade>,
}

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
    let takes = "`derive(..)` and `crate = ::path`";
    let options: Options = attribute::read("signature", takes, &input.attrs, &mut errors);
    let derives = &options.derive;
    args.root = options.facade.map(|Facade(root)| root).unwrap_or_default();
    let Ok(mut model) = model::Model::parse(item, &args.options, &mut errors) else {
        return errors.finish(()).err().map(Error::into_compile_error).unwrap_or_default();
    };
    model.item.attrs.retain(|attr| !attr.path().is_ident("signature"));
    if !derives.is_empty() {
        let derives = derives.iter();
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
