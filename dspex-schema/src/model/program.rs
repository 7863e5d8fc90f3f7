//! A program of a team's own: what it takes, what it answers, and the predictors in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Default, lenient};

/// What a call of a program takes and answers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Program {
    /// The parameters of its `forward`; none where it takes anything.
    #[serde(default)]
    pub inputs: Option<Vec<ProgramField>>,
    /// The fields of its prediction; none where nobody can tell.
    #[serde(default)]
    pub outputs: Option<Vec<ProgramField>>,
}

/// A predictor of a program, with its signature.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Predictor {
    /// Its path in the program, such as `answer.predict`.
    pub name: String,
    /// Its signature.
    #[serde(flatten)]
    pub signature: OwnSignature,
}

/// A signature of a team's own, as it is written in Python.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct OwnSignature {
    /// What the model is told to do.
    #[serde(default, deserialize_with = "lenient::text")]
    pub instructions: Option<String>,
    /// What goes in.
    #[serde(default)]
    pub inputs: Vec<ProgramField>,
    /// What comes out.
    #[serde(default)]
    pub outputs: Vec<ProgramField>,
}

/// An input or output of a program or predictor.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ProgramField {
    /// Its name in Python.
    pub name: String,
    /// Its description.
    #[serde(default, deserialize_with = "lenient::text")]
    pub desc: Option<String>,
    /// The JSON Schema of its values; `true` for any.
    #[serde(default = "anything")]
    pub schema: Value,
    /// Why the schema is `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untyped: Option<String>,
    /// Whether it has no default.
    #[serde(default = "yes")]
    pub required: bool,
    /// The value it has when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Default>,
}

fn anything() -> Value {
    Value::Bool(true)
}

fn yes() -> bool {
    true
}
