//! Options of the macro, as against keywords of the class.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{LitStr, Path, Token, Type};

use crate::prelude::*;

/// The names of all options; no constructor has a keyword of one of these names that a literal could be given for.
pub(crate) const NAMES: &[&str] = &["signature", "execute", "methods", "transform", "unchecked"];

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
    /// What makes the answer of the outputs.
    pub(crate) transform: Option<Box<Transform>>,
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
                if !input.peek(syn::token::Paren) {
                    input.parse::<TokenStream>()?;
                    bail!(&key, "`methods` needs names in parentheses; write `methods(reset, dump_state)`");
                }
                let inner;
                syn::parenthesized!(inner in input);
                let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&inner, Ident::parse_any)
                    .map_err(|error| {
                    expected(&error, "the name of a method", "methods(reset, dump_state)")
                })?;
                if names.is_empty() {
                    bail!(&key, "`methods` without names; write `methods(reset, dump_state)`, or remove it");
                }
                Ok(Self::Methods(names.into_iter().collect()))
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
        }
        Ok(())
    }
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
