//! A parameter of a constructor, method or call, or an output.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Type, lenient, words};

/// A named and typed place: a parameter, or an output that a class adds.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name in Python.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub role: Role,
    /// Whether it has no default.
    #[serde(default)]
    pub required: bool,
    /// Its type.
    #[serde(default, rename = "type")]
    pub ty: Type,
    /// The value it has when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Default>,
    /// What its documentation says.
    #[serde(default, deserialize_with = "lenient::text")]
    pub doc: Option<String>,
}

words! {
    /// What a parameter is for, which decides what Rust can give for it.
    #[derive(Default)]
    pub enum Role {
        /// A plain value that JSON can hold.
        #[default]
        Value = "value",
        /// The signature.
        Signature = "signature",
        /// A list of tools.
        Tools = "tools",
        /// A function, such as a metric.
        Callback = "callback",
        /// An instance of a module.
        Module = "handle:module",
        /// A language model.
        Lm = "handle:lm",
        /// An adapter.
        Adapter = "handle:adapter",
        /// An embedder.
        Embedder = "handle:embedder",
        /// A list of examples.
        Examples = "examples",
        /// A list of pairs: an instance of a module, and the inputs of one of its calls.
        Pairs = "pairs",
        /// A class or function that makes something.
        Factory = "factory",
        /// Something that only makes sense inside Python.
        HostOnly = "host_only",
    }
}

/// A default of a parameter. Only some can be written in JSON; the others say what stands in Python.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Default(Value);

impl Default {
    /// The default itself, if JSON can hold it.
    pub fn json(&self) -> Option<&Value> {
        self.0.get("json")
    }

    /// The default as people write it.
    pub fn describe(&self) -> String {
        match self.json() {
            Some(value) => value.to_string(),
            None => match self.0.as_object().and_then(|map| map.values().next()) {
                Some(Value::String(text)) => text.clone(),
                _ => self.0.to_string(),
            },
        }
    }
}
