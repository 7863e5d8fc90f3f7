//! `signature!("..")`: a signature in the middle of an expression, whose inputs are set one by one.

use dspex_schema::signature::{Kind, Type};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};

use crate::signature::Choice;
use crate::{Module, Root, SignatureItems};

/// How an input is set.
#[derive(Clone, Debug)]
pub struct Setter {
    /// Whether it can be left out.
    optional: bool,
    /// The enum of a `Literal` in its type, which only the expression can name.
    choice: Option<Choice>,
}

impl Setter {
    /// For an input of this type, which came with these enums; none if its values could not be written down outside
    /// of the expression.
    pub fn new(ty: &Type, choices: &[Choice]) -> Option<Self> {
        let rest = ty.optional();
        let optional = rest.is_some() && !has_any(ty);
        let unions = unions(ty);
        // What an alternative is converted from is its own value.
        let is_union = match rest.as_deref() {
            None => matches!(ty.kind, Kind::Union(_)),
            Some(rest) => rest.len() > 1 || matches!(rest, [Type { kind: Kind::Union(_), .. }]),
        };
        let choice = match (unions, choices) {
            (0, []) => None,
            (1, []) if is_union => None,
            (0, [choice]) => Some(choice.clone()),
            _ => return None,
        };
        Some(Self { optional, choice })
    }

    /// The method that sets the input `ident`.
    fn method(
        &self,
        ident: &Ident,
        ty: &TokenStream,
        root: &Root,
        asking: &TokenStream,
        moved: &TokenStream,
    ) -> TokenStream {
        // What the caller's value has to be, and how it becomes one of `ty`.
        let (marker, bound, convert) = match self.optional {
            false => (None, quote!(::core::convert::Into<#ty>), quote!(::core::convert::Into::into)),
            true => {
                let into = root.item("IntoOptional");
                (Some(quote!(, __M)), quote!(#into<#ty, __M>), quote!(#into::into_optional))
            }
        };
        match &self.choice {
            None => quote! {
                fn #ident<__V: #bound #marker>(self, value: __V) -> #asking {
                    let value = #convert(value);
                    #moved
                }
            },
            Some(choice) => {
                let values = choice.values_ident();
                quote! {
                    fn #ident<__V: #bound #marker>(
                        self,
                        choose: impl ::core::ops::FnOnce(#values) -> __V,
                    ) -> #asking {
                        let value = #convert(choose(#values::ALL));
                        #moved
                    }
                }
            }
        }
    }
}

/// The values of a `Literal`, as fields of what a setter gives to choose from.
fn values(choice: &Choice) -> TokenStream {
    let (ident, values) = (&choice.ident, choice.values_ident());
    let (names, variants) = (choice.value_names(), &choice.variants);
    quote! {
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        #[allow(dead_code)]
        struct #values {
            #(#names: #ident,)*
        }

        impl #values {
            const ALL: Self = Self { #(#names: #ident::#variants,)* };
        }
    }
}

fn has_any(ty: &Type) -> bool {
    matches!(&ty.kind, Kind::Union(of) if of.iter().any(|ty| ty.kind == Kind::Any))
}

/// How many enums of alternatives are in a type.
fn unions(ty: &Type) -> usize {
    match &ty.kind {
        Kind::List(of) | Kind::Set(of) => unions(of),
        Kind::Dict(key, value) => unions(key) + unions(value),
        Kind::Tuple(of) => of.iter().map(unions).sum(),
        Kind::Union(of) if !has_any(ty) => {
            let several = of.iter().filter(|ty| ty.kind != Kind::None).count() > 1;
            usize::from(several) + of.iter().map(unions).sum::<usize>()
        }
        _ => 0,
    }
}

/// The expression: a value with a setter for each input, and the calls once all are set that have to be.
pub fn expression(module: Module, setters: &[Setter]) -> TokenStream {
    let Module { root, ident, types, .. } = &module;
    let (inputs, outputs) = (module.inputs_ident(), module.outputs_ident());
    let [predict, chain, reasoned, call, free] =
        ["Predict", "ChainOfThought", "Reasoned", "call", "ReasoningIsFree"].map(|item| root.item(item));
    let idents: Vec<_> = module.inputs.iter().map(|field| &field.ident).collect();
    let tys: Vec<_> = module.inputs.iter().map(|field| &field.ty).collect();
    // What has to be set is a parameter of the type until it is.
    let slot = |place: usize| (!setters[place].optional).then(|| format_ident!("__T{place}"));
    let all = || 0..idents.len();
    let slots: Vec<_> = all().filter_map(slot).collect();
    let set: Vec<_> = all().filter(|place| slot(*place).is_some()).map(|place| tys[place]).collect();
    let fields = all().map(|place| {
        let (ident, ty) = (idents[place], tys[place]);
        slot(place).map_or_else(|| quote!(#ident: #ty), |slot| quote!(#ident: #slot))
    });
    let initial = all().map(|place| {
        let ident = idents[place];
        match slot(place) {
            Some(_) => quote!(#ident: ()),
            None => quote!(#ident: ::core::option::Option::None),
        }
    });
    let methods = all().map(|place| {
        // The same slots, with this one filled.
        let filled = all().filter_map(|other| {
            let slot = slot(other)?.into_token_stream();
            Some(if other == place { tys[place].clone() } else { slot })
        });
        let others = idents.iter().filter(|other| **other != idents[place]);
        let ident = idents[place];
        let moved = quote!(Asking { #ident: value, #(#others: self.#others),* });
        setters[place].method(ident, tys[place], root, &quote!(Asking<#(#filled),*>), &moved)
    });
    let choices = setters.iter().filter_map(|setter| setter.choice.as_ref()).map(values);
    let items = SignatureItems(module.clone(), false).items();
    let names = || module.inputs.iter().chain(&module.outputs).map(|field| field.name.as_str());
    let returned = quote!(#root::Result<#reasoned<#outputs>>);
    let chain_of_thought = match names().any(|name| name == "reasoning") {
        false => quote! {
            async fn chain_of_thought<__C: #root::Caller>(self, caller: &__C) -> #returned {
                let inputs = #inputs { #(#idents: self.#idents),* };
                #call::<#chain<#ident>, _>(caller, inputs).await
            }
        },
        // Nobody implements the bound, and it says why. No future of its own, which would say so again.
        true => quote! {
            fn chain_of_thought<__C: #root::Caller>(self, _: &__C) -> ::core::future::Pending<#returned>
            where
                Self: #free<__C>,
            {
                ::core::future::pending()
            }
        },
    };
    quote! {{
        #[derive(::core::fmt::Debug)]
        struct #ident;
        #types
        #items
        #(#choices)*

        struct Asking<#(#slots),*> {
            #(#fields),*
        }

        #[allow(dead_code)]
        impl<#(#slots),*> Asking<#(#slots),*> {
            #(#methods)*
        }

        #[allow(dead_code)]
        impl Asking<#(#set),*> {
            async fn predict<__C: #root::Caller>(self, caller: &__C) -> #root::Result<#outputs> {
                let inputs = #inputs { #(#idents: self.#idents),* };
                #call::<#predict<#ident>, _>(caller, inputs).await
            }

            #chain_of_thought
        }

        Asking { #(#initial),* }
    }}
}
