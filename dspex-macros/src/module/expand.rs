//! The generated code: the struct again, and the items that `dspex-codegen` writes.

use std::sync::Arc;

use dspex_codegen::{
    ExtraOutput, Field as CodegenField, Method, Module, Shared, TextFields, TextOwner, Transform, text_fields,
};
use dspex_schema::{Class, Side, check_field_name};
use serde_json::Map;
use syn::LitStr;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::args::Args;
use super::check::not_an_input;
use super::literal;
use super::model::{Field, Model, settings};
use super::options;
use crate::prelude::*;
use crate::types;

/// Everything that a correct struct expands to.
pub(crate) fn items(model: &Model, args: &Args, class: Option<&Class>) -> TokenStream {
    let item = &model.item;
    let mut module = module(model, args, class);
    module.tools = args.options.tools.as_ref().map(|tools| tools.set(&args.root, class));
    let items = module.items();
    let deprecation = args.class.as_ref().zip(class.and_then(Class::deprecation)).map(|(name, note)| {
        // The warning is about the use of a deprecated constant, at the place where the class is named.
        let constant = Ident::new("DEPRECATED_CLASS", name.span());
        quote! {
            const _: () = {
                #[deprecated(note = #note)]
                const #constant: () = ();
                #constant
            };
        }
    });
    quote! {
        #[allow(dead_code)]
        #item
        #deprecation
        #items
    }
}

/// What an incorrect struct expands to beside its errors: the same items, as far as they can be made without causing
/// errors of their own, so that code which uses them is not reported too.
pub(crate) fn stand_ins(model: &Model, args: &Args, class: Option<Arc<Class>>) -> TokenStream {
    let mut item = model.item.clone();
    item.attrs.retain(|attr| settings(attr).is_none());
    // Of a misspelt class the outputs are probably those of the class that was meant.
    let class = class.or_else(|| crate::index::meant(&args.class.as_ref()?.value()));
    let mut module = module(model, args, class.as_deref());
    let declared: Vec<String> = module.outputs.iter().map(|field| field.name.clone()).collect();
    module.extra_outputs.retain(|extra| !declared.contains(&extra.name));
    let can_be_a_module = model.generics().params.is_empty()
        && model.generics().where_clause.is_none()
        && !model.fields.iter().any(|field| types::is_bound_to_a_thread(&field.ty));
    let items = if can_be_a_module { module.items() } else { module.data_items() };
    quote! {
        #[allow(dead_code)]
        #item
        #items
    }
}

pub(crate) fn module(model: &Model, args: &Args, class: Option<&Class>) -> Module {
    let parameters: Vec<String> = model
        .generics()
        .params
        .iter()
        .map(|parameter| match parameter {
            syn::GenericParam::Type(parameter) => parameter.ident.to_string(),
            syn::GenericParam::Const(parameter) => parameter.ident.to_string(),
            syn::GenericParam::Lifetime(parameter) => parameter.lifetime.ident.to_string(),
        })
        .collect();
    let fields = |side: Side| {
        let of_side =
            |field: &&Field| field.side() == side || field.markers.iter().any(|marker| marker.side == side);
        model
            .fields
            .iter()
            .filter(of_side)
            .filter(|field| !field.mentions(&parameters))
            .map(|field| codegen_field(field, args))
            .collect()
    };
    let vis = model.vis().to_token_stream();
    let (inputs, outputs, types) = match &model.text {
        None => (fields(Side::Input), fields(Side::Output), TokenStream::new()),
        Some(text) => {
            let owner = TextOwner {
                root: &args.root,
                vis: &vis,
                ident: model.ident(),
                span: text.literal.span(),
                attrs: &model.data_attrs,
                conversions: false,
            };
            let TextFields { inputs, outputs, types, .. } = text_fields(&text.signature, &owner);
            (inputs, outputs, types)
        }
    };
    let unchecked = args.class.as_ref().filter(|_| args.options.unchecked.is_some()).map(LitStr::value);
    Module {
        root: args.root.clone(),
        vis,
        ident: model.ident().clone(),
        class: class.map(|class| class.name.clone()).or(unchecked).unwrap_or_default(),
        fingerprint: class.map(|class| class.abi_sha256.clone()),
        instructions: model.instructions.clone(),
        inputs,
        outputs,
        extra_outputs: class.map(extra_outputs).unwrap_or_default(),
        args: arguments(args),
        attrs: model.data_attrs.clone(),
        execute: args.options.execute.as_ref().map(LitStr::value),
        methods: methods(args, class),
        transform: args.options.transform.as_ref().map(|transform| Transform {
            path: transform.path.to_token_stream(),
            ty: transform.ty.to_token_stream(),
            span: transform.path.span(),
        }),
        tools: None,
        types,
        shared: shared(args, class),
    }
}

