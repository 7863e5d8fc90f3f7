//! What has to hold of a tool. Nothing is generated here, and every error is collected.

use dspex_schema::closest;
use proc_macro2::TokenTree;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Lit, Meta, Type};

use super::bounds::Bounds;
use super::examples::Example;
use super::model::{Model, Parameter, inside, ungrouped};
use crate::prelude::*;
use crate::types;

/// Whether a type can stand beside the function: not beside a method, and not where it would hide one of the language.
pub(crate) fn stands_alone(model: &Model<'_>) -> bool {
    model.receiver.is_none() && !hides_a_type(model)
}

fn hides_a_type(model: &Model<'_>) -> bool {
    PRIMITIVES.iter().any(|name| model.ident() == name)
}

/// Checks a free function.
pub(crate) fn check(model: &Model<'_>, errors: &mut Errors) {
    if let Some(receiver) = &model.receiver {
        errors.push(err!(
            receiver,
            "a method cannot stand alone; put `#[dspex_tools]` on its impl block, and keep `#[dspex_tool]` here"
        ));
        return;
    }
    if hides_a_type(model) {
        let ident = model.ident();
        errors.push(err!(
            ident,
            "a tool is also a type of its name, which would hide the type `{ident}`; rename the function, and say \
             `#[dspex_tool(name = \"{ident}\")]`"
        ));
    }
    check_function(model, errors);
}

/// Checks what functions and methods have in common.
pub(crate) fn check_function(model: &Model<'_>, errors: &mut Errors) {
    check_signature(model, errors);
    check_name(model, errors);
    if model.description.is_none() {
        let ident = model.ident();
        errors.push(err!(
            ident,
            "`{ident}` has no description; write a doc comment that tells the model what it does and when to use it"
        ));
    }
    for parameter in &model.parameters {
        check_parameter(parameter, errors);
    }
    for example in model.options.examples.iter().flat_map(|examples| &examples.0) {
        check_example(example, model, errors);
    }
}

fn check_signature(model: &Model<'_>, errors: &mut Errors) {
    let sig = &model.function.sig;
    if let Some(token) = &sig.constness {
        errors.push(err!(token, "a tool cannot be `const`; remove it"));
    }
    if !sig.safety.to_token_stream().is_empty() {
        errors.push(err!(
            &sig.safety,
            "a tool cannot be `unsafe`, since a model calls it; call that function from a safe one"
        ));
    }
    if let Some(abi) = &sig.abi {
        errors.push(err!(abi, "a tool cannot be `extern`; call that function from one in Rust"));
    }
    if let Some(variadic) = &sig.variadic {
        errors.push(err!(variadic, "a tool cannot be variadic; take a `Vec`"));
    }
    if !sig.generics.params.is_empty() {
        errors.push(err!(
            &sig.generics.params,
            "`{}` cannot be generic, since its schema is one; use concrete types",
            model.ident()
        ));
    } else if let Some(clause) = &sig.generics.where_clause {
        errors.push(err!(clause, "`{}` cannot have a where clause; remove it", model.ident()));
    }
}

fn check_name(model: &Model<'_>, errors: &mut Errors) {
    let Err(problem) = name(&model.name) else { return };
    match &model.options.name {
        Some(given) => errors.push(err!(given, "`{}` cannot be the name of a tool: {problem}", model.name)),
        None => errors.push(err!(
            model.ident(),
            "`{}` cannot be the name of a tool: {problem}; give it one: `#[dspex_tool(name = \"..\")]`",
            model.name
        )),
    }
}

/// What every provider of models accepts as the name of a function.
fn name(name: &str) -> Result<(), &'static str> {
    let begins = |char: char| char.is_ascii_alphabetic() || char == '_';
    let follows = |char: char| begins(char) || char.is_ascii_digit() || char == '-';
    if !name.starts_with(begins) {
        return Err("it begins with a letter from a to z or an underscore");
    }
    if !name.chars().all(follows) {
        return Err("it consists of letters from a to z, digits, underscores and hyphens");
    }
    if name.len() > 64 { Err("it has at most 64 characters") } else { Ok(()) }
}

