//! The item, and the copy of it that the derives are put on.

use darling::FromMeta;
use dspex_codegen::Root;
use proc_macro2::{Group, TokenTree};
use quote::format_ident;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Field, Path, Token};

use crate::context;
use crate::prelude::*;

/// A type that is to be usable as the type of a field.
pub(crate) struct Model {
    /// The item as it was written.
    pub(crate) input: DeriveInput,
    /// Where the facade is.
    pub(crate) root: Root,
}

/// The arguments of `#[field(..)]` on the item.
#[derive(FromMeta, Default)]
struct Options {
    #[darling(default, rename = "crate")]
    krate: Option<Path>,
}

impl Model {
    pub(crate) fn new(input: DeriveInput, errors: &mut Accumulator) -> Self {
        let mut root = Root::default();
        for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("field")) {
            let Some(options) = errors.handle(options(attr)) else { continue };
            if let Some(path) = options.krate
                && let Some(path) = errors.handle(context::root(&path))
            {
                root = path;
            }
        }
        Self { input, root }
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.input.ident
    }

    /// Every field of the struct, or of all variants.
    pub(crate) fn fields(&self) -> Vec<&Field> {
        match &self.input.data {
            Data::Struct(data) => data.fields.iter().collect(),
            Data::Enum(data) => data.variants.iter().flat_map(|variant| variant.fields.iter()).collect(),
            Data::Union(data) => data.fields.named.iter().collect(),
        }
    }

    /// The name of the copy.
    pub(crate) fn copy_ident(&self) -> Ident {
        format_ident!("__FieldTypeOf{}", self.input.ident)
    }

    /// The item under the name of the copy, with only those attributes that the derives and the compiler read.
    pub(crate) fn copy(&self) -> TokenStream {
        let mut copy = self.input.clone();
        copy.ident = self.copy_ident();
        copy.vis = syn::Visibility::Inherited;
        copy.attrs.retain(is_read_by_derives);
        let clean = |field: &mut Field| {
            field.attrs.retain(is_read_by_derives);
            field.vis = syn::Visibility::Inherited;
        };
        match &mut copy.data {
            Data::Struct(data) => data.fields.iter_mut().for_each(clean),
            Data::Enum(data) => {
                for variant in &mut data.variants {
                    variant.attrs.retain(is_read_by_derives);
                    // Only the order of variants matters, and a discriminant may refer to `Self`.
                    variant.discriminant = None;
                    variant.fields.iter_mut().for_each(clean);
                }
            }
            Data::Union(data) => data.fields.named.iter_mut().for_each(clean),
        }
        // In the copy, `Self` would be the copy.
        replace_self(copy.to_token_stream(), &self.input.ident)
    }
}

fn is_read_by_derives(attr: &Attribute) -> bool {
    ["doc", "serde", "schemars", "cfg", "cfg_attr", "allow", "deprecated"].iter().any(|name| attr.path().is_ident(name))
}

/// The tokens with the type's own name for `Self`.
pub(super) fn replace_self(tokens: TokenStream, ident: &Ident) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(word) if word == "Self" => TokenTree::Ident(Ident::new(&ident.to_string(), word.span())),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replace_self(group.stream(), ident));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        })
        .collect()
}

fn options(attr: &Attribute) -> Result<Options> {
    let settings = attr.parse_args_with(Punctuated::<syn::Meta, Token![,]>::parse_terminated)?;
    if let Some(other) = settings.iter().find(|setting| !setting.path().is_ident("crate")) {
        let name = other.path().to_token_stream().to_string();
        bail!(other.path(), "`#[field]` takes no `{name}`; it takes `crate = ::path`");
    }
    Options::from_meta(&attr.meta)
}