fn codegen_field(field: &Field, args: &Args) -> CodegenField {
    // Only in a stand-in can a type or a setting be wrong here; neither may cause another error.
    let correct = types::check(&field.ty).is_ok();
    let ty = match correct {
        true => field.ty.to_token_stream(),
        false => args.root.private(&quote!(serde_json::Value)),
    };
    CodegenField {
        ident: field.ident.clone(),
        name: field.name.clone(),
        ty,
        ty_span: field.ty.span(),
        documented: field.documented,
        attrs: field
            .attrs
            .iter()
            .filter(|attr| correct || settings(attr).is_none())
            .map(ToTokens::to_token_stream)
            .collect(),
        cfg: field.cfg.iter().map(ToTokens::to_token_stream).collect(),
    }
}

/// The type that the signature is taken from, and which of its names the class does not allow.
fn shared(args: &Args, class: Option<&Class>) -> Option<Shared> {
    let Some(options::Signature::Type(path)) = &args.options.signature else { return None };
    let mut refused = Vec::new();
    if let Some(class) = class {
        let names = class.reserved.inputs.iter().map(|name| (Side::Input, name));
        let names = names.chain(class.reserved.outputs.iter().map(|name| (Side::Output, name)));
        let names = names.chain(class.outputs.extra.iter().map(|extra| (Side::Output, &extra.name)));
        for (side, name) in names {
            // What no signature may have has been refused where the signature was declared.
            if check_field_name(name, side, None).is_ok()
                && let Err(problem) = check_field_name(name, side, Some(class))
            {
                refused.push((side, name.clone(), problem.to_string()));
            }
        }
    }
    Some(Shared { path: path.to_token_stream(), span: path.span(), refused, required: required(args, class) })
}

/// The inputs that the method of `execute` cannot be called without, and what to say if one is missing.
fn required(args: &Args, class: Option<&Class>) -> Vec<(String, String)> {
    let (Some(execute), Some(class)) = (&args.options.execute, class) else { return Vec::new() };
    let name = execute.value();
    let method = class.methods.iter().find(|method| method.name == name);
    let parameters =
        method.into_iter().flat_map(|method| &method.params).filter(|parameter| parameter.required);
    parameters
        .map(|parameter| {
            (parameter.name.clone(), not_an_input(&name, class, &parameter.name, "the shared signature"))
        })
        .collect()
}

fn methods(args: &Args, class: Option<&Class>) -> Vec<Method> {
    let mut methods: Vec<Method> = Vec::new();
    for ident in &args.options.methods {
        let name = ident.unraw().to_string();
        let schema = class.and_then(|class| class.methods.iter().find(|method| method.name == name)).cloned();
        // With a class, what has no schema has been reported; so has what is there twice.
        let reported =
            ["create", "call"].contains(&name.as_str()) || methods.iter().any(|other| other.name == name);
        if !reported && (class.is_none() || schema.is_some()) {
            methods.push(Method { ident: ident.clone(), name, schema });
        }
    }
    methods
}

fn extra_outputs(class: &Class) -> Vec<ExtraOutput> {
    let extra = class.outputs.extra.iter();
    extra
        .map(|output| ExtraOutput {
            name: output.name.clone(),
            ty: output.ty.clone(),
            doc: output.doc.clone(),
        })
        .collect()
}

/// The keywords as a JSON object. In an order of their own, since the text is part of what identifies an instance.
fn arguments(args: &Args) -> Map<String, serde_json::Value> {
    let mut pairs: Vec<_> = args
        .keywords
        .iter()
        .chain(&args.options.config)
        .filter_map(|keyword| Some((keyword.name.clone(), literal::json(&keyword.value).ok()?)))
        .collect();
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    pairs.into_iter().collect()
}
