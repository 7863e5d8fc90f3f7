//! The implementations: the copy, and the traits that call into it.

use syn::Data;

use super::model::{Model, replace_self};
use crate::prelude::*;

/// Serde and schemars for the item.
pub(crate) fn implementations(model: &Model) -> TokenStream {
    let (root, ident, copy_ident, copy) = (&model.root, model.ident(), model.copy_ident(), model.copy());
    let (serde, schemars) = (root.private(&quote!(serde)), root.private(&quote!(schemars)));
    let (serde_text, schemars_text) = (root.crate_text("serde"), root.crate_text("schemars"));
    let remote = ident.to_string();
    let default = copy_default(model);
    let assertions = model.fields().into_iter().map(|field| {
        let ty = &field.ty;
        let cfg = field.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
        quote_spanned!(syn::spanned::Spanned::span(ty)=> #(#cfg)* { field_type::<#ty>(); })
    });
    let assertions = replace_self(assertions.collect(), ident);
    quote! {
        const _: fn() = || {
            fn field_type<T: #root::FieldType>() {}
            #assertions
        };
        const _: () = {
            // The derive of schemars calls methods of these, which a module without the prelude does not have.
            #[allow(unused_imports)]
            use ::core::convert::{From as _, Into as _};

            #[derive(#serde::Serialize, #serde::Deserialize, #schemars::JsonSchema)]
            #[serde(remote = #remote, crate = #serde_text)]
            #[schemars(crate = #schemars_text)]
            #[allow(dead_code, non_camel_case_types, missing_docs)]
            #copy

            #default

            #[automatically_derived]
            impl #serde::Serialize for #ident {
                fn serialize<S>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error>
                where
                    S: #serde::Serializer,
                {
                    #copy_ident::serialize(self, serializer)
                }
            }

            #[automatically_derived]
            impl<'de> #serde::Deserialize<'de> for #ident {
                fn deserialize<D>(deserializer: D) -> ::core::result::Result<Self, D::Error>
                where
                    D: #serde::Deserializer<'de>,
                {
                    #copy_ident::deserialize(deserializer)
                }
            }

            #[automatically_derived]
            impl #schemars::JsonSchema for #ident {
                fn inline_schema() -> ::core::primitive::bool {
                    <#copy_ident as #schemars::JsonSchema>::inline_schema()
                }

                fn schema_name() -> ::std::borrow::Cow<'static, str> {
                    <#copy_ident as #schemars::JsonSchema>::schema_name()
                }

                fn schema_id() -> ::std::borrow::Cow<'static, str> {
                    <#copy_ident as #schemars::JsonSchema>::schema_id()
                }

                fn json_schema(generator: &mut #schemars::SchemaGenerator) -> #schemars::Schema {
                    <#copy_ident as #schemars::JsonSchema>::json_schema(generator)
                }
            }
        };
    }
}

/// The default of the copy, which the derives ask for where all fields have their defaults from the type's.
fn copy_default(model: &Model) -> Option<TokenStream> {
    let Data::Struct(data) = &model.input.data else { return None };
    if !model.has_default() {
        return None;
    }
    let (ident, copy_ident) = (model.ident(), model.copy_ident());
    let fields = data.fields.iter().zip(data.fields.members()).map(|(field, member)| {
        let cfg = field.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
        quote!(#(#cfg)* #member: real.#member)
    });
    Some(quote! {
        #[automatically_derived]
        impl ::core::default::Default for #copy_ident {
            fn default() -> Self {
                let real = <#ident as ::core::default::Default>::default();
                Self { #(#fields),* }
            }
        }
    })
}

/// Implementations for an item with errors: they satisfy whoever uses the type, and never run.
pub(crate) fn inert(model: &Model) -> TokenStream {
    let (root, ident) = (&model.root, model.ident());
    let (serde, schemars) = (root.private(&quote!(serde)), root.private(&quote!(schemars)));
    let (parameters, arguments, clause) = model.input.generics.split_for_impl();
    let mut generics = model.input.generics.clone();
    generics.params.insert(0, syn::parse_quote!('de));
    let (with_lifetime, _, _) = generics.split_for_impl();
    quote! {
        const _: () = {
            impl #parameters #serde::Serialize for #ident #arguments #clause {
                fn serialize<S: #serde::Serializer>(&self, _: S) -> ::core::result::Result<S::Ok, S::Error> {
                    ::core::unreachable!()
                }
            }

            impl #with_lifetime #serde::Deserialize<'de> for #ident #arguments #clause {
                fn deserialize<D: #serde::Deserializer<'de>>(_: D) -> ::core::result::Result<Self, D::Error> {
                    ::core::unreachable!()
                }
            }

            impl #parameters #schemars::JsonSchema for #ident #arguments #clause {
                fn schema_name() -> ::std::borrow::Cow<'static, str> {
                    ::core::unreachable!()
                }

                fn json_schema(_: &mut #schemars::SchemaGenerator) -> #schemars::Schema {
                    ::core::unreachable!()
                }
            }
        };
    }
}
