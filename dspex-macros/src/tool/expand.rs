//! The generated code: the tool beside its function, and what runs it.

use quote::format_ident;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, ReturnType, Type};

use super::examples::Example;
use super::model::{Model, Parameter};
use super::set::at;
use crate::prelude::*;

/// What the implementation is written for.
pub(super) struct Target<'a> {
    /// The type that is the tool.
    pub(super) tool: &'a Ident,
    /// Keeps the names of several tools apart that share a scope.
    pub(super) number: usize,
    /// The type that the method belongs to; none for a function.
    pub(super) service: Option<&'a Type>,
}

/// The struct and its implementation.
pub(super) fn of_function(model: &Model<'_>) -> TokenStream {
    let ident = model.ident();
    let item = struct_of(model);
    let implementation = implementation(model, &Target { tool: ident, number: 0, service: None });
    let code = hidden(model, &implementation);
    let (root, cfg) = (&model.root, model.function.attrs_named("cfg"));
    let test = model.options.examples.as_ref().map(|_| {
        let name = format_ident!("{}_examples_hold", model.ident());
        // With a context the answer is one that only the program can give.
        let runs = match model.context().next() {
            None => quote!(::core::option::Option::Some(&#ident {})),
            Some(_) => quote!(::core::option::Option::None),
        };
        quote! {
            #(#cfg)*
            #[cfg(test)]
            #[::core::prelude::v1::test]
            fn #name() {
                #root::__private::tool::check_examples(#root::tool::Tool::spec(&#ident {}), #runs);
            }
        }
    });
    quote!(#item #code #test)
}

/// What stands for the tool of a function with errors: it satisfies whoever uses it, and never runs.
pub(super) fn stand_in(model: &Model<'_>) -> TokenStream {
    let (root, ident) = (&model.root, model.ident());
    let item = struct_of(model);
    let name = ident.to_string();
    let future = future(root);
    let code = hidden(
        model,
        &quote! {
            impl #root::__private::tool::Named for #ident {
                const NAME: &'static ::core::primitive::str = #name;
            }

            impl #root::tool::Tool for #ident {
                fn spec(&self) -> &#root::tool::ToolSpec {
                    ::core::unreachable!()
                }

                fn call(&self, _: #root::tool::ToolContext, _: #root::tool::ToolArguments) -> #future {
                    ::core::unreachable!()
                }
            }
        },
    );
    quote!(#item #code)
}

/// The struct of the function's name. With braces it is no value, so the function's name stays the function's.
fn struct_of(model: &Model<'_>) -> TokenStream {
    let (vis, ident) = (&model.function.vis, model.ident());
    let docs = model.function.attrs_named("doc");
    let cfg = model.function.attrs_named("cfg");
    quote! {
        #(#cfg)*
        #(#docs)*
        #[allow(non_camel_case_types, dead_code)]
        #vis struct #ident {}
    }
}

/// A scope of its own for generated code.
fn hidden(model: &Model<'_>, code: &TokenStream) -> TokenStream {
    let cfg = model.function.attrs_named("cfg");
    quote! {
        #(#cfg)*
        #[allow(deprecated, non_snake_case, clippy::all, clippy::pedantic, clippy::nursery)]
        const _: () = { #code };
    }
}

/// What is in scope of generated code, once.
pub(super) fn in_scope(root: &dspex_codegen::Root) -> TokenStream {
    quote! {
        // The derive of schemars uses these, which a module without the prelude does not have.
        #[allow(unused_imports)]
        use ::core::{convert::{From as _, Into as _}, option::Option::Some};
        #[allow(unused_imports)]
        use ::std::string::ToString as _;
        #[allow(unused_imports)]
        use #root::__private::tool::{
            AnySchema as _, ResultKind as _, ResultSchema as _, ValueKind as _, ValueSchema as _,
        };
    }
}

/// The arguments' struct and the traits.
pub(super) fn implementation(model: &Model<'_>, target: &Target<'_>) -> TokenStream {
    let root = &model.root;
    let scope = target.service.is_none().then(|| in_scope(root));
    let (arguments, assertions) = (arguments(model, target), assertions(model));
    let (spec, call) = (spec(model, target), call(model, target));
    let (tool, name) = (target.tool, &model.name);
    let context: Vec<TokenStream> = model
        .context()
        .map(|Parameter { ty, .. }| {
            let given = at(ty.span(), quote!(<#ty as #root::tool::FromToolContext>));
            quote_spanned!(ty.span()=> #given::requirement())
        })
        .collect();
    let requirements = (!context.is_empty()).then(|| {
        quote! {
            fn requirements(&self) -> ::std::vec::Vec<#root::tool::Requirement> {
                #root::__private::tool::requirements([#(#context),*])
            }
        }
    });
    let object = target.service.is_some().then(|| {
        quote! {
            fn object(&self) -> ::core::option::Option<::core::primitive::usize> {
                ::core::option::Option::Some(::std::sync::Arc::as_ptr(&self.0).addr())
            }
        }
    });
    quote! {
        #scope
        #assertions
        #arguments

        #[automatically_derived]
        impl #root::__private::tool::Named for #tool {
            const NAME: &'static ::core::primitive::str = #name;
        }

        impl #tool {
            fn __spec() -> &'static #root::tool::ToolSpec {
                static SPEC: ::std::sync::LazyLock<#root::tool::ToolSpec> = ::std::sync::LazyLock::new(|| { #spec });
                &SPEC
            }
        }

        #[automatically_derived]
        impl #root::tool::Tool for #tool {
            fn spec(&self) -> &#root::tool::ToolSpec {
                #tool::__spec()
            }

            #call
            #requirements
            #object
        }
    }
}

