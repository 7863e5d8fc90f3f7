//! `signature!("..")`.

use dspex_codegen::{Field, Module, Setter, TextFields, TextOwner, expression, text_fields};
use dspex_schema::closest;
use syn::ext::IdentExt;

use super::args::{Args, Description};
use crate::module::text::Text;
use crate::prelude::*;

/// Names of the calls, which no input can have.
const TAKEN: &[&str] = &["predict", "chain_of_thought"];

/// Expands the macro. An error is an expression of no type, so that what is called on it is not reported too.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let expanded = Args::parse(input, &mut errors).map(|args| {
        let (module, setters) = module(&args, &mut errors);
        (errors.is_empty()).then(|| expression(module, &setters))
    });
    match expanded.flatten() {
        Some(expression) => expression,
        // In a block, since an expression is one; the type of the last is as unknown as that of a single one.
        None => {
            let errors = errors.finish(()).err().map(Error::into_compile_error);
            quote!({ #errors })
        }
    }
}

/// The signature, and how each input is set.
fn module(args: &Args, errors: &mut Errors) -> (Module, Vec<Setter>) {
    let Args { text: literal, root, instructions, descriptions } = args;
    let text = Text::parse(literal, None, errors);
    let (vis, ident) = (TokenStream::new(), Ident::new("Expression", Span::mixed_site()));
    // What a Rust type of the user's derives is only known to the user.
    let derives = !text.signature.fields().any(|field| field.ty.has_rust_type());
    let derives = derives.then(|| quote!(#[derive(::core::clone::Clone, ::core::fmt::Debug)]));
    let attrs = [quote!(#derives #[allow(dead_code)])];
    let owner =
        TextOwner { root, vis: &vis, ident: &ident, span: literal.span(), attrs: &attrs, conversions: true };
    let TextFields { mut inputs, mut outputs, types, choices } = text_fields(&text.signature, &owner);
    let mut setters = Vec::new();
    for (field, choices) in text.signature.inputs.iter().zip(&choices) {
        if TAKEN.contains(&field.name.as_str()) {
            errors.push(err!(
                literal,
                "`{}` is a call of what `signature!` gives; rename the input",
                field.name
            ));
        }
        match Setter::new(&field.ty, choices) {
            Some(setter) => setters.push(setter),
            None => errors.push(err!(
                literal,
                "the input `{}` is made of several choices, `{}`, which need named types; use `#[dspy_module(\"dspy.Predict\", \
                 signature = ..)]`",
                field.name,
                field.ty
            )),
        }
    }
    describe(descriptions, [&mut inputs, &mut outputs], errors);
    let module = Module {
        root: root.clone(),
        vis,
        ident,
        class: String::new(),
        fingerprint: None,
        instructions: instructions.as_ref().map(ToTokens::to_token_stream),
        inputs,
        outputs,
        extra_outputs: Vec::new(),
        args: serde_json::Map::new(),
        attrs: attrs.to_vec(),
        execute: None,
        methods: Vec::new(),
        transform: None,
        tools: None,
        types,
        shared: None,
    };
    (module, setters)
}

/// Puts the descriptions where those of a struct's fields are: in their documentation.
fn describe(descriptions: &[Description], sides: [&mut Vec<Field>; 2], errors: &mut Errors) {
    let mut fields: Vec<&mut Field> = sides.into_iter().flatten().collect();
    for Description { field: key, text } in descriptions {
        let name = key.unraw().to_string();
        match fields.iter().position(|field| field.name == name) {
            Some(place) if fields[place].documented => {
                errors.push(err!(key, "`{name}` is described twice; remove one"));
            }
            Some(place) => {
                fields[place].documented = true;
                fields[place].attrs.push(quote!(#[doc = #text]));
            }
            None => errors.push(match closest(&name, fields.iter().map(|field| field.name.as_str())) {
                Some(other) => err!(key, "the signature has no field `{name}`; did you mean `{other}`?"),
                None => err!(key, "the signature has no field `{name}`; remove its description"),
            }),
        }
    }
}
