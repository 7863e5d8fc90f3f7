//! What has to hold between the struct, the arguments and the class. Nothing is generated here, and every error is
//! collected.

use dspex_schema::{Call, Class, Kind, Method, Parameter, Role, Side, check_field_name, closest};
use syn::LitStr;
use syn::ext::IdentExt;

use super::args::{Args, Keyword};
use super::literal;
use super::model::{Field, Model, settings};
use super::{options, setting, tools};
use crate::prelude::*;
use crate::types;

/// Checks everything. Without a class, what can be checked without one.
pub(crate) fn check(model: &Model, args: &Args, class: Option<&Class>, errors: &mut Errors) {
    check_item(model, errors);
    for field in &model.fields {
        if args.options.signature.is_some() {
            // That there are fields at all is the one error.
            break;
        }
        check_markers(field, errors);
        check_attributes(field, errors);
        errors.handle(types::check(&field.ty));
        if let Err(problem) = check_field_name(&field.name, field.side(), class) {
            errors.push(err!(&field.ident, "{problem}"));
        }
    }
    match &args.options.signature {
        Some(signature) => check_no_fields(model, signature, errors),
        None => check_sides(model, errors),
    }
    check_options(model, args, class, errors);
    for keyword in &args.keywords {
        // Also without a class: that a value is no literal can be said anyway.
        if let Some(value) = errors.handle(literal::json(&keyword.value))
            && let Some(class) = class
        {
            errors.handle(check_keyword(keyword, &value, class));
        }
    }
    setting::check_config(args, class, errors);
    if let Some(given) = &args.options.tools {
        tools::check(given, class, errors);
    }
    if let (Some(class), Some(name)) = (class, &args.class)
        && errors.handle(check_class(class, name)).is_some()
    {
        check_required(class, name, args, errors);
    }
}

/// A signature that stands elsewhere leaves nothing to fields.
fn check_no_fields(model: &Model, signature: &options::Signature, errors: &mut Errors) {
    if let Some(field) = model.fields.first() {
        errors.push(err!(
            &field.ident,
            "`{}` has its signature in `signature = {}`; remove the fields, or the argument",
            model.ident(),
            match signature {
                options::Signature::Text(text) => text.to_token_stream(),
                options::Signature::Type(path) => path.to_token_stream(),
            }
        ));
    }
}

/// Checks `execute` and `methods` against the methods of the class.
fn check_options(model: &Model, args: &Args, class: Option<&Class>, errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for method in &args.options.methods {
        let name = method.unraw().to_string();
        if ["call", "create"].contains(&name.as_str()) {
            errors.push(err!(method, "`{}` has `{name}` already; remove it", model.ident()));
        } else if seen.contains(&name) {
            errors.push(err!(method, "`{name}` is given twice; remove one"));
        } else if let Some(class) = class {
            errors.handle(method_of(class, method, &name).and_then(|found| {
                let missing =
                    found.params.iter().find(|parameter| parameter.required && parameter.role != Role::Value);
                match missing {
                    Some(parameter) => Err(err!(
                        method,
                        "`{name}` of `{}` needs `{}`, {}, which cannot cross to Python; remove it",
                        class.name,
                        parameter.name,
                        described(&parameter.role)
                    )),
                    None => Ok(()),
                }
            }));
        }
        seen.push(name);
    }
    if let (Some(execute), Some(class)) = (&args.options.execute, class) {
        errors.handle(method_of(class, execute, &execute.value()).and_then(|found| {
            if let Some(options::Signature::Type(_)) = &args.options.signature {
                // Its inputs are known to the compiler only, which gets the same check.
                return Ok(());
            }
            let inputs: Vec<&str> = match &model.text {
                Some(text) => text.signature.inputs.iter().map(|field| field.name.as_str()).collect(),
                None => model
                    .fields
                    .iter()
                    .filter(|field| field.side() == Side::Input)
                    .map(|field| field.name.as_str())
                    .collect(),
            };
            let missing = found
                .params
                .iter()
                .find(|parameter| parameter.required && !inputs.contains(&parameter.name.as_str()));
            match missing {
                Some(parameter) => {
                    let signature = format!("`{}`", model.ident());
                    Err(err!(execute, "{}", not_an_input(&found.name, class, &parameter.name, &signature)))
                }
                None => Ok(()),
            }
        }));
    }
}

