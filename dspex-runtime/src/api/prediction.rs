//! What a call answers, with what came along.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Deserialize;
use serde_json::Value;

/// DSPy's prediction: the outputs, and what the call used. Reads as its outputs.
#[derive(Clone, Debug, Deserialize)]
pub struct Prediction<O> {
    outputs: O,
    #[serde(default)]
    usage: TokenUsage,
    #[serde(default)]
    completions: Vec<Value>,
}

impl<O> Prediction<O> {
    /// The outputs.
    pub fn into_outputs(self) -> O {
        self.outputs
    }

    /// The outputs.
    pub fn outputs(&self) -> &O {
        &self.outputs
    }

    /// All answers as JSON objects, where several were asked for (`n = 3` and more), the outputs' own among them;
    /// else empty.
    pub fn completions(&self) -> &[Value] {
        &self.completions
    }

    /// The same with other outputs.
    pub(crate) fn try_map<T, E>(self, with: impl FnOnce(O) -> Result<T, E>) -> Result<Prediction<T>, E> {
        Ok(Prediction { outputs: with(self.outputs)?, usage: self.usage, completions: self.completions })
    }

    /// What the language models counted.
    pub fn usage(&self) -> &TokenUsage {
        &self.usage
    }
}

impl<O> Deref for Prediction<O> {
    type Target = O;

    fn deref(&self) -> &O {
        &self.outputs
    }
}

/// Tokens by model, as the models report them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct TokenUsage(BTreeMap<String, BTreeMap<String, Value>>);

impl TokenUsage {
    /// Tokens that all models together read and wrote. 0 where none was reported.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.sum("total_tokens")
    }

    /// Tokens that all models together read.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        self.sum("prompt_tokens")
    }

    /// Tokens that all models together wrote.
    #[must_use]
    pub fn completion_tokens(&self) -> u64 {
        self.sum("completion_tokens")
    }

    /// Each model with its figures, as DSPy's `get_lm_usage()` gives them.
    pub fn by_model(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, Value>)> {
        self.0.iter().map(|(model, figures)| (model.as_str(), figures))
    }

    fn sum(&self, figure: &str) -> u64 {
        self.0.values().filter_map(|figures| figures.get(figure)?.as_u64()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_adds_up_over_models_and_skips_what_was_not_reported() {
        let usage: TokenUsage = serde_json::from_value(serde_json::json!({
            "a": {"total_tokens": 10, "prompt_tokens": 7, "completion_tokens": 3},
            "b": {"total_tokens": 5, "details": {"cached": 1}, "prompt_tokens": null},
        }))
        .unwrap();
        assert_eq!((usage.total_tokens(), usage.prompt_tokens(), usage.completion_tokens()), (15, 7, 3));
    }
}
