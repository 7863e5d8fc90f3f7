//! The arguments of the attribute: the class, keywords of its constructor, and options of the macro, which
//! `options.rs` reads.

use dspex_codegen::Root;
use dspex_schema::closest;
use proc_macro2::TokenTree;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, LitStr, Path, Token};

use super::options::{self, Options};
use crate::context;
use crate::prelude::*;

/// The arguments, as far as they could be understood.
pub(crate) struct Args {
    /// The class, as it was written.
    pub(crate) class: Option<LitStr>,
    /// Where the facade is.
    pub(crate) root: Root,
    /// Keywords for the constructor, in order.
    pub(crate) keywords: Vec<Keyword>,
    /// Options of the macro.
    pub(crate) options: Options,
}

/// A keyword for the constructor.
pub(crate) struct Keyword {
    /// The name; errors about the keyword point here.
    pub(crate) key: Ident,
    /// The name in Python.
    pub(crate) name: String,
    /// The value, not yet checked; errors about the value point here.
    pub(crate) value: Expr,
}

impl Args {
    /// Parses the arguments one by one, so that an error in one does not hide those in others.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args =
            Self { class: None, root: Root::default(), keywords: Vec::new(), options: Options::default() };
        let mut root_given = false;
        if tokens.is_empty() {
            let text = "`#[dspy_module]` needs a class; write it as `#[dspy_module(\"dspy.Predict\")]`";
            errors.push(Error::new(Span::call_site(), text));
        }
        for (position, argument) in split(tokens).into_iter().enumerate() {
            let first = argument.clone().into_iter().next();
            let is = |name: &str| matches!(&first, Some(TokenTree::Ident(key)) if key == name);
            let parsed = match argument_parser(position).parse2(argument) {
                Ok(parsed) => parsed,
                Err(error) => {
                    errors.push(error);
                    args.options.signature_lost |= is("signature");
                    args.options.tools_lost |= is("tools");
                    continue;
                }
            };
            match parsed {
                Argument::Class(class) if args.class.is_none() => {
                    if position > 0 {
                        errors.push(err!(&class, "the class comes first; move it to the front"));
                    }
                    args.class = Some(class);
                }
                Argument::Class(class) => errors.push(err!(
                    &class,
                    "there is a class already; write the other arguments as `keyword = value`"
                )),
                Argument::Crate(path) if root_given => {
                    errors.push(err!(&path, "`crate` is given twice; remove one"));
                }
                Argument::Crate(path) => {
                    root_given = true;
                    if let Some(root) = errors.handle(context::root(&path)) {
                        args.root = root;
                    }
                }
                Argument::Option(option) => {
                    errors.handle(args.options.set(option));
                }
                Argument::Keyword(key, value) => {
                    let name = key.unraw().to_string();
                    if args.keywords.iter().any(|given| given.name == name) {
                        errors.push(err!(&key, "`{name}` is given twice; remove one"));
                        continue;
                    }
                    match value {
                        Some(value) => args.keywords.push(Keyword { key, name, value }),
                        None => {
                            let (error, tools) = without_value(&key, &name);
                            args.options.tools_lost |= tools;
                            errors.push(error);
                        }
                    }
                }
            }
        }
        args
    }
}

/// A word alone, or with parentheses: nearly an option, or a keyword without its value. Also whether tools were meant.
fn without_value(key: &Ident, name: &str) -> (Error, bool) {
    match closest(name, options::NAMES.iter().copied().filter(|option| *option != name)) {
        Some(other) => (err!(key, "there is no option `{name}`; did you mean `{other}`?"), other == "tools"),
        None => (err!(key, "`{name}` needs a value; write `{name} = value`"), false),
    }
}

enum Argument {
    Class(LitStr),
    Crate(Path),
    Option(options::Given),
    Keyword(Ident, Option<Expr>),
}

fn argument_parser(position: usize) -> impl Parser<Output = Argument> {
    move |input: ParseStream<'_>| -> syn::Result<Argument> {
        if input.peek(LitStr) {
            let class = input.parse()?;
            end(input)?;
            return Ok(Argument::Class(class));
        }
        if input.peek(Token![crate]) && input.peek2(Token![=]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            let path = context::path(input)?;
            end(input)?;
            return Ok(Argument::Crate(path));
        }
        let named = input.peek(syn::Ident::peek_any) && {
            let ahead = input.fork();
            Ident::parse_any(&ahead)?;
            ahead.is_empty() || ahead.peek(Token![=]) || ahead.peek(syn::token::Paren)
        };
        let bare_class = position == 0 && !(named && input.peek2(Token![=]));
        if !named
            || (bare_class
                && !options::NAMES.contains(&input.fork().call(Ident::parse_any)?.to_string().as_str()))
        {
            let rest: TokenStream = input.parse()?;
            return Err(syn::Error::new_spanned(
                &rest,
                match position {
                    0 => format!(
                        "the first argument is the class as a string; write `\"{}\"`",
                        path_text(&rest)
                    ),
                    _ => "expected `keyword = value`".to_owned(),
                },
            ));
        }
        let key = Ident::parse_any(input)?;
        // A class may have a keyword `config`, which is no list.
        let keyword = key == "config" && input.peek(Token![=]);
        if !keyword && options::NAMES.contains(&key.to_string().as_str()) {
            let option = options::Given::parse(key, input)?;
            end(input)?;
            return Ok(Argument::Option(option));
        }
        if input.peek(Token![=]) {
            let equals = input.parse::<Token![=]>()?;
            if input.is_empty() {
                return Err(syn::Error::new_spanned(equals, format!("`{key}` needs a value after `=`")));
            }
            let value = input.parse()?;
            end(input)?;
            return Ok(Argument::Keyword(key, Some(value)));
        }
        input.parse::<TokenStream>()?;
        Ok(Argument::Keyword(key, None))
    }
}

/// Refuses what follows an argument before the next comma.
fn end(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() {
        return Ok(());
    }
    Err(input.error("expected `,` here; separate the arguments with commas"))
}

fn path_text(tokens: &TokenStream) -> String {
    tokens.to_string().replace([' ', '"', '\''], "").replace("::", ".")
}

/// The arguments between the commas. A comma at the end is allowed.
fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut arguments = Vec::new();
    let mut current = Vec::new();
    // Commas between `<` and `>` belong to a type.
    let mut angles = 0_usize;
    let mut arrow = false;
    for token in tokens {
        let char = if let TokenTree::Punct(punct) = &token { punct.as_char() } else { ' ' };
        match char {
            '<' => angles += 1,
            '>' if !arrow => angles = angles.saturating_sub(1),
            _ => {}
        }
        arrow = char == '-';
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' && angles == 0 => {
                // An empty argument keeps the comma, so that the error has a place.
                if current.is_empty() {
                    current.push(token);
                }
                arguments.push(std::mem::take(&mut current).into_iter().collect());
            }
            _ => current.push(token),
        }
    }
    if !current.is_empty() {
        arguments.push(current.into_iter().collect());
    }
    arguments
}