/// That a method needs what the signature does not have.
pub(super) fn not_an_input(method: &str, class: &Class, parameter: &str, signature: &str) -> String {
    format!(
        "`{method}` of `{}` needs `{parameter}`, which is no input of {signature}; add the input, or use \
         `methods({method})`",
        class.name
    )
}

/// The method of the class, or an error that proposes another.
fn method_of<'a>(class: &'a Class, at: &impl ToTokens, name: &str) -> Result<&'a Method> {
    let callable = || class.methods.iter().filter(|method| method.binding != "property");
    if let Some(method) = callable().find(|method| method.name == name) {
        return Ok(method);
    }
    let names: Vec<&str> = callable().map(|method| method.name.as_str()).collect();
    match closest(name, names.iter().copied()) {
        Some(other) => Err(err!(at, "`{}` has no method `{name}`; did you mean `{other}`?", class.name)),
        None => Err(err!(at, "`{}` has no method `{name}`; it has `{}`", class.name, names.join("`, `"))),
    }
}

fn check_item(model: &Model, errors: &mut Errors) {
    let generics = model.generics();
    if !generics.params.is_empty() {
        errors.push(err!(
            &generics.params,
            "`{}` cannot be generic, since DSPy needs one signature; use concrete types",
            model.ident()
        ));
    } else if let Some(clause) = &generics.where_clause {
        errors.push(err!(clause, "`{}` cannot have a where clause; remove it", model.ident()));
    }
    for attr in &model.item.attrs {
        if let Some((name, _)) = settings(attr) {
            errors.push(err!(
                attr,
                "`#[{name}]` on the struct can change the names of fields; put it on a field"
            ));
        }
    }
}

fn check_markers(field: &Field, errors: &mut Errors) {
    for marker in &field.markers {
        if marker.attr.meta.require_path_only().is_err() {
            errors.push(err!(
                &marker.attr,
                "`#[{}]` takes no arguments; describe the field in its doc comment",
                marker.side.as_str()
            ));
        }
    }
    match field.markers.as_slice() {
        [] => errors.push(err!(
            &field.ident,
            "`{}` is neither input nor output; mark it `#[input]` or `#[output]`",
            field.name
        )),
        [_] => {}
        [first, second, ..] if first.side == second.side => {
            errors.push(err!(
                &second.attr,
                "`{}` is marked twice; remove one `#[{}]`",
                field.name,
                first.side.as_str()
            ));
        }
        [_, second, ..] => errors.push(err!(
            &second.attr,
            "`{}` is marked as input and as output; keep one, and use two fields for two values",
            field.name
        )),
    }
}

/// Settings under which serde or schemars would know the field by another name, or not at all.
const RENAMING: &[&str] =
    &["rename", "flatten", "skip", "skip_serializing", "skip_deserializing", "skip_serializing_if"];

fn check_attributes(field: &Field, errors: &mut Errors) {
    for (name, settings) in field.attrs.iter().filter_map(settings) {
        for setting in settings {
            let Some(key) = RENAMING.iter().find(|key| setting.path().is_ident(key)) else { continue };
            let advice = match *key {
                "rename" => "rename the field itself, since its name is its name in DSPy",
                "flatten" => "declare its fields one by one",
                _ => "use an `Option` for a value that may be missing",
            };
            errors.push(err!(
                setting.path(),
                "`{name}({key})` cannot be used on a field of a signature; {advice}"
            ));
        }
    }
}

fn check_sides(model: &Model, errors: &mut Errors) {
    if model.fields.iter().any(|field| field.markers.is_empty()) {
        // A forgotten marker is reported at its field; which side is empty cannot be known before.
        return;
    }
    for side in [Side::Input, Side::Output] {
        let marked = |field: &Field| field.markers.iter().any(|marker| marker.side == side);
        if !model.fields.iter().any(marked) {
            let side = side.as_str();
            errors.push(err!(
                model.ident(),
                "`{}` has no {side}; mark at least one field `#[{side}]`",
                model.ident()
            ));
        }
    }
}