fn arguments_ident(target: &Target<'_>) -> Ident {
    format_ident!("__Arguments{}", target.number)
}

fn default_ident(target: &Target<'_>, position: usize) -> Ident {
    format_ident!("__default{}_{}", target.number, position)
}

/// The parameters that the model gives, as a struct.
fn arguments(model: &Model<'_>, target: &Target<'_>) -> TokenStream {
    let root = &model.root;
    let ident = arguments_ident(target);
    let (serde, schemars) = (root.private(&quote!(serde)), root.private(&quote!(schemars)));
    let (serde_text, schemars_text) = (root.crate_text("serde"), root.crate_text("schemars"));
    let mut defaults = TokenStream::new();
    let fields: Vec<TokenStream> = model
        .arguments()
        .enumerate()
        .map(|(position, parameter)| {
            let Parameter { ident, ty, options, description, .. } = parameter;
            let default = options.default.as_ref().map(|default| {
                let function = default_ident(target, position);
                let value = default_value(&default.0);
                let function_text = function.to_string();
                defaults.extend(quote!(fn #function() -> #ty { #value }));
                quote!(#[serde(default = #function_text)])
            });
            let description = description.as_ref().map(|text| quote!(#[schemars(description = #text)]));
            let range =
                options.range.as_ref().map(|range| range.settings(&quote!(range), "exclusiveMaximum"));
            let length = options.length.as_ref().map(|length| length.settings(&quote!(length), "maxLength"));
            let pattern =
                options.pattern.as_ref().map(|pattern| quote!(#[schemars(regex(pattern = #pattern))]));
            quote!(#default #description #range #length #pattern #ident: #ty)
        })
        .collect();
    quote! {
        #defaults

        #[derive(#serde::Deserialize, #schemars::JsonSchema)]
        #[serde(crate = #serde_text, deny_unknown_fields)]
        #[schemars(crate = #schemars_text)]
        struct #ident { #(#fields),* }
    }
}

/// A text as a default is a text of whatever type.
fn default_value(value: &Expr) -> TokenStream {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            quote_spanned!(text.span()=> ::core::convert::From::from(#text))
        }
        value => value.to_token_stream(),
    }
}

/// Says at the type of each argument what is wrong with it, which the derived code would say in other words.
fn assertions(model: &Model<'_>) -> TokenStream {
    let root = &model.root;
    let serde = root.private(&quote!(serde));
    let assertions = model.arguments().map(|Parameter { ty, options, .. }| {
        let shown = options.default.as_ref().map(|_| quote_spanned!(ty.span()=> { __shown::<#ty>(); }));
        quote_spanned!(ty.span()=> { __argument::<#ty>(); } #shown)
    });
    let ranges = model.arguments().filter_map(|parameter| {
        let (ends, inner) = (parameter.options.range.as_ref()?.ends(), parameter.inner());
        Some(quote!({ #(let _: #inner = #ends;)* }))
    });
    quote! {
        const _: fn() = || {
            #[allow(dead_code)]
            fn __argument<T: #root::__private::tool::Argument>() {}
            #[allow(dead_code)]
            fn __shown<T: #serde::Serialize>() {}
            #(#assertions)*
            #(#ranges)*
        };
    }
}

/// The expression that makes the spec.
fn spec(model: &Model<'_>, target: &Target<'_>) -> TokenStream {
    let (root, name, options) = (&model.root, &model.name, &model.options);
    let arguments = arguments_ident(target);
    let description = model.description.clone().unwrap_or_else(|| quote!(""));
    let timeout = options.timeout.as_ref().map(|limit| {
        let limit = limit.0;
        quote!(.timeout(::core::time::Duration::from_millis(#limit)))
    });
    let concurrency = options.concurrency.as_ref().map(|runs| {
        let runs = runs.0;
        quote!(.concurrency(#runs))
    });
    let read_only = options.read_only.is_present().then(|| quote!(.read_only(true)));
    let streams = model.streams().then(|| quote!(.streams(true)));
    let examples =
        options.examples.iter().flat_map(|examples| &examples.0).map(|example| self::example(root, example));
    let spec = quote! {
        #root::tool::ToolSpec::builder(#name, #description)
            .arguments::<#arguments>()
            #timeout #concurrency #read_only #streams
            #(#examples)*
    };
    let spec = match model.returned() {
        Some(ty) => {
            let describe = if model.streams() { quote!(describe_items) } else { quote!(describe) };
            quote!((&&&#root::__private::tool::Returned::<#ty>::new()).#describe(#spec))
        }
        None => spec,
    };
    quote!(#spec.build())
}

fn example(root: &dspex_codegen::Root, example: &Example) -> TokenStream {
    let private = root.private(&quote!(tool));
    let arguments = example.arguments.iter().map(|(ident, value)| {
        let name = syn::ext::IdentExt::unraw(ident).to_string();
        quote!((#name, #private::value(&(#value))))
    });
    let returns = match &example.returns {
        Some(value) => quote!(::core::option::Option::Some(#private::value(&(#value)))),
        None => quote!(::core::option::Option::None),
    };
    quote!(.example(#private::example_arguments([#(#arguments),*]), #returns))
}

/// What a call gives.
fn future(root: &dspex_codegen::Root) -> TokenStream {
    quote! {
        ::core::pin::Pin<::std::boxed::Box<
            dyn ::core::future::Future<
                    Output = ::core::result::Result<#root::tool::ToolOutput, #root::tool::ToolError>,
                > + ::core::marker::Send,
        >>
    }
}

/// `Tool::call`.
fn call(model: &Model<'_>, target: &Target<'_>) -> TokenStream {
    let (root, ident) = (&model.root, model.ident());
    let private = root.private(&quote!(tool));
    let variables: Vec<Ident> =
        (0..model.parameters.len()).map(|position| format_ident!("__value{position}")).collect();
    let both = || model.parameters.iter().zip(&variables);
    let fields = both().filter(|(parameter, _)| parameter.context.is_none()).map(|(parameter, variable)| {
        let field = &parameter.ident;
        quote!(#field: #variable)
    });
    let context = both().filter(|(parameter, _)| parameter.context.is_some()).map(|(parameter, variable)| {
        let ty = &parameter.ty;
        // In the words of `requirements`, so that an error about the type is said once.
        let given = at(ty.span(), quote!(<#ty as #root::tool::FromToolContext>));
        quote_spanned!(ty.span()=> let #variable = #given::from_context(&__context)?;)
    });
    let arguments = arguments_ident(target);
    let asynchronous = model.function.sig.asyncness.is_some();
    let waiting = asynchronous.then(|| quote!(.await));
    let (service, called) = match target.service {
        None => (None, quote!(#ident(#(#variables),*) #waiting)),
        Some(ty) => (
            Some(quote!(let __service = ::core::clone::Clone::clone(&self.0);)),
            quote!(<#ty>::#ident(&*__service, #(#variables),*) #waiting),
        ),
    };
    // What is wrong with an answer is shown at its type.
    let output = match &model.function.sig.output {
        ReturnType::Default => ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    let shown = at(output, private.clone());
    let answer = match (model.streams(), target.service.is_some()) {
        (true, true) => owned_stream(output, &shown, &called),
        (streams, _) => {
            let made = if streams { stream(output, &shown) } else { value(output, &shown) };
            let answer = quote!(match #called { __returned => #made });
            match asynchronous {
                true => answer,
                false => quote!(#private::blocking(move || #answer).await),
            }
        }
    };
    let future = future(root);
    // An error about the future, such as that it cannot go to another thread, is shown at the function's name.
    let pinned = quote_spanned!(ident.span()=> ::std::boxed::Box::pin);
    quote! {
        fn call(
            &self,
            __context: #root::tool::ToolContext,
            __arguments: #root::tool::ToolArguments,
        ) -> #future {
            #service
            #pinned(async move {
                let #arguments { #(#fields),* } = __arguments.read()?;
                #(#context)*
                #answer
            })
        }
    }
}

/// The tool's answer of what the function returned.
fn value(span: Span, private: &TokenStream) -> TokenStream {
    quote_spanned!(span=> (&&#private::returned(&__returned)).kind().output(__returned))
}

/// The same for a stream that owns all that it needs.
fn stream(span: Span, private: &TokenStream) -> TokenStream {
    quote_spanned! {span=> {
        let __stream = (&&#private::returned(&__returned)).kind().value(__returned)?;
        let __kind = (&&#private::items_of(&__stream)).kind();
        ::core::result::Result::Ok(#private::stream(__stream, move |__item| __kind.value(__item)))
    }}
}

/// The same for one that may borrow from its service.
fn owned_stream(span: Span, private: &TokenStream, called: &TokenStream) -> TokenStream {
    quote_spanned! {span=>
        ::core::result::Result::Ok(#private::owned_stream(move |__door| async move {
            match #called {
                __returned => match (&&#private::returned(&__returned)).kind().value(__returned) {
                    ::core::result::Result::Ok(__stream) => {
                        let __kind = (&&#private::items_of(&__stream)).kind();
                        #private::forward(__stream, move |__item| __kind.value(__item), __door).await;
                    }
                    ::core::result::Result::Err(__error) => #private::fail(__error, __door).await,
                },
            }
        }))
    }
}
