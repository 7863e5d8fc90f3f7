//! `#[dspex_tools]`: methods as tools.

use quote::format_ident;
use syn::ext::IdentExt;
use syn::{Attribute, ImplItem, ImplItemFn, Item, ItemImpl, ReceiverKind, Type};

use super::function::Function;
use super::model::Model;
use super::options::{Options, ServiceOptions};
use super::{HELPERS, check, expand as tool};
use crate::fallback;
use crate::field_type::replace_self;
use crate::prelude::*;

/// Expands the attribute. Errors become `compile_error!`s beside the block.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let root = ServiceOptions::of_arguments(args, &mut errors).root();
    let mut block = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Impl(block)) => block,
        other => {
            let error = match other {
                Ok(item) => err!(&item, "`#[dspex_tools]` goes on the impl block whose methods are tools"),
                Err(error) => error,
            };
            let (item, error) = (fallback::without_helpers(item, HELPERS), error.into_compile_error());
            return quote!(#item #error);
        }
    };
    let methods = methods(&mut block);
    check_block(&block, &methods, &mut errors);
    let service = (*block.self_ty).clone();
    let models: Vec<Model<'_>> = methods
        .iter()
        .map(|(attr, method)| {
            let options = Options::of_attribute(attr, &mut errors);
            if options.root().is_some() {
                errors.push(err!(attr, "`crate` belongs on `#[dspex_tools]`; move it there"));
            }
            let mut model = Model::new(method, options, &mut errors);
            model.root = root.clone();
            check_method(&model, &mut errors);
            check::check_function(&model, &mut errors);
            model
        })
        .collect();
    check_names(&models, &mut errors);
    let uses = uses(&methods);
    match errors.finish(()) {
        Ok(()) => {
            let tools = tools(&root, &service, &block.attrs, &models);
            quote!(#block #uses #tools)
        }
        Err(errors) => {
            let errors = errors.into_compile_error();
            let stand_in = stand_in(&root, &block);
            quote!(#block #uses #stand_in #errors)
        }
    }
}

/// Takes the attributes off the methods that have one, and gives those methods as they were.
fn methods(block: &mut ItemImpl) -> Vec<(Attribute, Function)> {
    let mut methods = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let is_tool =
            |attr: &Attribute| attr.path().segments.last().is_some_and(|last| last.ident == "dspex_tool");
        let Some(position) = method.attrs.iter().position(is_tool) else { continue };
        let attr = method.attrs.remove(position);
        let function = function_of(method);
        method.sig = function.without_helpers().sig;
        // Its types mean the same outside of the block.
        methods.push((attr, function));
    }
    methods
}

fn function_of(method: &ImplItemFn) -> Function {
    Function {
        attrs: method.attrs.clone(),
        vis: method.vis.clone(),
        sig: method.sig.clone(),
        body: TokenStream::new(),
    }
}

fn check_block(block: &ItemImpl, methods: &[(Attribute, Function)], errors: &mut Errors) {
    if let Some((path, _)) = &block.trait_ {
        errors.push(err!(
            path,
            "`#[dspex_tools]` goes on an impl block without a trait; call the trait's method from one there"
        ));
    }
    if !block.generics.params.is_empty() {
        errors.push(err!(
            &block.generics.params,
            "a service cannot be generic, since the schemas of its tools are each one; write the block for a concrete type"
        ));
    }
    if methods.is_empty() {
        errors.push(err!(
            &block.self_ty,
            "there is no method with `#[dspex_tool]` here; mark one, or remove `#[dspex_tools]` (methods that another \
             macro writes are not seen: call it around the whole block)"
        ));
    }
    for item in &block.items {
        if let ImplItem::Fn(method) = item
            && method.sig.ident == "tools"
        {
            errors.push(err!(
                &method.sig.ident,
                "`#[dspex_tools]` makes a method `tools`, which gives the set; rename this one"
            ));
        }
    }
}

fn check_method(model: &Model<'_>, errors: &mut Errors) {
    let ident = model.ident();
    let advice = "a tool is a method with `&self`, since all calls share the service";
    match &model.receiver {
        None => errors
            .push(err!(ident, "`{ident}` takes no `self`; {advice}, or a function outside of the block")),
        Some(receiver) => {
            let shared = matches!(&receiver.kind, ReceiverKind::Reference(_, _, None));
            if !shared {
                errors.push(err!(receiver, "{advice}; use a `Mutex` or an atomic for what changes"));
            }
        }
    }
}

