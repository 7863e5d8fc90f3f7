//! A class: a type for its drafts, and one for its instances.

use dspex_schema::{Call, Class, Kind, Type};

use super::method::{Begin, Callable, call_type, obstacle};
use super::parameter::{Form, Given, form, reason};
use super::program::{self, Program};
use super::tree::Tree;
use super::writer::Writer;
use super::{Scope, names};
use crate::schema::SchemaTypes;

/// Names that the type of a draft has for itself.
const DRAFT: &[&str] = &["new", "create", "call", "keyword", "state"];
/// Names that the type of an instance has for itself.
const INSTANCE: &[&str] = &["execute", "execute_as", "bound", "clone"];
/// Ways to call a module, for which `execute` stands.
const CALLS: &[&str] = &["__call__", "acall", "forward", "aforward"];

/// Writes a class.
pub(super) fn write(scope: &Scope<'_>, class: &Class, tree: &mut Tree, types: &mut SchemaTypes) {
    let ident = tree.ident(&class.name);
    let program = program::program(class, &ident, types);
    let mut out = Writer::default();
    draft(scope, class, &ident, &program, &mut out);
    program.implementation(class, &ident, &mut out);
    out.line("");
    instance(scope, class, &ident, &program, &mut out);
    tree.add(&class.name, out.into_text());
    tree.export(&class.name, &class.canonical, &class.exports, &["", "Instance"]);
}

/// The names of the types that a class is written as, so that no other type takes one.
pub(super) fn idents(class: &Class, ident: &str) -> Vec<String> {
    if class.signature.is_some() {
        return vec![ident.to_owned()];
    }
    let methods = class.methods.iter().map(|method| call_type(ident, &method.name));
    let own = [call_type(ident, "execute"), format!("{ident}Instance"), ident.to_owned()];
    // A program's `Outputs` are made with the other types, so that theirs is a name like any.
    let outputs = (!class.outputs.extra.is_empty()).then(|| format!("{ident}Outputs"));
    own.into_iter().chain(methods).chain(outputs).collect()
}

fn draft(scope: &Scope<'_>, class: &Class, ident: &str, program: &Program, out: &mut Writer) {
    let given: Vec<_> = class.init.iter().filter_map(|p| Given::new(scope, p, DRAFT)).collect();
    let (required, optional): (Vec<_>, Vec<_>) = given.iter().partition(|given| given.parameter.required);

    out.docstring(class.doc.as_deref(), &format!("Python's class `{}`.", class.name));
    out.doc(&format!("\n{}", notes(class)));
    for note in &program.notes {
        out.doc(&format!("\n{note}"));
    }
    out.line("#[derive(::core::clone::Clone, ::core::fmt::Debug)]");
    out.line("#[must_use = \"nothing happens before `create`\"]");
    if let Some(note) = class.deprecation() {
        out.line(format!("#[deprecated(note = {note:?})]"));
    }
    for attribute in scope.bindings.attributes.get(&class.name).into_iter().flatten() {
        out.line(attribute);
    }
    out.line(format!("pub struct {ident}(__b::Draft);"));
    out.line("");
    out.block(format!("impl {ident}"), |body| {
        body.doc(if required.is_empty() {
            "An instance with the defaults of DSPy."
        } else {
            "An instance with what its constructor requires."
        });
        let items: Vec<_> = required.iter().filter_map(|given| given.doc_item()).collect();
        if !items.is_empty() {
            body.doc(&format!("\n# Arguments\n\n{}", items.join("\n")));
        }
        let declarations: Vec<_> = required.iter().map(|given| given.declaration()).collect();
        body.block(format!("pub fn new({}) -> Self", declarations.join(", ")), |body| {
            let begin = format!("__b::Draft::new({:?}, {:?})", class.name, class.abi_sha256);
            // What has no values cannot be put anywhere; taking it is all.
            match required.iter().find(|given| form(given.parameter).is_placeholder()) {
                Some(obstacle) => body.line(format!("match {} {{}}", obstacle.ident)),
                None => {
                    let collected: String = required.iter().map(|given| given.collect(true)).collect();
                    body.line(format!("Self({begin}{collected})"));
                }
            }
        });
        for given in &optional {
            body.line("");
            body.doc(&given.setter_doc());
            body.block(format!("pub fn {}(self, {}) -> Self", given.ident, given.declaration()), |body| {
                body.line(format!("Self(self.0{})", given.collect(true)));
            });
        }
        if class.init_extra {
            body.line("");
            body.doc("A further keyword argument of the constructor.");
            body.block("pub fn keyword(self, name: &str, value: impl __b::Serialize) -> Self", |body| {
                body.line("Self(self.0.value(name, value))");
            });
        }
        if class.kind == Kind::Module {
            body.line("");
            body.doc("What the instance has learned, as `dump_state` or an optimizer's `compile` gave it.");
            body.block("pub fn state(self, state: impl __b::Into<__b::Value>) -> Self", |body| {
                body.line("Self(self.0.state(__b::Into::into(state)))");
            });
        }
        body.line("");
        body.doc(
            "Has a worker build the instance, and binds it to a session.\n\n# Errors\n\n\
             If an argument or the signature does not hold, the constructor raises, or the worker runs another DSPy.",
        );
        let head = format!("pub async fn create(self, session: &__b::Session) -> __b::Result<{ident}Instance>");
        body.block(head, |body| body.line(format!("self.0.create(session).await.map({ident}Instance)")));
        program.call(class, body);
    });
    if class.kind == Kind::Module {
        out.line("");
        out.block(format!("impl __b::From<{ident}> for __b::ModuleSpec"), |body| {
            body.block(format!("fn from(draft: {ident}) -> Self"), |body| {
                body.line("__b::From::from(draft.0)")
            });
        });
        out.line("");
        out.block(format!("impl __b::From<&{ident}Instance> for __b::ModuleSpec"), |body| {
            body.block(format!("fn from(instance: &{ident}Instance) -> Self"), |body| {
                body.line("__b::From::from(&instance.0)");
            });
        });
    }
}

