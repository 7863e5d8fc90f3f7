//! Options of the macro, as against keywords of the class.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{LitStr, Path, Token, Type};

use super::args::Keyword;
use crate::prelude::*;

/// The names of all options; no constructor has a keyword of one of these names that a literal could be given for.
pub(crate) const NAMES: &[&str] =
    &["signature", "execute", "methods", "tools", "transform", "config", "unchecked"];

/// The options that were given.
#[derive(Default)]
pub(crate) struct Options {
    /// The signature, where it is not the fields of the struct.
    pub(crate) signature: Option<Signature>,
    /// Whether one was given and could not be read.
    pub(crate) signature_lost: bool,
    /// The method that takes the inputs.
    pub(crate) execute: Option<LitStr>,
    /// Further methods.
    pub(crate) methods: Vec<Ident>,
    /// Functions that the class may call.
    pub(crate) tools: Option<Tools>,
    /// Whether some were given and could not be read.
    pub(crate) tools_lost: bool,
    /// What makes the answer of the outputs.
    pub(crate) transform: Option<Box<Transform>>,
    /// Settings that are passed on to the language model whatever their names are.
    pub(crate) config: Vec<Keyword>,
    /// The word itself: the class is not looked up.
    pub(crate) unchecked: Option<Ident>,
}

/// A signature that stands elsewhere.
pub(crate) enum Signature {
    /// As text.
    Text(LitStr),
    /// As a type that derives `Signature`.
    Type(Path),
}

/// `tools(lookup, billing::refund)`
pub(crate) struct Tools {
    /// The word itself.
    pub(crate) key: Ident,
    /// The functions, at least one.
    pub(crate) paths: Vec<Path>,
}

/// `transform = path -> Type`
pub(crate) struct Transform {
    pub(crate) path: Path,
    pub(crate) ty: Type,
}

/// One option as it was given.
pub(crate) enum Given {
    Signature(Ident, Signature),
    Execute(Ident, LitStr),
    Methods(Vec<Ident>),
    Tools(Tools),
    Config(Vec<Keyword>),
    Transform(Ident, Box<Transform>),
    Unchecked(Ident),
}

impl Given {
    /// Parses what stands behind the name of an option.
    pub(crate) fn parse(key: Ident, input: ParseStream<'_>) -> Result<Self> {
        match key.to_string().as_str() {
            "signature" => {
                let example = "signature = \"question -> answer\"";
                value(&key, input, example)?;
                if !input.peek(LitStr) {
                    let path = Path::parse_mod_style(input).map_err(|error| {
                        expected(
                            &error,
                            "the signature as a string, or a type that derives `Signature`",
                            example,
                        )
                    })?;
                    return Ok(Self::Signature(key, Signature::Type(path)));
                }
                Ok(Self::Signature(key, Signature::Text(input.parse()?)))
            }
            "execute" => {
                let example = "execute = \"forward\"";
                value(&key, input, example)?;
                let name = input
                    .parse()
                    .map_err(|error| expected(&error, "the name of a method as a string", example))?;
                Ok(Self::Execute(key, name))
            }
            "transform" => {
                let example = "transform = to_label -> Label";
                value(&key, input, example)?;
                let path = Path::parse_mod_style(input)
                    .map_err(|error| expected(&error, "the path of a function", example))?;
                if !input.peek(Token![->]) {
                    input.parse::<TokenStream>()?;
                    let shown = path.to_token_stream().to_string().replace(' ', "");
                    bail!(
                        &path,
                        "`transform` needs the type that it gives; write `transform = {shown} -> Type`"
                    );
                }
                input.parse::<Token![->]>()?;
                if input.is_empty() {
                    bail!(&path, "`transform` needs a type after `->`; write `{example}`");
                }
                let ty = input.parse().map_err(|error| expected(&error, "a type", example))?;
                Ok(Self::Transform(key, Box::new(Transform { path, ty })))
            }
            "methods" => {
                let example = "methods(reset, dump_state)";
                let names = list(&key, input, "names", example, Ident::parse_any)
                    .map_err(|error| error.unless_said("the name of a method", example))?;
                Ok(Self::Methods(names))
            }
            "tools" => {
                let example = "tools(lookup, billing::refund)";
                let paths = list(&key, input, "paths of functions", example, Path::parse_mod_style)
                    .map_err(|error| error.unless_said("the path of a function", example))?;
                Ok(Self::Tools(Tools { key, paths }))
            }
            "config" => {
                let example = "config(top_k = 40)";
                let settings = list(&key, input, "settings", example, setting)
                    .map_err(|error| error.unless_said("a setting", example))?;
                Ok(Self::Config(settings))
            }
            _ => {
                if !input.is_empty() {
                    input.parse::<TokenStream>()?;
                    bail!(&key, "`{key}` takes no value; write it alone");
                }
                Ok(Self::Unchecked(key))
            }
        }
    }
}

