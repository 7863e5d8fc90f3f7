//! How a parameter of Python is given in Rust.

use dspex_schema::{Parameter, Role, Type};

use super::{Scope, names};
use crate::rustdoc;

/// What stands for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Value,
    Signature,
    Module,
    Modules,
    Examples,
    /// Instances, each with the inputs of one call.
    Pairs,
    Tools,
    /// A function of the program: the name of its type.
    Function(&'static str),
    /// Nothing can be given: the name of the type without values that stands there where something is required.
    Nothing(&'static str),
}

impl Form {
    /// Whether something required cannot be given.
    pub(super) fn is_placeholder(self) -> bool {
        matches!(self, Self::Nothing(placeholder) if !placeholder.is_empty())
    }
}

/// What stands for a parameter; nothing for an optional one that cannot be given.
pub(super) fn form(parameter: &Parameter) -> Form {
    let placeholder = |name| Form::Nothing(if parameter.required { name } else { "" });
    match parameter.role {
        Role::Value | Role::Other(_) => Form::Value,
        Role::Signature => Form::Signature,
        Role::Module if parameter.name.ends_with('s') || matches!(parameter.ty, Type::List { .. }) => {
            Form::Modules
        }
        Role::Module => Form::Module,
        Role::Examples => Form::Examples,
        Role::Pairs => Form::Pairs,
        Role::Tools => Form::Tools,
        // DSPy's own annotation is the better witness: `normalize` is a switch of `dspy.Embeddings`.
        Role::Callback if matches!(parameter.ty, Type::Bool) => Form::Value,
        Role::Callback if parameter.name == "metric" => Form::Function("Metric"),
        Role::Callback if parameter.name == "reward_fn" => Form::Function("Reward"),
        Role::Embedder => Form::Function("Embedder"),
        _ => placeholder("Unavailable"),
    }
}

/// Why an optional parameter cannot be given.
pub(super) fn reason(parameter: &Parameter) -> &'static str {
    match parameter.role {
        Role::Callback => "a function on objects of Python, which has no form in Rust",
        Role::Lm => "a language model; that of the session or call is used",
        Role::Adapter => "an adapter; that of the session or call is used",
        Role::Factory => "an object that exists only inside Python",
        _ => "of use only inside Python",
    }
}

/// A parameter that can be given, with everything that its text is made of.
pub(super) struct Given<'a> {
    pub(super) parameter: &'a Parameter,
    pub(super) ident: String,
    form: Form,
    /// The type of the Rust parameter.
    pub(super) ty: String,
}

impl<'a> Given<'a> {
    /// None for an optional parameter that cannot be given.
    pub(super) fn new(scope: &Scope<'_>, parameter: &'a Parameter, taken: &[&str]) -> Option<Self> {
        let form = form(parameter);
        let ty = match form {
            Form::Value => value_type(scope, parameter),
            Form::Signature => "impl __b::Into<__b::SignatureSpec>".to_owned(),
            Form::Module => "impl __b::Into<__b::ModuleSpec>".to_owned(),
            Form::Modules => "impl __b::IntoIterator<Item = impl __b::Into<__b::ModuleSpec>>".to_owned(),
            Form::Examples => "impl __b::IntoIterator<Item = __b::Example>".to_owned(),
            Form::Pairs => {
                "impl __b::IntoIterator<Item = (impl __b::Into<__b::ModuleSpec>, impl __b::Serialize)>"
                    .to_owned()
            }
            Form::Tools => "impl __b::IntoTools".to_owned(),
            Form::Function(name) => format!("__b::{name}"),
            Form::Nothing("") => return None,
            Form::Nothing(placeholder) => format!("__b::{placeholder}"),
        };
        Some(Self { parameter, ident: names::ident(&parameter.name, taken), form, ty })
    }

    /// `name: type`, as it stands among parameters.
    pub(super) fn declaration(&self) -> String {
        format!("{}: {}", self.ident, self.ty)
    }

    /// The call that puts the argument into a draft or call. The signature of a class is not one of its arguments.
    pub(super) fn collect(&self, constructor: bool) -> String {
        let (name, ident) = (&self.parameter.name, &self.ident);
        match self.form {
            Form::Value if self.ty.starts_with("impl __b::Into<") => {
                format!(".value({name:?}, {}::into({ident}))", "__b::Into::<__b::String>")
            }
            Form::Value => format!(".value({name:?}, {ident})"),
            Form::Signature if constructor && name == "signature" => format!(".signature({ident})"),
            Form::Signature if constructor => format!(".signature_argument({name:?}, {ident})"),
            Form::Signature => format!(".signature({name:?}, {ident})"),
            Form::Module => format!(".module({name:?}, {ident})"),
            Form::Modules => format!(".modules({name:?}, {ident})"),
            Form::Examples => format!(".examples({name:?}, {ident})"),
            Form::Pairs => format!(".pairs({name:?}, {ident})"),
            Form::Tools => format!(".tools({name:?}, {ident})"),
            Form::Function(_) => format!(".callable({name:?}, {ident})"),
            Form::Nothing(_) => format!(".value({name:?}, match {ident} {{}})"),
        }
    }

    /// A line of a list of parameters.
    pub(super) fn doc_item(&self) -> Option<String> {
        let doc = self.parameter.doc.as_deref()?;
        Some(format!("* `{}`: {}", self.parameter.name, one_line(doc)))
    }

    /// The documentation of a setter.
    pub(super) fn setter_doc(&self) -> String {
        let mut doc = match self.parameter.doc.as_deref() {
            Some(text) => one_line(text),
            None => format!("The argument `{}`.", self.parameter.name),
        };
        if let Some(default) = &self.parameter.default {
            doc += &format!("\n\nDefault in Python: `{}`.", default.describe().replace(['`', '\n'], " "));
        }
        doc
    }
}

/// A docstring's piece in one paragraph: a list or block of it would not survive in a list.
fn one_line(doc: &str) -> String {
    rustdoc(&doc.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn value_type(scope: &Scope<'_>, parameter: &Parameter) -> String {
    // Leaving an argument out says `None` already, unless another value is what leaving it out means.
    let default = parameter.default.as_ref().and_then(|default| default.json());
    let ty = match &parameter.ty {
        Type::Option { of } if !parameter.required && default.is_none_or(serde_json::Value::is_null) => of,
        ty => ty,
    };
    match scope.rust_type(ty) {
        text if text == "::std::string::String" => "impl __b::Into<__b::String>".to_owned(),
        text if text == scope.json() => "impl __b::Serialize".to_owned(),
        text => text,
    }
}