/// Whether the class is one that a signature can be given to and that is called with its inputs.
fn check_class(class: &Class, name: &LitStr) -> Result {
    if class.kind != Kind::Module {
        let kind = class.kind.as_str();
        let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        bail!(
            name,
            "`{}` is {article} {kind}, not a module; use a module such as `dspy.Predict`",
            class.name
        );
    }
    let takes_signature = class.init.iter().any(|parameter| parameter.role == Role::Signature);
    if class.call != Call::Inputs || !takes_signature || !class.outputs.from_signature {
        bail!(
            name,
            "`{}` is not made from a signature, so `#[dspy_module]` cannot type it; build it through `session.dspy()`",
            class.name
        );
    }
    if let Some(missing) = class.call_extra.iter().find(|parameter| parameter.required) {
        bail!(
            name,
            "a call of `{}` needs `{}` beside its inputs, which `#[dspy_module]` cannot give yet; call it through \
             `session.dspy()`",
            class.name,
            missing.name
        );
    }
    Ok(())
}

fn check_keyword(keyword: &Keyword, value: &serde_json::Value, class: &Class) -> Result {
    let Keyword { key, name, value: expr } = keyword;
    let Some(parameter) = class.parameter(name) else {
        if name == "config" {
            bail!(key, "`config` needs settings in parentheses; write `config(top_k = 40)`");
        }
        if class.init_extra {
            return setting::check(keyword, value, class);
        }
        let settable: Vec<&str> = settable(class).map(|parameter| parameter.name.as_str()).collect();
        // Options of the macro are parsed before, so that a near miss arrives here.
        let options = options::NAMES.iter().copied().chain(["crate"]);
        match closest(name, settable.iter().copied().chain(options)) {
            Some(other) => bail!(key, "`{}` takes no keyword `{name}`; did you mean `{other}`?", class.name),
            None if settable.is_empty() => {
                bail!(
                    key,
                    "`{}` takes no keyword `{name}`; it has none that can be given, remove it",
                    class.name
                )
            }
            None => {
                bail!(key, "`{}` takes no keyword `{name}`; it takes `{}`", class.name, settable.join("`, `"))
            }
        }
    };
    if parameter.role != Role::Value {
        bail!(
            key,
            "`{name}` of `{}` is {}, which cannot be written as a literal; remove it",
            class.name,
            described(&parameter.role)
        );
    }
    if !parameter.ty.accepts(value) {
        bail!(expr, "`{name}` of `{}` is `{}`, and `{value}` is not", class.name, parameter.ty);
    }
    Ok(())
}

/// The parameters that a literal can be given for.
fn settable(class: &Class) -> impl Iterator<Item = &Parameter> {
    class.init.iter().filter(|parameter| parameter.role == Role::Value)
}

fn check_required(class: &Class, name: &LitStr, args: &Args, errors: &mut Errors) {
    for parameter in class.init.iter().filter(|parameter| parameter.required) {
        match &parameter.role {
            Role::Signature => {}
            Role::Tools if args.options.tools.is_some() || args.options.tools_lost => {}
            Role::Tools => errors.push(err!(
                name,
                "`{}` needs tools; add `tools(my_tool)`, with functions that have `#[dspex_tool]`",
                class.name
            )),
            Role::Value => {
                if !args.keywords.iter().any(|keyword| keyword.name == parameter.name) {
                    let Parameter { name: missing, ty, .. } = parameter;
                    errors.push(err!(name, "`{}` needs `{missing}`, of type `{ty}`; add `{missing} = ..`", class.name));
                }
            }
            role => errors.push(err!(
                name,
                "`{}` needs `{}`, {}, which `#[dspy_module]` cannot give yet; use `dspy.ChainOfThought`, or build it \
                 through `session.dspy()`",
                class.name,
                parameter.name,
                described(role)
            )),
        }
    }
}

/// A role as it reads in a sentence.
fn described(role: &Role) -> String {
    match role {
        Role::Signature => "the signature, given by the fields".to_owned(),
        Role::Tools => "a list of tools".to_owned(),
        Role::Callback => "a function".to_owned(),
        Role::Module => "a module".to_owned(),
        Role::Lm => "a language model".to_owned(),
        Role::Adapter => "an adapter".to_owned(),
        Role::Embedder => "an embedder".to_owned(),
        Role::Examples => "a list of examples".to_owned(),
        Role::Factory => "a factory".to_owned(),
        Role::HostOnly => "an object of Python".to_owned(),
        other => format!("a `{}`", other.as_str()),
    }
}
