//! What stands in `signature!(..)`: the text, and options behind it.

use dspex_codegen::Root;
use dspex_schema::closest;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, LitStr, Path, Token};

use crate::context;
use crate::prelude::*;

/// The arguments.
pub(super) struct Args {
    /// The signature.
    pub(super) text: LitStr,
    /// Where the facade is.
    pub(super) root: Root,
    /// The instructions, an expression of type `&'static str`.
    pub(super) instructions: Option<Expr>,
    /// What is said about fields.
    pub(super) descriptions: Vec<Description>,
}

/// `field = "what it is"`
pub(super) struct Description {
    pub(super) field: Ident,
    pub(super) text: LitStr,
}

/// An option behind the text.
enum Given {
    Crate(Ident, Path),
    Instructions(Ident, Expr),
    Describe(Vec<Description>),
}

const EXAMPLE: &str = "write `signature!(\"question -> answer\")`";

impl Args {
    /// Parses the arguments; without a text there is nothing to go on with.
    pub(super) fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Self> {
        let parse = |input: ParseStream<'_>| {
            let expected = |error: Error| {
                Error::new(error.span(), format!("expected the signature as a string; {EXAMPLE}"))
            };
            let text = input.parse::<LitStr>().map_err(expected)?;
            Ok((text, input.parse::<TokenStream>()?))
        };
        let (text, rest) = errors.handle(parse.parse2(tokens))?;
        // What is wrong with an option does not hide what is wrong with the text.
        let options = errors.handle(options.parse2(rest)).unwrap_or_default();
        let mut args = Self { text, root: Root::default(), instructions: None, descriptions: Vec::new() };
        let mut root_given = false;
        let twice = |key: &Ident| err!(key, "`{key}` is given twice; remove one");
        for option in options {
            match option {
                Given::Crate(key, _) if root_given => errors.push(twice(&key)),
                Given::Instructions(key, _) if args.instructions.is_some() => errors.push(twice(&key)),
                Given::Crate(_, path) => {
                    root_given = true;
                    if let Some(root) = errors.handle(context::root(&path)) {
                        args.root = root;
                    }
                }
                Given::Instructions(_, text) => args.instructions = Some(text),
                Given::Describe(descriptions) => args.descriptions.extend(descriptions),
            }
        }
        Some(args)
    }
}

/// The options, and the comma before them.
fn options(input: ParseStream<'_>) -> Result<Punctuated<Given, Token![,]>> {
    if !input.is_empty() {
        input.parse::<Token![,]>().map_err(|error| {
            Error::new(error.span(), "expected `,` between the signature and its options")
        })?;
    }
    Punctuated::parse_terminated_with(input, Given::parse)
}

impl Given {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = Ident::parse_any(input)?;
        match key.to_string().as_str() {
            "crate" => {
                input.parse::<Token![=]>()?;
                Ok(Self::Crate(key, context::path(input)?))
            }
            "instructions" => {
                input.parse::<Token![=]>()?;
                Ok(Self::Instructions(key, input.parse()?))
            }
            "describe" if input.peek(syn::token::Paren) => {
                let inner;
                syn::parenthesized!(inner in input);
                let fields =
                    Punctuated::<Description, Token![,]>::parse_terminated_with(&inner, Description::parse)?;
                if fields.is_empty() {
                    bail!(
                        &key,
                        "`describe` without fields; write `describe(answer = \"in one word\")`, or remove it"
                    );
                }
                Ok(Self::Describe(fields.into_iter().collect()))
            }
            "describe" => Err(err!(
                &key,
                "`describe` needs fields in parentheses; write `describe(answer = \"in one word\")`"
            )),
            name => Err(match closest(name, ["crate", "describe", "instructions"]) {
                Some(other) => err!(&key, "`signature!` has no option `{name}`; did you mean `{other}`?"),
                None => err!(
                    &key,
                    "`signature!` has no option `{name}`; it takes `instructions = \"..\"`, `describe(field = \"..\")` and \
                     `crate = ::path`"
                ),
            }),
        }
    }
}

impl Description {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let field = Ident::parse_any(input)?;
        input.parse::<Token![=]>()?;
        let text = input
            .parse()
            .map_err(|error| Error::new(error.span(), "a description is a string; write it in quotes"))?;
        Ok(Self { field, text })
    }
}