impl Options {
    /// Keeps an option; each is given once.
    pub(crate) fn set(&mut self, given: Given) -> Result {
        let twice = |key: &Ident| err!(key, "`{key}` is given twice; remove one");
        match given {
            Given::Signature(key, _) if self.signature.is_some() => return Err(twice(&key)),
            Given::Execute(key, _) if self.execute.is_some() => return Err(twice(&key)),
            Given::Transform(key, _) if self.transform.is_some() => return Err(twice(&key)),
            Given::Unchecked(key) if self.unchecked.is_some() => return Err(twice(&key)),
            Given::Signature(_, signature) => self.signature = Some(signature),
            Given::Execute(_, name) => self.execute = Some(name),
            Given::Transform(_, transform) => self.transform = Some(transform),
            Given::Unchecked(key) => self.unchecked = Some(key),
            Given::Methods(names) => self.methods.extend(names),
            Given::Config(settings) => self.config.extend(settings),
            Given::Tools(tools) if self.tools.is_some() => return Err(twice(&tools.key)),
            Given::Tools(tools) => self.tools = Some(tools),
        }
        Ok(())
    }
}

/// Why a list could not be read.
enum ListError {
    /// With words of our own.
    Said(Error),
    /// In the words of the parser.
    Parser(Error),
}

impl ListError {
    fn unless_said(self, what: &str, example: &str) -> Error {
        match self {
            Self::Said(error) => error,
            Self::Parser(error) => expected(&error, what, example),
        }
    }
}

/// What stands in parentheses behind the name of an option; at least one.
fn list<T>(
    key: &Ident,
    input: ParseStream<'_>,
    what: &str,
    example: &str,
    item: fn(ParseStream<'_>) -> Result<T>,
) -> Result<Vec<T>, ListError> {
    if !input.peek(syn::token::Paren) {
        input.parse::<TokenStream>().map_err(ListError::Parser)?;
        return Err(ListError::Said(err!(key, "`{key}` needs {what} in parentheses; write `{example}`")));
    }
    let parse = || {
        let inner;
        syn::parenthesized!(inner in input);
        Punctuated::<T, Token![,]>::parse_terminated_with(&inner, item)
    };
    let items = parse().map_err(ListError::Parser)?;
    if items.is_empty() {
        return Err(ListError::Said(err!(key, "`{key}` without {what}; write `{example}`, or remove it")));
    }
    Ok(items.into_iter().collect())
}

/// `name = value`
fn setting(input: ParseStream<'_>) -> Result<Keyword> {
    let key = Ident::parse_any(input)?;
    input.parse::<Token![=]>()?;
    Ok(Keyword { name: key.unraw().to_string(), key, value: input.parse()? })
}

/// Goes over the `=` to a value that has to be there.
fn value(key: &Ident, input: ParseStream<'_>, example: &str) -> Result {
    if !input.peek(Token![=]) {
        input.parse::<TokenStream>()?;
        bail!(key, "`{key}` needs a value; write `{example}`");
    }
    let equals = input.parse::<Token![=]>()?;
    if input.is_empty() {
        bail!(equals, "`{key}` needs a value after `=`; write `{example}`");
    }
    Ok(())
}

fn expected(at: &Error, what: &str, example: &str) -> Error {
    Error::new(at.span(), format!("expected {what}; write `{example}`"))
}
