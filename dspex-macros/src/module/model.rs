//! The struct as the macro sees it: what each field is marked as, and which attributes go where.

use dspex_schema::Side;
use proc_macro2::TokenTree;
use quote::format_ident;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Fields, Generics, Item, ItemStruct, Meta, Path, Token, Type, Visibility};

use super::options::Options;
use super::text::Text;
use crate::docs;
use crate::prelude::*;

/// A struct with named fields.
pub(crate) struct Model {
    /// The struct as it is emitted again, without what this macro and the generated items consume.
    pub(crate) item: ItemStruct,
    /// The fields, in order.
    pub(crate) fields: Vec<Field>,
    /// The instructions, as an expression.
    pub(crate) instructions: Option<TokenStream>,
    /// Attributes for inputs and outputs: derives, and lint levels.
    pub(crate) data_attrs: Vec<TokenStream>,
    /// The signature, where it was written as text instead of as fields.
    pub(crate) text: Option<Text>,
}

/// A field of the struct.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// The name in DSPy: that of the field, without `r#`.
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// The markers, in order; a correct field has one.
    pub(crate) markers: Vec<Marker>,
    pub(crate) documented: bool,
    /// Attributes for the field of the inputs or outputs: documentation, serde, schemars, lint levels.
    pub(crate) attrs: Vec<Attribute>,
    /// The conditions under which the field exists.
    pub(crate) cfg: Vec<Attribute>,
}

/// `#[input]` or `#[output]`.
pub(crate) struct Marker {
    pub(crate) side: Side,
    pub(crate) attr: Attribute,
}

impl Model {
    /// Parses the item. An item of which nothing can be made gives an error, and empty inputs and outputs, so that
    /// code which names them is not reported too.
    pub(crate) fn parse(
        tokens: TokenStream,
        options: &Options,
        errors: &mut Errors,
    ) -> Result<Self, TokenStream> {
        let mut known = false;
        let (vis, ident, error) = match syn::parse2::<Item>(tokens) {
            Ok(Item::Struct(item)) => match &item.fields {
                Fields::Named(_) => return Ok(Self::new(item)),
                // Where the signature is written elsewhere, there are no fields to be had.
                Fields::Unit if options.signature.is_some() => return Ok(Self::new(item)),
                Fields::Unnamed(fields) => {
                    let error = err!(
                        fields,
                        "the fields of `{0}` need names, which are their names in DSPy; write `struct {0} {{ .. }}`",
                        item.ident
                    );
                    (item.vis, item.ident, error)
                }
                Fields::Unit => {
                    // What is wrong with the signature has been said.
                    known = options.signature_lost;
                    let error = err!(
                        &item.ident,
                        "`{}` has no fields; give it fields marked `#[input]` and `#[output]`, or `signature = \"..\"`",
                        item.ident
                    );
                    (item.vis, item.ident, error)
                }
            },
            Ok(Item::Enum(item)) => {
                let error = not_a_struct(
                    item.enum_token,
                    "an enum; for the type of a field, use `#[derive(FieldType)]`",
                );
                (item.vis, item.ident, error)
            }
            Ok(Item::Union(item)) => {
                let error = not_a_struct(item.union_token, "a union");
                (item.vis, item.ident, error)
            }
            Ok(other) => {
                errors.push(match &other {
                    Item::Fn(item) => not_a_struct(item.sig.fn_token, "a function"),
                    Item::Impl(item) => not_a_struct(item.impl_token, "an impl block"),
                    Item::Trait(item) => not_a_struct(item.trait_token, "a trait"),
                    Item::Mod(item) => not_a_struct(item.mod_token, "a module"),
                    Item::Type(item) => not_a_struct(item.type_token, "a type alias"),
                    other => not_a_struct(other, "something else"),
                });
                return Err(TokenStream::new());
            }
            Err(error) => {
                errors.push(error);
                return Err(TokenStream::new());
            }
        };
        if !known {
            errors.push(error);
        }
        let [inputs, outputs] = ["Inputs", "Outputs"].map(|suffix| format_ident!("{ident}{suffix}"));
        Err(quote! {
            #[allow(missing_docs)] #vis struct #inputs {}
            #[allow(missing_docs)] #vis struct #outputs {}
        })
    }

