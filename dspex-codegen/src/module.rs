//! The items of a typed module: its inputs, its outputs, and how it is created and called.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use serde_json::{Map, Value};

use crate::ident::field_ident;
use crate::{Method, Root, Shared, rust_type, rustdoc};

/// Everything that the items of a typed module are made of. The names are taken as checked.
#[derive(Clone, Debug)]
pub struct Module {
    /// Where dspex is.
    pub root: Root,
    /// Visibility of everything that is generated: that of the user's struct.
    pub vis: TokenStream,
    /// The name of the user's struct; `Inputs` and `Outputs` are appended to it.
    pub ident: Ident,
    /// The public name of the class.
    pub class: String,
    /// The fingerprint of the class as it was compiled against; none if nothing is known about the class.
    pub fingerprint: Option<String>,
    /// An expression of type `&'static str`; none leaves it to DSPy.
    pub instructions: Option<TokenStream>,
    /// The inputs, in order.
    pub inputs: Vec<Field>,
    /// The outputs of the signature, in order.
    pub outputs: Vec<Field>,
    /// The outputs that the class adds.
    pub extra_outputs: Vec<ExtraOutput>,
    /// Keywords for the constructor.
    pub args: Map<String, Value>,
    /// Attributes for inputs and outputs both, such as further derives.
    pub attrs: Vec<TokenStream>,
    /// The method that takes the inputs; none for calling the instance itself.
    pub execute: Option<String>,
    /// Further methods.
    pub methods: Vec<Method>,
    /// What makes the answer of the outputs.
    pub transform: Option<Transform>,
    /// The functions of Rust that the class may call, as an expression of type `ToolSet`.
    pub tools: Option<TokenStream>,
    /// Types of fields that are generated with the fields.
    pub types: TokenStream,
    /// The type that the signature is taken from, instead of from the fields.
    pub shared: Option<Shared>,
}

/// A function that makes the answer of a call of its outputs.
#[derive(Clone, Debug)]
pub struct Transform {
    /// Its path.
    pub path: TokenStream,
    /// The type of the answer.
    pub ty: TokenStream,
    /// Where an error about the function should point.
    pub span: Span,
}

/// A field of the signature.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in Rust, which may be a raw identifier.
    pub ident: Ident,
    /// Its name in DSPy.
    pub name: String,
    /// Its type.
    pub ty: TokenStream,
    /// Where an error about the type should point.
    pub ty_span: Span,
    /// Whether there is documentation among the attributes.
    pub documented: bool,
    /// Documentation and attributes of serde and schemars.
    pub attrs: Vec<TokenStream>,
    /// The conditions under which it exists.
    pub cfg: Vec<TokenStream>,
}

/// An output that the class adds to those of the signature.
#[derive(Clone, Debug)]
pub struct ExtraOutput {
    /// Its name in DSPy.
    pub name: String,
    /// Its type in Python.
    pub ty: dspex_schema::Type,
    /// What DSPy says about it.
    pub doc: Option<String>,
}