fn check_names(models: &[Model<'_>], errors: &mut Errors) {
    for (position, model) in models.iter().enumerate() {
        if let Some(other) = models[..position].iter().find(|other| other.name == model.name) {
            let (one, two, name) = (other.ident(), model.ident(), &model.name);
            let text = format!("`{one}` and `{two}` are both called `{name}`; give one another name");
            let error = match &model.options.name {
                Some(given) => Error::new_spanned(given, text),
                None => Error::new_spanned(model.ident(), text),
            };
            errors.push(error);
        }
    }
}

/// The attributes of the methods are gone; where they were imported by name, that import is still a use.
fn uses(methods: &[(Attribute, Function)]) -> TokenStream {
    let paths = methods.iter().map(|(attr, _)| attr.path());
    let paths: std::collections::BTreeMap<String, &syn::Path> =
        paths.map(|path| (path.to_token_stream().to_string(), path)).collect();
    let paths = paths.values();
    quote! {
        const _: () = {
            #(#[allow(unused_imports)] use #paths as _;)*
        };
    }
}

/// The method that gives the set, and the types of the tools.
fn tools(
    root: &dspex_codegen::Root,
    service: &Type,
    attrs: &[Attribute],
    models: &[Model<'_>],
) -> TokenStream {
    let private = root.private(&quote!(tool));
    let scope = tool::in_scope(root);
    let conditions: Vec<&Attribute> = attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect();
    let mut tests = TokenStream::new();
    let mut items = TokenStream::new();
    let mut additions = TokenStream::new();
    let mut checks = TokenStream::new();
    for (number, model) in models.iter().enumerate() {
        let tool = format_ident!("__Tool{number}");
        let cfg: Vec<&Attribute> = model.function.attrs_named("cfg").collect();
        let target = tool::Target { tool: &tool, number, service: Some(service) };
        let implementation = replace_self(tool::implementation(model, &target), service);
        items.extend(quote! {
            #(#cfg)*
            const _: () = { #implementation };

            #(#cfg)*
            struct #tool(::std::sync::Arc<#service>);
        });
        additions.extend(quote! {
            #(#cfg)*
            let __tools = #private::with(__tools, #tool(::core::clone::Clone::clone(self)));
        });
        if model.options.examples.is_some() {
            let check = format_ident!("__examples_of_{}", model.ident());
            let name = test_name(service, model.ident());
            checks.extend(quote! {
                #(#cfg)*
                #[cfg(test)]
                #[doc(hidden)]
                fn #check() {
                    #private::check_examples(#tool::__spec(), ::core::option::Option::None);
                }
            });
            tests.extend(quote! {
                #(#conditions)*
                #(#cfg)*
                #[cfg(test)]
                #[::core::prelude::v1::test]
                fn #name() {
                    <#service>::#check();
                }
            });
        }
    }
    let doc = method_doc(models);
    quote! {
        #(#conditions)*
        #[allow(deprecated, non_snake_case, clippy::all, clippy::pedantic, clippy::nursery)]
        const _: () = {
            #scope
            #items

            impl #service {
                #(#[doc = #doc])*
                #[allow(dead_code, unreachable_pub)]
                #[must_use]
                pub fn tools(self: &::std::sync::Arc<Self>) -> #root::tool::ToolSet {
                    let __tools = #root::tool::ToolSet::new();
                    #additions
                    __tools
                }

                #checks
            }
        };
        #tests
    }
}

fn method_doc(models: &[Model<'_>]) -> Vec<String> {
    let names: Vec<String> = models.iter().map(|model| format!("`{}`", model.name)).collect();
    vec![
        format!(" The tools of this service: {}.", names.join(", ")),
        String::new(),
        " Those of one service are the same tools each time, with their limits.".to_owned(),
    ]
}

fn test_name(service: &Type, method: &Ident) -> Ident {
    let service: Vec<String> = service
        .to_token_stream()
        .to_string()
        .split(|char: char| !char.is_alphanumeric() && char != '_')
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect();
    format_ident!("{}_{}_examples_hold", service.join("_"), method.unraw())
}

/// For a block with errors: the method is there, and never runs.
fn stand_in(root: &dspex_codegen::Root, block: &ItemImpl) -> Option<TokenStream> {
    let has_tools =
        block.items.iter().any(|item| matches!(item, ImplItem::Fn(method) if method.sig.ident == "tools"));
    if has_tools || block.trait_.is_some() {
        return None;
    }
    let service = &block.self_ty;
    let (parameters, _, clause) = block.generics.split_for_impl();
    Some(quote! {
        impl #parameters #service #clause {
            #[allow(dead_code, missing_docs, unreachable_pub)]
            pub fn tools(self: &::std::sync::Arc<Self>) -> #root::tool::ToolSet {
                ::core::unreachable!()
            }
        }
    })
}
