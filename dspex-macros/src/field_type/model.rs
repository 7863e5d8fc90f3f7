//! The item, and the copy of it that the derives are put on.

use darling::FromAttributes;
use dspex_codegen::Root;
use proc_macro2::{Group, TokenTree};
use quote::format_ident;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Field, Meta, Token};

use crate::attribute::{self, Facade};
use crate::prelude::*;

/// `#[field(..)]` on the item.
#[derive(Default, FromAttributes)]
#[darling(attributes(field), default)]
struct Options {
    #[darling(rename = "crate")]
    facade: Option<Facade>,
}

/// A type that is to be usable as the type of a field.
pub(crate) struct Model {
    /// The item as it was written.
    pub(crate) input: DeriveInput,
    /// Where the facade is.
    pub(crate) root: Root,
}

impl Model {
    pub(crate) fn new(input: DeriveInput, errors: &mut Errors) -> Self {
        let options: Options = attribute::read("field", "`crate = ::path`", &input.attrs, errors);
        let root = options.facade.map(|Facade(root)| root).unwrap_or_default();
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

    /// Whether the item has `#[serde(default)]`, without a function to call.
    pub(crate) fn has_default(&self) -> bool {
        self.input.attrs.iter().filter(|attr| attr.path().is_ident("serde")).any(|attr| {
            let settings = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            settings.is_ok_and(|settings| {
                settings.iter().any(|setting| matches!(setting, Meta::Path(path) if path.is_ident("default")))
            })
        })
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
    ["doc", "serde", "schemars", "cfg", "cfg_attr", "allow", "deprecated"]
        .iter()
        .any(|name| attr.path().is_ident(name))
}

/// The tokens with the type's own name for `Self`.
pub(crate) fn replace_self(tokens: TokenStream, name: &impl ToTokens) -> TokenStream {
    let mut out = TokenStream::new();
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word == "Self" => {
                out.extend(name.to_token_stream().into_iter().map(|mut token| {
                    token.set_span(word.span());
                    token
                }));
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replace_self(group.stream(), name));
                inner.set_span(group.span());
                out.extend([TokenTree::Group(inner)]);
            }
            other => out.extend([other]),
        }
    }
    out
}
