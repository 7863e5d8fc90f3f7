//! Signatures that several modules share: what `#[derive(Signature)]` generates, and modules that use it.

use dspex_schema::Side;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use crate::ident::field_ident;
use crate::module::{names, option};
use crate::{Module, Root};

/// The type that a module takes its signature from.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Its path.
    pub path: TokenStream,
    /// Where an error about it should point.
    pub span: Span,
    /// Names of fields that the class of the module does not allow, and what to say if there is one.
    pub refused: Vec<(Side, String, String)>,
    /// Names that the inputs must have, and what to say if one is missing.
    pub required: Vec<(String, String)>,
}

/// What `#[derive(Signature)]` generates: the items of a module without a class, and whether the struct has the fields.
#[derive(Clone, Debug)]
pub struct SignatureItems(pub Module, pub bool);

impl SignatureItems {
    /// `XInputs`, `XOutputs` and the implementation of `Signature`.
    pub fn items(&self) -> TokenStream {
        let module = &self.0;
        let Module { root, ident, .. } = module;
        let (inputs, outputs) = (module.inputs_ident(), module.outputs_ident());
        let (input_names, output_names) = (names(&module.inputs), names(&module.outputs));
        let instructions = option(module.instructions.as_ref());
        let definition = root.item("SignatureDefinition");
        let (assertions, data) = (module.field_assertions(), module.data_items());
        let fields = module.inputs.iter().chain(&module.outputs).map(|field| {
            let (name, cfg) = (&field.ident, &field.cfg);
            quote!(#(#cfg)* { let _ = &signature.#name; })
        });
        // The fields are there for this macro; nobody else need read them.
        let reads = self.1.then(|| quote!(const _: fn(&#ident) = |signature| { #(#fields)* };));
        quote! {
            #reads
            #assertions
            #data

            #[automatically_derived]
            impl #root::Signature for #ident {
                type Inputs = #inputs;
                type Outputs = #outputs;

                #[doc(hidden)]
                const DEFINITION: #definition = #definition {
                    instructions: #instructions,
                    inputs: #input_names,
                    outputs: #output_names,
                };
            }
        }
    }
}

impl Shared {
    /// The names of inputs and outputs and the instructions, as expressions. A module's own instructions win.
    pub(crate) fn names(&self, root: &Root, own: TokenStream) -> (TokenStream, TokenStream, TokenStream) {
        let definition = self.definition(root);
        let instructions = quote! {
            match #own {
                ::core::option::Option::Some(text) => ::core::option::Option::Some(text),
                ::core::option::Option::None => #definition.instructions,
            }
        };
        (quote!(#definition.inputs), quote!(#definition.outputs), instructions)
    }

    fn definition(&self, root: &Root) -> TokenStream {
        let path = &self.path;
        quote_spanned!(self.span=> <#path as #root::Signature>::DEFINITION)
    }

    /// Checks, while compiling, of the names of the fields, which the macro does not see.
    fn checks(&self, root: &Root) -> TokenStream {
        let definition = self.definition(root);
        let contains = root.item("contains");
        let checks = self.refused.iter().map(|(side, name, problem)| {
            let side = match side {
                Side::Input => quote!(inputs),
                Side::Output => quote!(outputs),
            };
            quote_spanned!(self.span=> ::core::assert!(!#contains(#definition.#side, #name), #problem);)
        });
        let required = self.required.iter().map(|(name, problem)| {
            quote_spanned!(self.span=> ::core::assert!(#contains(#definition.inputs, #name), #problem);)
        });
        quote!(const _: () = { #(#checks)* #(#required)* };)
    }
}

impl Module {
    /// `XInputs` and `XOutputs` of a shared signature.
    pub(crate) fn shared_items(&self, shared: &Shared) -> TokenStream {
        let Self { root, vis, ident, attrs, .. } = self;
        let path = &shared.path;
        let (inputs, outputs) = (self.inputs_ident(), self.outputs_ident());
        let signature = quote_spanned!(shared.span=> <#path as #root::Signature>);
        let checks = shared.checks(root);
        let inputs_doc = format!(" The inputs of [`{ident}`].");
        let outputs_doc = format!(" The outputs of [`{ident}`].");
        let outputs = if self.extra_outputs.is_empty() {
            quote!(#[doc = #outputs_doc] #vis type #outputs = #signature::Outputs;)
        } else {
            let (serde, schemars) = (root.item("serde"), root.item("schemars"));
            let (serde_text, schemars_text) = (root.crate_text("serde"), root.crate_text("schemars"));
            let names = Self::in_scope();
            let extra = self.extra_outputs.iter().map(|extra| extra.field(root, vis));
            let private = TokenStream::new();
            let parts: Vec<_> = self.extra_outputs.iter().map(|extra| extra.field(root, &private)).collect();
            let idents: Vec<_> = self.extra_outputs.iter().map(|extra| field_ident(&extra.name).0).collect();
            let both = root.item("Both");
            let result = quote!(::core::result::Result);
            quote! {
                #names
                #[doc = #outputs_doc]
                #(#attrs)*
                #[allow(missing_docs)]
                #[derive(#serde::Serialize, #schemars::JsonSchema)]
                #[serde(crate = #serde_text)]
                #[schemars(crate = #schemars_text)]
                #vis struct #outputs {
                    #[serde(flatten)]
                    #vis signature: #signature::Outputs,
                    #(#extra,)*
                }

                // serde's own derive of a flattened field names types of the prelude, which may mean something else here.
                const _: () = {
                    #[derive(#serde::Deserialize)]
                    #[serde(crate = #serde_text)]
                    struct Added {
                        #(#parts,)*
                    }

                    #[automatically_derived]
                    impl<'de> #serde::Deserialize<'de> for #outputs {
                        fn deserialize<D: #serde::Deserializer<'de>>(deserializer: D) -> #result<Self, D::Error> {
                            match <#both<#signature::Outputs, Added> as #serde::Deserialize>::deserialize(deserializer) {
                                #result::Ok(both) => #result::Ok(Self {
                                    signature: both.left,
                                    #(#idents: both.right.#idents,)*
                                }),
                                #result::Err(error) => #result::Err(error),
                            }
                        }
                    }
                };

                #[automatically_derived]
                impl ::core::ops::Deref for #outputs {
                    type Target = #signature::Outputs;

                    fn deref(&self) -> &Self::Target {
                        &self.signature
                    }
                }
            }
        };
        quote! {
            #checks
            #[doc = #inputs_doc]
            #vis type #inputs = #signature::Inputs;
            #outputs
        }
    }
}
