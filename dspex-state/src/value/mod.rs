//! The values of variables: ten types, strict ones. `true` is no 1, and 3.0 is no integer.

mod convert;
mod element;
mod embedding;
mod encoded;
mod json;
pub(crate) mod tensor;

use std::fmt;

use serde_json::{Map, Value as Json};

pub use convert::{FromVariable, IntoVariable};
pub use element::{Dtype, Element};
pub use embedding::Embedding;
pub use encoded::{DecodeError, Encoded};
pub(crate) use json::{describe, shorten};
pub(crate) use tensor::with_numbers;
pub use tensor::{Tensor, TensorError};

/// The type of a variable, which it keeps for life.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Type {
    /// Text.
    String,
    /// A whole number of 64 bits with its sign.
    Integer,
    /// A finite number in double precision.
    Float,
    /// True or false.
    Boolean,
    /// JSON values in order.
    List,
    /// JSON values by name.
    Dict,
    /// Numbers in a box of any number of dimensions.
    Tensor,
    /// A vector of numbers in single precision.
    Embedding,
    /// One of some texts.
    Choice,
    /// The dotted path of a DSPy module's class.
    Module,
}

impl Type {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::String,
        Self::Integer,
        Self::Float,
        Self::Boolean,
        Self::List,
        Self::Dict,
        Self::Tensor,
        Self::Embedding,
        Self::Choice,
        Self::Module,
    ];

    /// Its name, as in `"float"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Dict => "dict",
            Self::Tensor => "tensor",
            Self::Embedding => "embedding",
            Self::Choice => "choice",
            Self::Module => "module",
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The value of a variable. Cheap to clone for tensors and embeddings, whose numbers are shared.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// JSON values in order.
    List(Vec<Json>),
    /// JSON values by name.
    Dict(Map<String, Json>),
    /// Numbers in a box.
    Tensor(Tensor),
    /// A vector.
    Embedding(Embedding),
    /// One of some texts.
    Choice(String),
    /// The dotted path of a class.
    Module(String),
}

impl Value {
    /// What type it is of.
    #[must_use]
    pub fn kind(&self) -> Type {
        match self {
            Self::String(_) => Type::String,
            Self::Integer(_) => Type::Integer,
            Self::Float(_) => Type::Float,
            Self::Boolean(_) => Type::Boolean,
            Self::List(_) => Type::List,
            Self::Dict(_) => Type::Dict,
            Self::Tensor(_) => Type::Tensor,
            Self::Embedding(_) => Type::Embedding,
            Self::Choice(_) => Type::Choice,
            Self::Module(_) => Type::Module,
        }
    }

    /// About how many bytes it takes in a store; quotas count these.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::String(text) | Self::Choice(text) | Self::Module(text) => text.len(),
            Self::Integer(_) | Self::Float(_) => 8,
            Self::Boolean(_) => 1,
            Self::List(items) => items.iter().map(json::size).sum::<usize>() + 2,
            Self::Dict(entries) => {
                entries.iter().map(|(key, value)| key.len() + 4 + json::size(value)).sum::<usize>() + 2
            }
            Self::Tensor(tensor) => tensor.as_bytes().len(),
            Self::Embedding(embedding) => 4 * embedding.dimensions(),
        }
    }
}

/// A value that is not of the type that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}{}, found {found}", at(.path))]
pub struct Mismatch {
    /// What was wanted.
    pub expected: String,
    /// What was there, shortened.
    pub found: String,
    /// Where in the value, as `[1].name`; empty for the value itself.
    pub path: String,
}

impl Mismatch {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into(), path: String::new() }
    }

    pub(crate) fn at(mut self, path: &str) -> Self {
        self.path.insert_str(0, path);
        self
    }
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at {path}") }
}

#[cfg(any(test, feature = "conformance"))]
#[allow(clippy::unwrap_used, reason = "only tests use it")]
pub(crate) mod testing {
    use proptest::prelude::*;

    use super::*;

    /// Any value.
    pub(crate) fn values() -> impl Strategy<Value = Value> {
        let json = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            (-1e300_f64..1e300).prop_map(Json::from),
            ".{0,12}".prop_map(Json::from),
        ];
        let nested = json.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(".{0,5}", inner, 0..4)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        });
        prop_oneof![
            ".{0,40}".prop_map(Value::String),
            any::<i64>().prop_map(Value::Integer),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
            any::<bool>().prop_map(Value::Boolean),
            prop::collection::vec(nested.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map(".{0,5}", nested, 0..5)
                .prop_map(|entries| Value::Dict(entries.into_iter().collect())),
            (0_usize..4, 0_usize..4).prop_flat_map(|(rows, columns)| {
                let tensor = move |numbers| Tensor::new([rows, columns], numbers).map(Value::Tensor);
                prop::collection::vec(-1e30_f32..1e30, rows * columns)
                    .prop_map(move |numbers| tensor(numbers).unwrap())
            }),
            prop::collection::vec(any::<i64>(), 0..6)
                .prop_map(|numbers| Value::Tensor(Tensor::new([numbers.len()], numbers).unwrap())),
            prop::collection::vec(-1e30_f32..1e30, 0..6).prop_map(|numbers| Value::Embedding(numbers.into())),
            "[a-z]{1,8}".prop_map(Value::Choice),
            "[a-z]{1,8}\\.[A-Z][a-z]{1,8}".prop_map(Value::Module),
        ]
    }
}