    fn new(mut item: ItemStruct) -> Self {
        let instructions = docs::text(&item.attrs);
        let derives: Vec<Path> = item.attrs.iter().flat_map(derives).collect();
        let mut data_attrs: Vec<TokenStream> = Vec::new();
        for attr in &item.attrs {
            if attr.path().is_ident("derive") {
                // Those that the generated items have anyway.
                let derives: Vec<Path> =
                    derives_of(attr).into_iter().filter(|path| !is_one_of(path, GENERATED_DERIVES)).collect();
                if !derives.is_empty() {
                    data_attrs.push(quote!(#[derive(#(#derives),*)]));
                }
            } else if is_lint_level(attr) {
                data_attrs.push(attr.to_token_stream());
            }
        }
        // The derives that would read them are on the generated items.
        let keeps_schemars = derives.iter().any(|path| is_one_of(path, &["JsonSchema", "FieldType"]));
        let keeps_serde =
            derives.iter().any(|path| is_one_of(path, &["Serialize", "Deserialize", "FieldType"]));
        let mut fields = Vec::new();
        for field in &mut item.fields {
            let Some(ident) = field.ident.clone() else { continue };
            fields.push(Field {
                name: ident.unraw().to_string(),
                ident,
                ty: field.ty.clone(),
                markers: field.attrs.iter().filter_map(marker).collect(),
                documented: field.attrs.iter().any(docs::is_doc),
                attrs: field.attrs.iter().filter(|attr| belongs_to_data(attr)).cloned().collect(),
                cfg: field.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect(),
            });
            field.attrs.retain(|attr| {
                marker(attr).is_none()
                    && (keeps_schemars || !attr.path().is_ident("schemars"))
                    && (keeps_serde || !attr.path().is_ident("serde"))
            });
        }
        Self { item, fields, instructions, data_attrs, text: None }
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.item.ident
    }

    pub(crate) fn vis(&self) -> &Visibility {
        &self.item.vis
    }

    pub(crate) fn generics(&self) -> &Generics {
        &self.item.generics
    }
}

impl Field {
    /// What the field is; without a marker, or with both, what makes the fewest follow-up errors.
    pub(crate) fn side(&self) -> Side {
        self.markers.first().map_or(Side::Output, |marker| marker.side)
    }

    /// Whether the type mentions one of these names, as it does with a generic parameter.
    pub(crate) fn mentions(&self, names: &[String]) -> bool {
        fn search(tokens: TokenStream, names: &[String]) -> bool {
            tokens.into_iter().any(|token| match token {
                TokenTree::Ident(ident) => names.iter().any(|name| ident == name),
                TokenTree::Group(group) => search(group.stream(), names),
                _ => false,
            })
        }
        search(self.ty.to_token_stream(), names)
    }
}

const GENERATED_DERIVES: &[&str] = &["Serialize", "Deserialize", "JsonSchema", "FieldType"];

fn marker(attr: &Attribute) -> Option<Marker> {
    let side = [Side::Input, Side::Output].into_iter().find(|side| attr.path().is_ident(side.as_str()))?;
    Some(Marker { side, attr: attr.clone() })
}

/// Attributes of a field that the generated field has too. Others belong to the struct and its derives.
fn belongs_to_data(attr: &Attribute) -> bool {
    attr.path().is_ident("doc")
        || attr.path().is_ident("serde")
        || attr.path().is_ident("schemars")
        || attr.path().is_ident("cfg_attr")
        || is_lint_level(attr)
}

fn is_lint_level(attr: &Attribute) -> bool {
    // Not `expect`: what it expects may happen in the struct only.
    ["allow", "warn", "deny"].iter().any(|level| attr.path().is_ident(level))
}

fn derives(attr: &Attribute) -> Vec<Path> {
    if attr.path().is_ident("derive") { derives_of(attr) } else { Vec::new() }
}

fn derives_of(attr: &Attribute) -> Vec<Path> {
    // What cannot be parsed is left on the struct, where the compiler says what is wrong with it.
    attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
        .map(|paths| paths.into_iter().collect())
        .unwrap_or_default()
}

fn is_one_of(path: &Path, names: &[&str]) -> bool {
    path.segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
}

fn not_a_struct(keyword: impl ToTokens, what: &str) -> Error {
    err!(&keyword, "`#[dspy_module]` goes on a struct with named fields, and this is {what}")
}

/// Whether an attribute is a list of settings for serde or schemars, and the settings in it.
pub(crate) fn settings(attr: &Attribute) -> Option<(&'static str, Vec<Meta>)> {
    let name = ["serde", "schemars"].into_iter().find(|name| attr.path().is_ident(name))?;
    let settings = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    Some((name, settings.map(|settings| settings.into_iter().collect()).unwrap_or_default()))
}
