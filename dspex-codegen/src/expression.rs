//! `signature!("..")`: a signature in the middle of an expression, whose inputs are set one by one.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::{Module, SignatureItems};

/// The expression: a value with a setter for each input, and the calls once all are set.
pub fn expression(module: Module) -> TokenStream {
    let Module { root, ident, types, .. } = &module;
    let (types, inputs) = (types.clone(), module.inputs_ident());
    let outputs = module.outputs_ident();
    let [predict, chain, reasoned, call] =
        ["Predict", "ChainOfThought", "Reasoned", "call"].map(|item| root.item(item));
    let idents: Vec<_> = module.inputs.iter().map(|field| &field.ident).collect();
    let tys: Vec<_> = module.inputs.iter().map(|field| &field.ty).collect();
    let slots: Vec<_> = (0..idents.len()).map(|place| format_ident!("T{place}")).collect();
    let setters = idents.iter().enumerate().map(|(place, ident)| {
        let ty = tys[place];
        // The same slots, with this one filled.
        let filled: Vec<_> = slots
            .iter()
            .enumerate()
            .map(|(other, slot)| if other == place { quote!(#ty) } else { quote!(#slot) })
            .collect();
        let moved = idents.iter().enumerate().map(|(other, name)| match other == place {
            true => quote!(#name: ::core::convert::Into::into(value)),
            false => quote!(#name: self.#name),
        });
        quote! {
            fn #ident(self, value: impl ::core::convert::Into<#ty>) -> Asking<#(#filled),*> {
                Asking { #(#moved),* }
            }
        }
    });
    let setters = quote!(#(#setters)*);
    let items = SignatureItems(module.clone(), false).items();
    quote! {{
        #[derive(::core::fmt::Debug)]
        struct #ident;
        #types
        #items

        struct Asking<#(#slots),*> {
            #(#idents: #slots),*
        }

        #[allow(dead_code)]
        impl<#(#slots),*> Asking<#(#slots),*> {
            #setters
        }

        #[allow(dead_code)]
        impl Asking<#(#tys),*> {
            async fn predict(self, caller: &impl #root::Caller) -> #root::Result<#outputs> {
                let inputs = #inputs { #(#idents: self.#idents),* };
                #call::<#predict<#ident>, _>(caller, inputs).await
            }

            async fn chain_of_thought(self, caller: &impl #root::Caller) -> #root::Result<#reasoned<#outputs>> {
                let inputs = #inputs { #(#idents: self.#idents),* };
                #call::<#chain<#ident>, _>(caller, inputs).await
            }
        }

        Asking { #(#idents: ()),* }
    }}
}
