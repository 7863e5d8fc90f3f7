//! `examples(plan_of(email = "a@b.c", invoices = 2) -> expected, ..)`

use darling::FromMeta;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Meta, Token, parenthesized};

use crate::prelude::*;

/// Calls of a tool.
pub(crate) struct Examples(pub(crate) Vec<Example>);

/// A call, as one of the function with its arguments by name, and perhaps what it answers.
pub(crate) struct Example {
    /// The function, as the example calls it.
    pub(crate) callee: Ident,
    pub(crate) arguments: Vec<(Ident, Expr)>,
    pub(crate) returns: Option<Expr>,
}

const SHAPE: &str = "write `examples(my_tool(argument = value) -> answer)`; the answer may be left out";

impl FromMeta for Examples {
    fn from_meta(meta: &Meta) -> darling::Result<Self> {
        let refused = || darling::Error::custom(format!("examples are calls; {SHAPE}")).with_span(meta);
        let Meta::List(list) = meta else { return Err(refused()) };
        let examples = list.parse_args_with(Punctuated::<Example, Token![,]>::parse_terminated)?;
        match examples.is_empty() {
            true => Err(refused()),
            false => Ok(Self(examples.into_iter().collect())),
        }
    }
}

impl Parse for Example {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let said = |error: Error| Error::new(error.span(), format!("an example is a call; {SHAPE}"));
        let callee = Ident::parse_any(input).map_err(said)?;
        if !input.peek(syn::token::Paren) {
            bail!(&callee, "an example is a call; {SHAPE}");
        }
        let inner;
        parenthesized!(inner in input);
        let arguments = Punctuated::<_, Token![,]>::parse_terminated_with(&inner, argument)?;
        let returns = match input.peek(Token![->]) {
            true => {
                input.parse::<Token![->]>()?;
                Some(input.parse()?)
            }
            false => None,
        };
        Ok(Self { callee, arguments: arguments.into_iter().collect(), returns })
    }
}

fn argument(input: ParseStream<'_>) -> Result<(Ident, Expr)> {
    let said = |error: Error| {
        Error::new(error.span(), format!("the arguments of an example have their names; {SHAPE}"))
    };
    let name = Ident::parse_any(input).map_err(said)?;
    input.parse::<Token![=]>().map_err(said)?;
    Ok((name, input.parse()?))
}
