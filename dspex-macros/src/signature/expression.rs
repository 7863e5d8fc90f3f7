//! `signature!("..")`.

use dspex_codegen::{Module, Root, TextFields, TextOwner, expression, text_fields};
use syn::LitStr;

use crate::module::text::Text;
use crate::prelude::*;

/// Names of the calls, which no input can have, and what `dspy.ChainOfThought` adds.
const TAKEN: &[&str] = &["predict", "chain_of_thought"];

/// Expands the macro. An error is an expression of no type, so that what is called on it is not reported too.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let module = syn::parse2::<LitStr>(input)
        .map_err(|error| {
            Error::new(
                error.span(),
                "expected the signature as a string; write `signature!(\"question -> answer\")`",
            )
        })
        .map(|literal| module(&literal, &mut errors));
    match errors.handle(module) {
        Some(module) => match errors.finish(()) {
            Ok(()) => expression(module),
            Err(errors) => errors.into_compile_error(),
        },
        None => errors.finish(()).err().map(Error::into_compile_error).unwrap_or_default(),
    }
}

fn module(literal: &LitStr, errors: &mut Errors) -> Module {
    let text = Text::parse(literal, None, errors);
    let (root, vis, ident) =
        (Root::default(), TokenStream::new(), Ident::new("Expression", Span::mixed_site()));
    let attrs = [quote!(#[derive(::core::clone::Clone, ::core::fmt::Debug)] #[allow(dead_code)])];
    let owner = TextOwner { root: &root, vis: &vis, ident: &ident, span: literal.span(), attrs: &attrs };
    let TextFields { inputs, outputs, types } = text_fields(&text.signature, &owner);
    for field in &text.signature.inputs {
        if TAKEN.contains(&field.name.as_str()) {
            errors.push(err!(
                literal,
                "`{}` is a call of what `signature!` gives; rename the input",
                field.name
            ));
        }
    }
    for (field, generated) in text.signature.inputs.iter().zip(&inputs) {
        // The enums are named after the expression, and nobody outside of it can name them.
        if generated.ty.to_string().contains("Expression") {
            errors.push(err!(
                literal,
                "the input `{}` is a choice, `{}`, which needs a named type; use `#[dspy_module(\"dspy.Predict\", signature = ..)]`",
                field.name,
                field.ty
            ));
        }
    }
    Module {
        root: root.clone(),
        vis: TokenStream::new(),
        ident: ident.clone(),
        class: String::new(),
        fingerprint: None,
        instructions: None,
        inputs,
        outputs,
        extra_outputs: Vec::new(),
        args: serde_json::Map::new(),
        attrs: attrs.to_vec(),
        execute: None,
        methods: Vec::new(),
        transform: None,
        types,
        shared: None,
    }
}