fn check_parameter(parameter: &Parameter, errors: &mut Errors) {
    let Parameter { ty, options, .. } = parameter;
    if let Some(cfg) = &parameter.cfg {
        errors.push(err!(
            cfg,
            "a parameter of a tool is always there; write two functions, each with its condition"
        ));
    }
    if parameter.ident.is_none() {
        errors
            .push(err!(&parameter.pat, "a parameter of a tool has a name; take the value apart in the body"));
        return;
    }
    let name = parameter.name();
    if let Some(context) = &parameter.context {
        if !matches!(context.meta, Meta::Path(_)) {
            errors.push(err!(context, "`#[ctx]` takes no options; the type says what is given"));
        }
        if let Some(tool) = &parameter.tool {
            errors.push(err!(
                tool,
                "`{name}` is given by the runtime, so it has no default and no range; remove this"
            ));
        }
        if let Type::Reference(reference) = ungrouped(ty) {
            let inner = types::shown(&reference.elem);
            errors.push(err!(ty, "what a context gives is given by value; write `{inner}`"));
        }
        return;
    }
    if let Some(word) = of_context(ty) {
        errors.push(err!(
            ty,
            "`{name}` is a `{word}`, which the runtime gives and no model can; mark it `#[ctx]`"
        ));
        return;
    }
    if errors.handle(types::check_of("an argument", ty)).is_some()
        && let Some(lifetime) = borrowed(ty.to_token_stream())
    {
        errors.push(Error::new(lifetime.span(), "an argument owns its value; borrow only what is `'static`"));
    }
    if let Some(default) = &options.default {
        if parameter.is_optional() {
            errors.push(err!(
                &default.0,
                "`{name}` is an `Option`, which is `None` where it is not given; remove the default, or the `Option`"
            ));
        }
        if let Some(range) = options.range.as_ref().filter(|range| range.excludes(&default.0)) {
            errors.push(err!(&default.0, "the default is outside of `{}`", range.shown()));
        }
    }
    if let Some(primitive) = primitive(parameter.inner()) {
        let refuse = |at: &dyn ToTokens, what: &str| {
            let advice = if primitive == "bool" { "remove it" } else { "use `range`" };
            Error::new_spanned(at.to_token_stream(), format!("a `{primitive}` has no {what}; {advice}"))
        };
        if let Some(length) = &options.length {
            errors.push(refuse(&length.whole, "length"));
        }
        if let Some(pattern) = &options.pattern {
            errors.push(refuse(pattern, "pattern"));
        }
    }
    if let Some(length) = &options.length {
        check_length(length, errors);
    }
}

fn check_length(length: &Bounds, errors: &mut Errors) {
    let negative = length.ends().find(|end| super::bounds::integer(end).is_some_and(|value| value < 0));
    let fraction = length.ends().find(|end| matches!(end, Expr::Lit(ExprLit { lit: Lit::Float(_), .. })));
    if let Some(end) = negative.or(fraction) {
        errors.push(err!(end, "a length is a whole number of at least 0"));
    }
}

fn check_example(example: &Example, model: &Model<'_>, errors: &mut Errors) {
    let function = model.ident();
    if example.callee != *function {
        errors.push(err!(
            &example.callee,
            "an example calls the tool that it is one of; write `{function}(..)`"
        ));
    }
    let names: Vec<String> = model.arguments().map(Parameter::name).collect();
    let mut given: Vec<String> = Vec::new();
    for (ident, _) in &example.arguments {
        let name = ident.unraw().to_string();
        if given.contains(&name) {
            errors.push(err!(ident, "`{name}` is given twice; remove one"));
        } else if model.context().any(|parameter| parameter.name() == name) {
            errors.push(err!(ident, "`{name}` is given by the runtime; remove it from the example"));
        } else if !names.contains(&name) {
            errors.push(match closest(&name, names.iter().map(String::as_str)) {
                Some(other) => err!(ident, "`{function}` takes no `{name}`; did you mean `{other}`?"),
                None => err!(ident, "`{function}` takes no `{name}`; remove it"),
            });
        }
        given.push(name);
    }
    for parameter in model.arguments() {
        let required = !parameter.is_optional() && parameter.options.default.is_none();
        let name = parameter.name();
        if required && !name.is_empty() && !given.contains(&name) {
            errors.push(err!(
                &example.callee,
                "the example does not say `{name}`, which has to be given; add `{name} = ..`"
            ));
        }
    }
}

/// A lifetime in a type that is not that of the program.
fn borrowed(tokens: TokenStream) -> Option<Ident> {
    let mut quoted = false;
    for token in tokens {
        match token {
            TokenTree::Ident(name) if quoted && name != "static" => return Some(name),
            TokenTree::Group(group) => {
                if let Some(found) = borrowed(group.stream()) {
                    return Some(found);
                }
                quoted = false;
            }
            TokenTree::Punct(punct) => quoted = punct.as_char() == '\'',
            _ => quoted = false,
        }
    }
    None
}

/// The name of a type that only a context has.
fn of_context(ty: &Type) -> Option<String> {
    let ty = inside(ty, "Option").unwrap_or(ty);
    let Type::Path(path) = ungrouped(ty) else { return None };
    let last = path.path.segments.last()?;
    let word = last.ident.to_string();
    let known = match word.as_str() {
        // Without parameters it is a type of the user's own, perhaps of a country.
        "State" => !last.arguments.is_empty(),
        "ToolContext" | "Session" | "CancellationToken" | "CallId" | "Dspex" => true,
        _ => false,
    };
    known.then_some(word)
}

/// The name of a type that is a number or a truth value.
fn primitive(ty: &Type) -> Option<String> {
    let Type::Path(path) = ungrouped(ty) else { return None };
    let name = path.path.segments.last()?.ident.to_string();
    (PRIMITIVES.contains(&name.as_str()) && name != "str" && name != "char").then_some(name)
}

const PRIMITIVES: &[&str] = &[
    "bool", "char", "str", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128",
    "usize", "f32", "f64",
];

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_are_those_that_providers_accept() {
        for right in ["a", "_a", "A-1_b", &"a".repeat(64)] {
            assert!(name(right).is_ok(), "{right}");
        }
        for wrong in ["", "1a", "-a", "é", "aé", "a b", "a.b", &"a".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