impl Module {
    /// All items: `XInputs`, `XOutputs`, the implementation of `Module`, and the inherent functions.
    pub fn items(&self) -> TokenStream {
        let data = self.data_items();
        let assertions = self.field_assertions();
        let implementation = self.implementation();
        let functions = self.functions();
        let types = &self.types;
        // The assertions come first, so that what they say about a type is said first.
        quote!(#assertions #types #data #implementation #functions)
    }

    /// Only `XInputs` and `XOutputs`, for where the rest would only repeat an error.
    pub fn data_items(&self) -> TokenStream {
        if let Some(shared) = &self.shared {
            return self.shared_items(shared);
        }
        let names = Self::in_scope();
        let inputs = self.data_item(&self.inputs_ident(), "inputs", &self.inputs, &[]);
        let outputs = self.data_item(&self.outputs_ident(), "outputs", &self.outputs, &self.extra_outputs);
        quote! {
            #names
            #inputs
            #outputs
        }
    }

    /// The derive of schemars calls methods of these, which a module without the prelude does not have.
    pub(crate) fn in_scope() -> TokenStream {
        quote! {
            #[allow(unused_imports)]
            use ::core::convert::{From as _, Into as _};
        }
    }

    /// The type that a call gives.
    fn answer(&self) -> TokenStream {
        match &self.transform {
            Some(transform) => transform.ty.clone(),
            None => self.outputs_ident().to_token_stream(),
        }
    }

    pub(crate) fn inputs_ident(&self) -> Ident {
        format_ident!("{}Inputs", self.ident)
    }

    pub(crate) fn outputs_ident(&self) -> Ident {
        format_ident!("{}Outputs", self.ident)
    }

    fn data_item(&self, ident: &Ident, what: &str, fields: &[Field], extra: &[ExtraOutput]) -> TokenStream {
        let Self { root, vis, attrs, .. } = self;
        let (serde, schemars) = (root.item("serde"), root.item("schemars"));
        let (serde_text, schemars_text) = (root.crate_text("serde"), root.crate_text("schemars"));
        let doc = format!(" The {what} of [`{}`].", self.ident);
        let extra_fields = extra.iter().map(|extra| extra.field(root, vis));
        // A field without documentation has no description either; inventing one would reach the prompt.
        let documented =
            fields.iter().all(|field| field.documented) && extra.iter().all(|output| output.doc.is_some());
        let undocumented = (!documented).then(|| quote!(#[allow(missing_docs)]));
        let fields = fields
            .iter()
            .map(|Field { ident, ty, attrs, cfg, .. }| quote!(#(#cfg)* #(#attrs)* #vis #ident: #ty));
        quote! {
            #[doc = #doc]
            #(#attrs)*
            #undocumented
            #[derive(#serde::Serialize, #serde::Deserialize, #schemars::JsonSchema)]
            #[serde(crate = #serde_text)]
            #[schemars(crate = #schemars_text)]
            #vis struct #ident {
                #(#fields,)*
                #(#extra_fields,)*
            }
        }
    }

    /// Says at the type of each field that it cannot be one, which the derived code would say in other words.
    pub(crate) fn field_assertions(&self) -> TokenStream {
        let root = &self.root;
        let assertions = self.inputs.iter().chain(&self.outputs).map(
            |Field { ty, ty_span, cfg, .. }| quote_spanned!(*ty_span=> #(#cfg)* { field_type::<#ty>(); }),
        );
        quote! {
            const _: fn() = || {
                fn field_type<T: #root::FieldType>() {}
                #(#assertions)*
            };
        }
    }

    fn implementation(&self) -> TokenStream {
        let Self { root, ident, class, instructions, .. } = self;
        let (inputs, outputs) = (self.inputs_ident(), self.outputs_ident());
        let definition = root.item("Definition");
        let name = ident.to_string();
        let name = name.trim_start_matches("r#");
        let fingerprint = option(self.fingerprint.as_ref());
        let instructions = option(instructions.as_ref());
        let (input_names, output_names, instructions) = match &self.shared {
            Some(shared) => shared.names(root, instructions),
            None => (names(&self.inputs), names(&self.outputs), instructions),
        };
        let extra_names = self.extra_outputs.iter().map(|output| &output.name);
        let args = Literal::string(&Value::Object(self.args.clone()).to_string());
        let method = self.execute.as_deref().unwrap_or_default();
        let answer_ty = self.answer();
        let result = quote!(#root::Result);
        let answer = match &self.transform {
            None => quote!(::core::result::Result::Ok(outputs)),
            Some(Transform { path, ty, span }) => {
                let into_answer = root.item("IntoAnswer");
                // Only the call has the span, so that an error about the function is shown at its name.
                quote_spanned!(*span=> #into_answer::<#ty>::into_answer(#path(outputs), #name))
            }
        };
        let tools = self.tools.as_ref().map(|tools| {
            quote! {
                fn tools() -> #root::tool::ToolSet {
                    #tools
                }
            }
        });
        quote! {
            #[automatically_derived]
            impl #root::Module for #ident {
                type Inputs = #inputs;
                type Outputs = #outputs;
                type Answer = #answer_ty;

                fn definition() -> &'static #definition {
                    static DEFINITION: #definition = #definition {
                        name: #name,
                        class: #class,
                        fingerprint: #fingerprint,
                        instructions: #instructions,
                        inputs: #input_names,
                        outputs: #output_names,
                        extra_outputs: &[#(#extra_names),*],
                        args: #args,
                        method: #method,
                    };
                    &DEFINITION
                }

                fn answer(outputs: #outputs) -> #result<#answer_ty> {
                    #answer
                }

                #tools
            }
        }
    }

    fn functions(&self) -> TokenStream {
        let Self { root, vis, ident, class, .. } = self;
        let (inputs, answer) = (self.inputs_ident(), self.answer());
        let methods = self.methods.iter().map(|method| method.function(root, vis));
        let (create, call) = (root.item("create"), root.item("call"));
        let create_doc = format!(" Creates an instance of `{class}` with this signature in a session.");
        let call_doc =
            format!(" Creates an instance of `{class}` with this signature, executes it once and drops it.");
        quote! {
            #[allow(dead_code)]
            impl #ident {
                #[doc = #create_doc]
                ///
                /// # Errors
                /// If the class or its signature cannot be built in Python.
                #vis async fn create(session: &#root::Session) -> #root::Result<#root::Instance<Self>> {
                    #create(session).await
                }

                #[doc = #call_doc]
                ///
                /// # Errors
                /// If the call cannot be made, fails in Python, or its outputs do not have the declared types.
                #vis async fn call(caller: &impl #root::Caller, inputs: #inputs) -> #root::Result<#answer> {
                    #call::<Self, _>(caller, inputs).await
                }

                #(#methods)*
            }
        }
    }
}

impl ExtraOutput {
    /// The field of the outputs.
    pub(crate) fn field(&self, root: &Root, vis: &TokenStream) -> TokenStream {
        let Self { name, ty, doc } = self;
        let (ident, renamed) = field_ident(name);
        let rename = renamed.then(|| quote!(#[serde(rename = #name)]));
        let ty = rust_type(ty, root);
        let doc = doc.as_deref().map(rustdoc);
        let doc = doc.iter().flat_map(|text| text.lines()).map(|line| format!(" {line}"));
        quote!(#(#[doc = #doc])* #rename #vis #ident: #ty)
    }
}

impl Field {
    /// The name as an element of an array, which is there under the same conditions as the field.
    fn element(&self) -> TokenStream {
        let Self { name, cfg, .. } = self;
        quote!(#(#cfg)* #name)
    }
}

/// The names of fields, as a slice.
pub(crate) fn names(fields: &[Field]) -> TokenStream {
    let names = fields.iter().map(Field::element);
    quote!(&[#(#names),*])
}

pub(crate) fn option(value: Option<&impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
