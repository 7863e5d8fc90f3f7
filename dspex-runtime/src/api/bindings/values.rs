//! Values that only DSPy's constructors and methods take: signatures, examples, other instances.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::args::{Args, Part};
use super::{Bound, Draft};
use crate::api::module::spec_of;
use crate::api::{DynInstance, Instance, InstanceSpec, Module, Predict, Signature};
use crate::bridge::Spec;
use crate::error::{Error, Result};

/// A signature: a text (`"question -> answer"`), the fields of a typed module, or the structured form.
///
/// ```
/// use dspex_runtime::bindings::SignatureSpec;
///
/// let from_text = SignatureSpec::from("question, k: int -> answer").instructions("Answer in one word.");
/// let structured = SignatureSpec::from(serde_json::json!({
///     "inputs": [{"name": "question", "schema": {"type": "string"}}],
///     "outputs": [{"name": "score", "schema": {"type": "integer", "minimum": 1, "maximum": 5}}],
/// }));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SignatureSpec(Map<String, Value>);

impl SignatureSpec {
    /// The signature of a typed module: its fields, descriptions and instructions.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`](crate::Error::Schema) where a field's type has no JSON Schema that can serve, or where the module is
    /// a program with predictors of its own.
    pub fn of<M: Module>() -> Result<Self> {
        let spec = spec_of::<M>()?;
        if !M::TAKES_SIGNATURE {
            return Err(Error::Schema {
                module: M::definition().name.to_owned(),
                problem: "it is a program of its own, with a signature for each of its predictors".to_owned(),
            });
        }
        Ok(Self::from(document_of(&spec).get("signature").cloned().unwrap_or_default()))
    }

    /// A signature that is a type: `#[derive(Signature)]`, or one of a team's own in Python.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`](crate::Error::Schema) where a field's type has no JSON Schema that can serve.
    pub fn of_type<S: Signature + 'static>() -> Result<Self> {
        Self::of::<Predict<S>>()
    }

    /// What the model is told to do; without it, DSPy writes a sentence of its own.
    #[must_use]
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.0.insert("instructions".to_owned(), Value::String(instructions.into()));
        self
    }

    pub(crate) fn into_document(self) -> Value {
        Value::Object(self.0)
    }
}

impl From<&str> for SignatureSpec {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for SignatureSpec {
    fn from(text: String) -> Self {
        Self(Map::from_iter([("text".to_owned(), Value::String(text))]))
    }
}

/// The structured form: `{"name", "instructions", "inputs": [{"name", "desc", "schema"}], "outputs": [..]}` with JSON Schemas, or
/// `{"text", "instructions"}`. What is wrong with it is told when an instance is created.
impl From<Value> for SignatureSpec {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(map) => Self(map),
            other => Self(Map::from_iter([("text".to_owned(), other)])),
        }
    }
}

impl From<&Self> for SignatureSpec {
    fn from(other: &Self) -> Self {
        other.clone()
    }
}

/// DSPy's example: fields, and which of them are inputs.
///
/// ```
/// use dspex_runtime::bindings::Example;
///
/// let example = Example::new().input("question", "2 + 2").field("answer", 4);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Example {
    fields: Args,
    inputs: Vec<String>,
}

impl Example {
    /// An example without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field that is an input.
    pub fn input<T: Serialize>(mut self, name: impl Into<String>, value: T) -> Self {
        let name = name.into();
        self.fields.value(&name, &value);
        if !self.inputs.contains(&name) {
            self.inputs.push(name);
        }
        self
    }

    /// Adds a field that is no input: a label, an expected answer.
    pub fn field<T: Serialize>(mut self, name: &str, value: T) -> Self {
        self.fields.value(name, &value);
        self
    }

    pub(crate) fn into_part(self) -> Part {
        let Part { document, functions, problem } = self.fields.into_part();
        Part { document: json!({"fields": document, "inputs": self.inputs}), functions, problem }
    }
}

/// A module as an argument for another one, or for an optimizer: the spec of which a worker builds it.
#[derive(Clone, Debug)]
pub struct ModuleSpec(Part);

impl ModuleSpec {
    /// The spec of a typed module.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`](crate::Error::Schema) where a field's type has no JSON Schema that can serve.
    pub fn of<M: Module>() -> Result<Self> {
        Ok(Self::of_spec(&*spec_of::<M>()?))
    }

    fn of_spec(spec: &Spec) -> Self {
        let functions = (*spec.functions).clone();
        Self(Part { document: document_of(spec), functions, problem: None })
    }

    pub(crate) fn into_part(self) -> Part {
        self.0
    }
}

impl From<Draft> for ModuleSpec {
    fn from(draft: Draft) -> Self {
        Self(draft.into_part())
    }
}

impl From<InstanceSpec> for ModuleSpec {
    fn from(spec: InstanceSpec) -> Self {
        Self(spec.into_part())
    }
}

impl From<&Bound> for ModuleSpec {
    fn from(bound: &Bound) -> Self {
        Self::of_spec(bound.spec())
    }
}

impl From<&DynInstance> for ModuleSpec {
    fn from(instance: &DynInstance) -> Self {
        Self::of_spec(instance.spec())
    }
}

impl<M: Module> From<&Instance<M>> for ModuleSpec {
    fn from(instance: &Instance<M>) -> Self {
        Self::of_spec(instance.spec())
    }
}

/// The document of a spec, which is JSON because it was written as such.
fn document_of(spec: &Spec) -> Value {
    serde_json::from_slice(&spec.json).unwrap_or_default()
}

/// An object that only exists inside Python, such as a language model given as an argument. It has no values: what requires
/// one can be named and not made.
#[derive(Clone, Copy, Debug)]
pub enum Unavailable {}
