//! What a variable may hold: its type, the type's constraints, and words about it.

mod check;
mod error;
mod json;
mod pattern;
mod rules;
mod supported;
mod typed;
mod validate;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

pub use error::{Invalid, SpecError, Violation};
pub use pattern::Pattern;
pub use rules::{
    BooleanRules, ChoiceRules, DictRules, EmbeddingRules, FloatRules, IntegerRules, ListRules, ModuleRules,
    Norm, Rules, StringRules, TensorRules,
};
pub use supported::{SupportedType, supported_types};
pub use typed::{IntoSpec, VarSpec, kinds};

use crate::value::{IntoVariable, Type, Value};

/// A variable's type with its constraints, its description and metadata: what a [`VarSpec`] builds.
///
/// In JSON: `{"type": "float", "constraints": {"min": 0, "max": 2}, "description": "..", "metadata": {..}}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Spec {
    /// The type and its constraints.
    #[serde(flatten)]
    pub rules: Rules,
    /// What the variable means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whatever the program wants to keep with it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Json>,
}

impl Spec {
    /// A spec from its JSON.
    ///
    /// ```
    /// use dspex_state::Spec;
    /// use serde_json::json;
    ///
    /// let spec = Spec::from_json(json!({"type": "float", "constraints": {"min": 0, "max": 2}}))?;
    /// let error = Spec::from_json(json!({"type": "string", "constraints": {"shape": [2]}})).unwrap_err();
    /// assert!(error.to_string().starts_with("`shape` is a constraint of tensor, not of string"));
    /// # Ok::<(), dspex_state::SpecError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SpecError`] names the part that does not hold.
    pub fn from_json(json: Json) -> Result<Self, SpecError> {
        let Json::Object(mut entries) = json else {
            return Rules::from_json(json).map(Self::from);
        };
        let description = match entries.remove("description") {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) => Some(text),
            Some(other) => return Err(SpecError::malformed("`description`", "a string", &other)),
        };
        let metadata = match entries.remove("metadata") {
            None | Some(Json::Null) => Map::new(),
            Some(Json::Object(entries)) => entries,
            Some(other) => return Err(SpecError::malformed("`metadata`", "a dict", &other)),
        };
        Ok(Self { rules: Rules::from_json(Json::Object(entries))?, description, metadata })
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> Type {
        self.rules.kind()
    }

    /// A value for a variable of this name, if it is of the type and meets the constraints.
    ///
    /// # Errors
    ///
    /// [`Invalid`] names every rule that is broken.
    pub fn accept(&self, variable: &str, value: impl IntoVariable) -> Result<Value, Invalid> {
        let invalid = |violations| Invalid { variable: variable.to_owned(), violations };
        let value = value.into_value(self.kind(), self.rules.dtype()).map_err(|mismatch| {
            let (path, found, expected) = (mismatch.path, mismatch.found, mismatch.expected);
            invalid(vec![Violation { rule: "type".to_owned(), path, found, expected }])
        })?;
        self.rules.validate(&value).map_err(invalid)?;
        Ok(value)
    }
}

impl From<Rules> for Spec {
    fn from(rules: Rules) -> Self {
        Self { rules, description: None, metadata: Map::new() }
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
