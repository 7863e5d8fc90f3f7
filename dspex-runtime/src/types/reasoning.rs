//! `dspy.Reasoning`.

use serde::{Deserialize, Serialize};

use super::json_schema;

/// How a model came to its answer: `dspy.Reasoning`. As an output it is taken from what a reasoning model says by itself,
/// where there is such a model, and asked for as a field where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reasoning(String);

json_schema!(Reasoning, "string", "reasoning");

impl Reasoning {
    /// Reasoning by its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Reasoning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
