//! A tool as far as its function and its options say what it is.

use dspex_codegen::Root;
use syn::ext::IdentExt;
use syn::{
    Attribute, FnArg, GenericArgument, Pat, PathArguments, Receiver, ReturnType, Type, TypeParamBound,
};

use super::function::Function;
use super::options::{Options, ParameterOptions};
use crate::docs;
use crate::prelude::*;

/// A function with `#[dspex_tool]`.
pub(crate) struct Model<'a> {
    pub(crate) function: &'a Function,
    pub(crate) options: Options,
    pub(crate) root: Root,
    /// The name that DSPy knows.
    pub(crate) name: String,
    /// The doc comment, as an expression.
    pub(crate) description: Option<TokenStream>,
    /// `&self`, or what is there in its place.
    pub(crate) receiver: Option<Receiver>,
    pub(crate) parameters: Vec<Parameter>,
}

/// A parameter of the function.
pub(crate) struct Parameter {
    /// The name, where there is one.
    pub(crate) ident: Option<Ident>,
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    /// `#[ctx]`
    pub(crate) context: Option<Attribute>,
    /// `#[tool(..)]` as it stands there.
    pub(crate) tool: Option<Attribute>,
    pub(crate) options: ParameterOptions,
    pub(crate) description: Option<TokenStream>,
    /// Conditions, which a parameter of a tool cannot have.
    pub(crate) cfg: Option<Attribute>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(function: &'a Function, options: Options, errors: &mut Errors) -> Self {
        let mut receiver = None;
        let mut parameters = Vec::new();
        for input in &function.sig.inputs {
            match input {
                FnArg::Receiver(found) => receiver = Some(found.clone()),
                FnArg::Typed(typed) => parameters.push(Parameter::new(typed, errors)),
            }
        }
        let name = match &options.name {
            Some(name) => name.value(),
            None => function.sig.ident.unraw().to_string(),
        };
        Self {
            root: options.root().cloned().unwrap_or_default(),
            description: docs::text(&function.attrs),
            function,
            options,
            name,
            receiver,
            parameters,
        }
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.function.sig.ident
    }

    /// The parameters that the model gives.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.context.is_none())
    }

    /// The parameters that the runtime gives.
    pub(crate) fn context(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.context.is_some())
    }

    pub(crate) fn streams(&self) -> bool {
        self.options.stream.is_present()
    }

    /// The type whose schema is told as that of the answer, or of the items of a stream, where it can be named.
    pub(crate) fn returned(&self) -> Option<Type> {
        let ty = match &self.function.sig.output {
            ReturnType::Default => syn::parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        match self.streams() {
            false => (!mentions_impl(&ty)).then_some(ty),
            true => item_of(&ty).filter(|item| !mentions_impl(item)),
        }
    }
}

impl Parameter {
    fn new(typed: &syn::PatType, errors: &mut Errors) -> Self {
        let named = |name: &str| typed.attrs.iter().find(|attr| attr.path().is_ident(name)).cloned();
        Self {
            ident: match &*typed.pat {
                Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Some(pat.ident.clone()),
                _ => None,
            },
            pat: (*typed.pat).clone(),
            ty: (*typed.ty).clone(),
            context: named("ctx"),
            tool: named("tool"),
            options: ParameterOptions::of(&typed.attrs, errors),
            description: docs::text(&typed.attrs),
            cfg: named("cfg").or_else(|| named("cfg_attr")),
        }
    }

    /// The name in DSPy.
    pub(crate) fn name(&self) -> String {
        self.ident.as_ref().map(|ident| ident.unraw().to_string()).unwrap_or_default()
    }

    /// What an `Option` holds; the type itself if it is none.
    pub(crate) fn inner(&self) -> &Type {
        inside(&self.ty, "Option").unwrap_or(&self.ty)
    }

    pub(crate) fn is_optional(&self) -> bool {
        inside(&self.ty, "Option").is_some()
    }
}

/// `T` of `Option<T>`, under whatever path.
pub(crate) fn inside<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ungrouped(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The type without the invisible brackets that `macro_rules!` puts around what it is given.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        other => other,
    }
}

/// `T` of `impl Stream<Item = T>`, also within a `Result`, a `Box` and a `Pin`.
fn item_of(ty: &Type) -> Option<Type> {
    let bounds = match ungrouped(ty) {
        Type::ImplTrait(ty) => &ty.bounds,
        Type::TraitObject(ty) => &ty.bounds,
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
            let mut types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            return match last.ident.to_string().as_str() {
                "BoxStream" | "LocalBoxStream" => types.next().cloned(),
                "Result" | "Box" | "Pin" => item_of(types.next()?),
                _ => None,
            };
        }
        _ => return None,
    };
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(item) if item.ident == "Item" => Some(item.ty.clone()),
            _ => None,
        })
    })
}

fn mentions_impl(ty: &Type) -> bool {
    fn search(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(word) => word == "impl",
            proc_macro2::TokenTree::Group(group) => search(group.stream()),
            _ => false,
        })
    }
    search(ty.to_token_stream())
}
