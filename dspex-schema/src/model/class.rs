//! A class: how it is constructed, called, and what it adds to a signature.

use serde::{Deserialize, Serialize};

use super::{OwnSignature, Parameter, Predictor, Program, Type, lenient, words};
use crate::Result;

/// A class of DSPy (or of a team's own Python module) as a snapshot describes it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Class {
    /// The version of the document's format, see [`FORMAT`](crate::FORMAT).
    pub format: u32,
    /// The release of DSPy that was introspected.
    #[serde(default)]
    pub dspy: String,
    /// The public name, such as `dspy.ChainOfThought`.
    pub name: String,
    /// The name by which Python itself knows the class, such as `dspy.predict.chain_of_thought.ChainOfThought`.
    #[serde(default)]
    pub canonical: String,
    /// Every dotted path at which the class is exported, the public name among them.
    #[serde(default)]
    pub exports: Vec<String>,
    /// What sort of thing it is.
    pub kind: Kind,
    /// Public names of its base classes.
    #[serde(default)]
    pub bases: Vec<String>,
    /// Markers such as `experimental` and `deprecated`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// What is known about its deprecation, where it is deprecated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
    /// Extras of the `dspy` distribution without which it cannot be used.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Whether calls can be awaited in Python; others run in a thread of the worker.
    #[serde(default, rename = "async")]
    pub is_async: bool,
    /// How it is called once constructed; null in the document if it is not.
    #[serde(default, deserialize_with = "call_or_none")]
    pub call: Call,
    /// The parameters of its constructor, in order.
    #[serde(default)]
    pub init: Vec<Parameter>,
    /// Whether the constructor takes any other keyword as well (as `dspy.Predict` does, for its configuration).
    #[serde(default)]
    pub init_extra: bool,
    /// Keywords that a call takes: all of them, or those in addition to the inputs of the signature.
    #[serde(default)]
    pub call_extra: Vec<Parameter>,
    /// Whether a call takes any other keyword as well.
    #[serde(default)]
    pub call_open: bool,
    /// What a call returns.
    #[serde(default)]
    pub call_returns: Type,
    /// What a call returns.
    #[serde(default)]
    pub outputs: Outputs,
    /// Names that fields and tools must not have with this class.
    #[serde(default)]
    pub reserved: Reserved,
    /// Its public methods.
    #[serde(default)]
    pub methods: Vec<Method>,
    /// The fields of its JSON form, where it is a type such as `dspy.Image`, or a dataclass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Parameter>,
    /// The JSON Schema of its instances, where it is a class of data of a team's own, such as a pydantic model or an enum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Its fields, where it is a signature of a team's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<OwnSignature>,
    /// What a call takes and answers, where it is a program of a team's own that could be built and looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// The predictors of such a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictors: Vec<Predictor>,
    /// Why a program of a team's own could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictors_unknown: Option<String>,
    /// Its docstring.
    #[serde(default, deserialize_with = "lenient::text")]
    pub doc: Option<String>,
    /// Fingerprint of everything a program depends on: names, parameters, types, defaults, outputs.
    #[serde(default)]
    pub abi_sha256: String,
    /// Fingerprint of the docstrings.
    #[serde(default)]
    pub doc_sha256: String,
}

words! {
    /// What sort of thing a class is.
    pub enum Kind {
        /// Something that is called with inputs and answers with a prediction.
        Module = "module",
        /// Improves a module with the help of examples and a metric.
        Optimizer = "optimizer",
        /// Turns a signature into a prompt, and an answer into fields.
        Adapter = "adapter",
        /// The type of a field, such as an image.
        Type = "type",
        /// A client of a language model.
        Lm = "lm",
        /// Measures a module on examples.
        Evaluate = "evaluate",
        /// An exception.
        Error = "error",
    }
}

words! {
    /// How an instance is called. A document that is silent about it describes something that takes inputs.
    #[derive(Default)]
    pub enum Call {
        /// With the inputs of its signature as keywords.
        #[default]
        Inputs = "inputs",
        /// With arguments of its own.
        Args = "args",
        /// Not at all.
        None = "none",
    }
}

/// What DSPy says about a deprecation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Deprecated {
    /// The release that deprecated it.
    pub since: Option<String>,
    /// The release that will remove it.
    pub removal: Option<String>,
    /// What to use instead.
    #[serde(rename = "use")]
    pub instead: Option<String>,
}

/// What a call returns.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Outputs {
    /// Whether the outputs of the signature are among them.
    pub from_signature: bool,
    /// Outputs that the class adds, such as the `reasoning` of `dspy.ChainOfThought`.
    pub extra: Vec<Parameter>,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { from_signature: true, extra: Vec::new() }
    }
}

/// Names that break a class when used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Reserved {
    /// Names that no input may have.
    pub inputs: Vec<String>,
    /// Names that no output may have.
    pub outputs: Vec<String>,
    /// Names that no tool may have.
    pub tools: Vec<String>,
}

/// A public method.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Method {
    /// Its name.
    pub name: String,
    /// `method`, `static`, `class` or `property`.
    #[serde(default)]
    pub binding: String,
    /// Whether it must be awaited in Python.
    #[serde(default, rename = "async")]
    pub is_async: bool,
    /// Its parameters, without `self`.
    #[serde(default)]
    pub params: Vec<Parameter>,
    /// Whether it takes any other keyword as well.
    #[serde(default)]
    pub params_extra: bool,
    /// What it returns.
    #[serde(default)]
    pub returns: Type,
    /// Its docstring.
    #[serde(default, deserialize_with = "lenient::text")]
    pub doc: Option<String>,
}

fn call_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Call, D::Error> {
    Ok(Option::<Call>::deserialize(deserializer)?.unwrap_or(Call::None))
}

impl Class {
    /// Reads a class file. `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) if it is not JSON of this shape,
    /// [`Error::Format`](crate::Error::Format) if it is of another format version.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        crate::index::parse(text, origin, |class: &Self| class.format)
    }

    /// The parameter of the constructor with this name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.init.iter().find(|parameter| parameter.name == name)
    }

    /// A sentence for people who use a deprecated class; `None` if it is not deprecated.
    pub fn deprecation(&self) -> Option<String> {
        let notice = match &self.deprecated {
            Some(notice) => notice.clone(),
            None if self.flags.iter().any(|flag| flag == "deprecated") => Deprecated::default(),
            None => return None,
        };
        let mut text = format!("DSPy deprecates `{}`", self.name);
        if let Some(removal) = &notice.removal {
            text += &format!(" and removes it in {removal}");
        }
        if let Some(instead) = &notice.instead {
            text += &format!("; use `{instead}`");
        }
        Some(text)
    }
}
