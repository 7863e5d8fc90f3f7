//! Functions for methods of a class.

use dspex_schema::{Method as Schema, Role, Type};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};

use crate::ident::field_ident;
use crate::{Root, rust_type, rustdoc};

/// A method that a typed module offers beside its call.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its name in Rust.
    pub ident: Ident,
    /// Its name in Python.
    pub name: String,
    /// What is known about it; without a schema it takes and returns JSON.
    pub schema: Option<Schema>,
}

impl Method {
    /// An associated function of the module: `Qa::reset(&instance)`.
    pub(crate) fn function(&self, root: &Root, vis: &TokenStream) -> TokenStream {
        let Self { ident, name, schema } = self;
        let [json, map, to_value, call] =
            ["serde_json::Value", "serde_json::Map", "serde_json::to_value", "call_method"]
                .map(|item| root.item(item));
        let string = quote!(::std::string::String);
        let some = quote!(::core::option::Option::Some);
        let doc = schema.as_ref().and_then(|schema| schema.doc.as_deref()).map(rustdoc);
        let doc = doc.unwrap_or_else(|| format!("Calls the method `{name}`."));
        let docs = doc.lines().map(|line| format!(" {line}"));
        let (parameters, arguments, returns) = match schema {
            None => (
                quote!(, arguments: #map<#string, #json>),
                quote! {
                    ::std::iter::Iterator::collect(::std::iter::Iterator::map(
                        ::std::iter::IntoIterator::into_iter(arguments),
                        |(name, value)| (name, ::core::result::Result::Ok(#some(value))),
                    ))
                },
                json.to_token_stream(),
            ),
            Some(schema) => {
                let values: Vec<_> =
                    schema.params.iter().filter(|parameter| parameter.role == Role::Value).collect();
                let idents: Vec<_> = values.iter().map(|parameter| field_ident(&parameter.name).0).collect();
                let parameters = values.iter().zip(&idents).map(|(parameter, ident)| {
                    let ty = rust_type(&parameter.ty, root);
                    match parameter.required || is_optional(&parameter.ty) {
                        true => quote!(, #ident: #ty),
                        false => quote!(, #ident: ::core::option::Option<#ty>),
                    }
                });
                let arguments = values.iter().zip(&idents).map(|(parameter, ident)| {
                    let name = &parameter.name;
                    let value = match parameter.required {
                        true => quote!(#to_value(#ident).map(#some)),
                        // Not given is not the same as `None` where the default is another.
                        false => quote! {
                            match #ident {
                                #some(value) => #to_value(value).map(#some),
                                ::core::option::Option::None => ::core::result::Result::Ok(::core::option::Option::None),
                            }
                        },
                    };
                    quote!((::std::string::String::from(#name), #value))
                });
                let returns = rust_type(&schema.returns, root);
                (quote!(#(#parameters)*), quote!(::std::vec::Vec::from([#(#arguments),*])), returns)
            }
        };
        quote! {
            #(#[doc = #docs])*
            ///
            /// # Errors
            /// If the call cannot be made or fails in Python.
            #[allow(clippy::too_many_arguments)]
            #vis async fn #ident(instance: &#root::Instance<Self> #parameters) -> #root::Result<#returns> {
                #call::<Self, _>(instance, #name, #arguments).await
            }
        }
    }
}

fn is_optional(ty: &Type) -> bool {
    match ty {
        Type::Option { of } => {
            !matches!(**of, Type::Any | Type::Opaque { .. } | Type::None | Type::Option { .. })
        }
        _ => false,
    }
}