fn instance(scope: &Scope<'_>, class: &Class, ident: &str, program: &Program, out: &mut Writer) {
    let mut call_types = Vec::new();
    out.doc(&format!("An instance of [`{ident}`] in a session. It is data: cheap to clone, and no worker's loss touches it."));
    out.line("#[derive(::core::clone::Clone, ::core::fmt::Debug)]");
    out.line(format!("pub struct {ident}Instance(__b::Bound);"));
    out.line("");
    let own = own_arguments(class, program);
    let outputs = own.then(|| outputs(scope, class, ident)).flatten();
    // A module answers with a prediction, whether its source says so or not.
    let prediction = Type::Ref { name: "dspy.Prediction".to_owned() };
    out.block(format!("impl {ident}Instance"), |body| {
        if own {
            let callable = Callable {
                python: class.name.clone(),
                ident: "execute".to_owned(),
                receiver: "&self",
                begin: Begin::Method(""),
                call_type: call_type(ident, "execute"),
                params: &class.call_extra,
                params_extra: class.call_open,
                returns: if class.kind == Kind::Module { &prediction } else { &class.call_returns },
                outputs: outputs.as_ref().map(|_| format!("{ident}Outputs")),
                doc: Some("Calls the instance."),
            };
            let (function, call_type) = callable.write(scope);
            body.lines(&function.into_text());
            body.line("");
            call_types.extend(call_type);
        } else if class.call != Call::None && obstacle(&class.call_extra).is_none() {
            execute(class, program, body);
        }
        for method in &class.methods {
            let is_call = class.kind == Kind::Module && CALLS.contains(&method.name.as_str());
            if is_call || obstacle(&method.params).is_some() || method.binding == "property" {
                continue;
            }
            let callable = Callable {
                python: format!("{}.{}", class.name, method.name),
                ident: names::ident(&method.name, INSTANCE),
                receiver: "&self",
                begin: Begin::Method(&method.name),
                call_type: call_type(ident, &method.name),
                params: &method.params,
                params_extra: method.params_extra,
                returns: &method.returns,
                outputs: None,
                doc: method.doc.as_deref(),
            };
            let (function, call_type) = callable.write(scope);
            body.lines(&function.into_text());
            body.line("");
            call_types.extend(call_type);
        }
        body.doc("The instance without its class's methods: its session, and the address of its spec.");
        body.block("pub fn bound(&self) -> &__b::Bound", |body| body.line("&self.0"));
    });
    for text in call_types.into_iter().chain(outputs) {
        out.line("");
        out.lines(&text.into_text());
    }
}

/// Whether a call takes arguments that are known one by one, and can be given.
fn own_arguments(class: &Class, program: &Program) -> bool {
    class.call == Call::Args && program.inputs.is_none() && obstacle(&class.call_extra).is_none()
}

