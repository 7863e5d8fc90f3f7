//! Calls: of methods and of functions, as a function of Rust and, where there are optional arguments, a type with setters.

use dspex_schema::{Parameter, Type};

use super::parameter::{Form, Given, form};
use super::writer::Writer;
use super::{Scope, names};

/// A method or a function.
pub(super) struct Callable<'a> {
    /// The name in Python, for documentation.
    pub(super) python: String,
    /// The name in Rust.
    pub(super) ident: String,
    /// Of a method `&self`, of a function the caller.
    pub(super) receiver: &'static str,
    /// The expression that begins the call, without arguments; `{}` is where its result type makes a difference.
    pub(super) begin: Begin<'a>,
    /// The name of the type with setters, if one is needed.
    pub(super) call_type: String,
    pub(super) params: &'a [Parameter],
    pub(super) params_extra: bool,
    pub(super) returns: &'a Type,
    /// The type of the outputs, where it returns a prediction.
    pub(super) outputs: Option<String>,
    pub(super) doc: Option<&'a str>,
}

/// How a call begins.
pub(super) enum Begin<'a> {
    Method(&'a str),
    Function(&'a str),
}

/// Why something cannot be called: a required parameter that cannot be given.
pub(super) fn obstacle(params: &[Parameter]) -> Option<&Parameter> {
    params.iter().find(|parameter| {
        let form = form(parameter);
        form.is_placeholder() || form == Form::Tools
    })
}

impl Callable<'_> {
    /// The function, for an `impl` block or a module, and the type with setters for the module.
    pub(super) fn write(&self, scope: &Scope<'_>) -> (Writer, Option<Writer>) {
        const TAKEN: &[&str] = &["into_call", "keyword", "caller"];
        let given: Vec<_> =
            self.params.iter().filter_map(|parameter| Given::new(scope, parameter, TAKEN)).collect();
        let (required, optional): (Vec<_>, Vec<_>) = given.iter().partition(|given| given.parameter.required);
        let result = self.result(scope);
        let call = format!("__b::Call<{result}>");
        let mut expression = self.begin(&result);
        for given in &required {
            expression += &given.collect(false);
        }
        let own_type = !optional.is_empty() || self.params_extra;

        let mut function = Writer::default();
        function.docstring(self.doc, &format!("Calls Python's `{}`.", self.python));
        let items: Vec<_> = required.iter().filter_map(|given| given.doc_item()).collect();
        if !items.is_empty() {
            function.doc(&format!("\n# Arguments\n\n{}", items.join("\n")));
        }
        let declarations: Vec<_> = std::iter::once(self.receiver.to_owned())
            .chain(required.iter().map(|given| given.declaration()))
            .collect();
        let returned = if own_type { &self.call_type } else { &call };
        let head = format!("pub fn {}({}) -> {returned}", self.ident, declarations.join(", "));
        function.block(head, |body| {
            body.line(if own_type { format!("{}({expression})", self.call_type) } else { expression });
        });
        (function, own_type.then(|| self.setters(&call, &result, &optional)))
    }

    fn setters(&self, call: &str, result: &str, optional: &[&Given<'_>]) -> Writer {
        let name = &self.call_type;
        let mut out = Writer::default();
        out.doc(&format!(
            "A call of `{}` with its optional arguments. It starts when it is awaited.",
            self.python
        ));
        out.line("#[derive(::core::fmt::Debug)]");
        out.line("#[must_use = \"a call starts when it is awaited\"]");
        out.line(format!("pub struct {name}({call});"));
        out.line("");
        out.block(format!("impl {name}"), |body| {
            for given in optional {
                body.doc(&given.setter_doc());
                body.block(
                    format!("pub fn {}(self, {}) -> Self", given.ident, given.declaration()),
                    |body| {
                        body.line(format!("Self(self.0{})", given.collect(false)));
                    },
                );
                body.line("");
            }
            if self.params_extra {
                body.doc("A further keyword argument.");
                body.block("pub fn keyword(self, name: &str, value: impl __b::Serialize) -> Self", |body| {
                    body.line("Self(self.0.value(name, value))");
                });
                body.line("");
            }
            body.doc("The call itself, which has settings such as a deadline.");
            body.block(format!("pub fn into_call(self) -> {call}"), |body| body.line("self.0"));
        });
        out.line("");
        out.block(format!("impl __b::IntoFuture for {name}"), |body| {
            body.line(format!("type Output = __b::Result<{result}>;"));
            body.line(format!("type IntoFuture = __b::CallFuture<{result}>;"));
            body.line("");
            body.block("fn into_future(self) -> Self::IntoFuture", |body| {
                body.line("__b::IntoFuture::into_future(self.0)");
            });
        });
        out
    }

    /// What the call answers.
    fn result(&self, scope: &Scope<'_>) -> String {
        if self.is_prediction() && matches!(self.begin, Begin::Method(_)) {
            format!("__b::Prediction<{}>", self.outputs.as_deref().unwrap_or("__b::Value"))
        } else {
            scope.rust_type(self.returns)
        }
    }

    fn is_prediction(&self) -> bool {
        const PREDICTIONS: [&str; 2] = ["dspy.Prediction", "dspy.evaluate.EvaluationResult"];
        matches!(self.returns, Type::Ref { name } if PREDICTIONS.contains(&name.as_str()))
    }

    fn begin(&self, result: &str) -> String {
        match self.begin {
            Begin::Method(name) if self.is_prediction() => format!("self.0.predict({name:?})"),
            Begin::Method(name) => format!("self.0.method({name:?})"),
            Begin::Function(path) => format!("__b::Call::<{result}>::function(caller, {path:?})"),
        }
    }
}

/// The type with setters of a method.
pub(super) fn call_type(owner: &str, method: &str) -> String {
    names::call_type(owner, method)
}
