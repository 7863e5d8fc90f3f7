//! The constraints of each type, as data. What a type does not know cannot be said of it: neither in Rust, where the
//! builder has no such method, nor in JSON, where the key is unknown.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pattern;
use crate::value::{Dtype, Type};

/// The constraints of a string.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct StringRules {
    /// The fewest characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u64>,
    /// The most characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// A regular expression that some part of the text must match; `^` and `$` tie it to the ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub pattern: Option<Pattern>,
    /// The only texts.
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
}

/// The constraints of an integer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct IntegerRules {
    /// The smallest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// The distance between values, counted from `min`, or from 0 without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
    /// The only values.
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<i64>>,
}

/// The constraints of a float.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FloatRules {
    /// The smallest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The distance between values, counted from `min`, or from 0 without one; met up to rounding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// The only values.
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<f64>>,
}

/// A boolean has no constraints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BooleanRules {}

/// The constraints of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ListRules {
    /// The fewest items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_items: Option<u64>,
    /// The most items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u64>,
    /// Whether no two items are equal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// What each item is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<Rules>>,
}

/// The constraints of a dict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DictRules {
    /// Keys that have to be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// What each value is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Box<Rules>>,
    /// The fewest entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_items: Option<u64>,
    /// The most entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u64>,
}

/// The constraints of a tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TensorRules {
    /// The size of each dimension; null stands for any size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<Option<u64>>>,
    /// The type of the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<Dtype>,
    /// The smallest number in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest number in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// The constraints of an embedding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EmbeddingRules {
    /// How many numbers there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u64>,
    /// Which of its lengths is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<Norm>,
    /// How far from 1 the length may be; 0.000001 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// The smallest number in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest number in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// A length of a vector that has to be 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Norm {
    /// The sum of the absolute values.
    L1,
    /// The Euclidean length.
    L2,
}

/// The constraints of a choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ChoiceRules {
    /// What there is to choose from.
    #[serde(alias = "enum")]
    pub choices: Vec<String>,
}

/// The constraints of a module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ModuleRules {
    /// The only classes.
    #[serde(alias = "enum", skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
}

/// A type with its constraints. In JSON: `{"type": "float", "constraints": {"min": 0}}`, or `"float"` alone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rules {
    /// Text.
    String(StringRules),
    /// A whole number.
    Integer(IntegerRules),
    /// A number.
    Float(FloatRules),
    /// True or false.
    Boolean(BooleanRules),
    /// JSON values in order.
    List(ListRules),
    /// JSON values by name.
    Dict(DictRules),
    /// Numbers in a box.
    Tensor(TensorRules),
    /// A vector.
    Embedding(EmbeddingRules),
    /// One of some texts.
    Choice(ChoiceRules),
    /// The dotted path of a class.
    Module(ModuleRules),
}

/// Does a thing with the rules of any type.
macro_rules! with_rules {
    ($rules:expr, $inner:ident => $body:expr) => {
        match $rules {
            $crate::spec::Rules::String($inner) => $body,
            $crate::spec::Rules::Integer($inner) => $body,
            $crate::spec::Rules::Float($inner) => $body,
            $crate::spec::Rules::Boolean($inner) => $body,
            $crate::spec::Rules::List($inner) => $body,
            $crate::spec::Rules::Dict($inner) => $body,
            $crate::spec::Rules::Tensor($inner) => $body,
            $crate::spec::Rules::Embedding($inner) => $body,
            $crate::spec::Rules::Choice($inner) => $body,
            $crate::spec::Rules::Module($inner) => $body,
        }
    };
}
pub(crate) use with_rules;

impl Rules {
    /// The type.
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

    /// The type of numbers that a tensor's nested lists become.
    pub(crate) fn dtype(&self) -> Option<Dtype> {
        match self {
            Self::Tensor(rules) => rules.dtype,
            _ => None,
        }
    }
}

impl JsonSchema for Rules {
    fn schema_name() -> Cow<'static, str> {
        "Rules".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<_> = Type::ALL.iter().map(|kind| kind.name()).collect();
        schemars::json_schema!({
            "description": "A type, alone or with its constraints.",
            "anyOf": [
                {"enum": names},
                {
                    "type": "object",
                    "properties": {"type": {"enum": names}, "constraints": {"type": "object"}},
                    "required": ["type"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