/// The type of what a call with arguments of its own answers, where its fields are known.
fn outputs(scope: &Scope<'_>, class: &Class, ident: &str) -> Option<Writer> {
    if class.outputs.extra.is_empty() || class.outputs.from_signature {
        return None;
    }
    let mut out = Writer::default();
    let root = scope.bindings.root.path();
    out.doc(&format!("What a call of [`{ident}Instance`] answers."));
    let serde = format!("{root}::__private::serde");
    out.line(format!(
        "#[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq, {serde}::Serialize, {serde}::Deserialize)]"
    ));
    out.line(format!("#[serde(crate = {serde:?})]"));
    out.block(format!("pub struct {ident}Outputs"), |body| {
        for output in &class.outputs.extra {
            body.docstring(output.doc.as_deref(), &format!("The output `{}`.", output.name));
            body.line(format!("pub {}: {},", names::ident(&output.name, &[]), scope.rust_type(&output.ty)));
        }
    });
    Some(out)
}

/// The call of the instance itself.
fn execute(class: &Class, program: &Program, body: &mut Writer) {
    let what = match &program.inputs {
        Some(_) => "what its `forward` takes",
        None => "the inputs of its signature as the fields of one value",
    };
    let mut doc = format!("Calls the module, with {what}.");
    if program.inputs.is_none() && !class.call_extra.is_empty() {
        let names: Vec<_> = class.call_extra.iter().map(|extra| format!("`{}`", extra.name)).collect();
        doc += &format!("\n\nBesides, it takes {}.", names.join(", "));
    }
    if !class.outputs.extra.is_empty() {
        let names: Vec<_> = class.outputs.extra.iter().map(|extra| format!("`{}`", extra.name)).collect();
        doc += &format!("\n\nThe class adds {} to the outputs of its signature.", names.join(", "));
    }
    body.doc(&doc);
    let inputs = match &program.inputs {
        Some(ident) => ident.to_string(),
        None => "impl __b::Serialize".to_owned(),
    };
    let outputs = match &program.outputs {
        Some(ident) => ident.to_string(),
        None => "__b::Value".to_owned(),
    };
    body.block(
        format!("pub fn execute(&self, inputs: {inputs}) -> __b::Call<__b::Prediction<{outputs}>>"),
        |body| body.line("self.0.execute(inputs)"),
    );
    body.line("");
    body.doc("As `execute`, with the outputs as a type of yours.");
    body.block(
        format!(
            "pub fn execute_as<O: __b::DeserializeOwned + __b::Send + 'static>(&self, inputs: {inputs}) -> \
             __b::Call<__b::Prediction<O>>"
        ),
        |body| body.line("self.0.execute(inputs)"),
    );
    body.line("");
}

/// What a person should know who uses the class from Rust.
fn notes(class: &Class) -> String {
    let mut lines =
        vec![format!("Python: `{}`, a class of the kind \"{}\".", class.name, class.kind.as_str())];
    if class.flags.iter().any(|flag| flag == "experimental") {
        lines.push("DSPy calls it experimental: it may change without notice.".to_owned());
    }
    if !class.requires.is_empty() {
        lines.push(format!("It needs {} in the worker's environment.", class.requires.join(", ")));
    }
    for parameter in &class.init {
        match form(parameter) {
            Form::Nothing("") => {
                lines.push(format!("Left out: `{}`, {}.", parameter.name, reason(parameter)));
            }
            Form::Nothing(_) => lines.push(format!(
                "It cannot be created yet: `{}` is required, and it is {}.",
                parameter.name,
                reason(parameter)
            )),
            Form::Tools => lines.push(format!(
                "`{}` are `tools![..]`, those that a session has now (`&session`), or none (`[]`).",
                parameter.name
            )),
            _ => {}
        }
    }
    if let (true, Some(parameter)) = (class.call == Call::Args, obstacle(&class.call_extra)) {
        lines.push(format!(
            "It cannot be called yet: `{}` is required, and it is {}.",
            parameter.name,
            reason(parameter)
        ));
    }
    for method in &class.methods {
        if let Some(parameter) = obstacle(&method.params) {
            let (name, why) = (&method.name, reason(parameter));
            lines.push(format!("The method `{name}` is left out: it requires `{}`, {why}.", parameter.name));
        }
    }
    lines.join("\n\n")
}
