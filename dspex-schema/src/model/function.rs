//! A function.

use serde::{Deserialize, Serialize};

use super::{Parameter, Type, lenient};

/// A public function of DSPy (or of a team's own Python module).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Function {
    /// The public name, such as `dspy.majority`.
    pub name: String,
    /// The name by which Python itself knows it.
    #[serde(default)]
    pub canonical: String,
    /// Every dotted path at which it is exported, the public name among them.
    #[serde(default)]
    pub exports: Vec<String>,
    /// Whether it must be awaited in Python.
    #[serde(default, rename = "async")]
    pub is_async: bool,
    /// Its parameters, in order.
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
