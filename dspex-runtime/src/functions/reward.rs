//! Rewards: how good an attempt is.

use std::future::Future;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::judge::Judge;

/// How good an attempt is: a function of a module's inputs and its outputs, for `dspy.BestOfN` and `dspy.Refine`.
///
/// The types of both are the module's own, such as `TriageInputs` and `TriageOutputs`, or `serde_json::Value`. Greater is
/// better. A function that panics, or types that the values do not fit, fail the attempt.
///
/// ```
/// use dspex_runtime::Reward;
/// use serde_json::Value;
///
/// let one_word = Reward::new(|_inputs: Value, outputs: Value| {
///     if outputs["answer"].as_str().is_some_and(|answer| !answer.contains(' ')) { 1.0 } else { 0.0 }
/// })
/// .describe("1.0 if the answer is one word, else 0.0");
/// ```
#[derive(Clone, Debug)]
pub struct Reward(pub(super) Judge<f64>);

#[derive(Deserialize)]
struct Attempt<I, O> {
    inputs: I,
    prediction: O,
}

const WHAT: &str = "the reward";

impl Reward {
    /// A function that is quick and waits for nothing: it runs on the thread that serves the call.
    pub fn new<I, O, S>(function: impl Fn(I, O) -> S + Send + Sync + 'static) -> Self
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
        S: Into<f64>,
    {
        let judge = move |Attempt { inputs, prediction }: Attempt<I, O>| function(inputs, prediction);
        Self(Judge::quick(WHAT, judge))
    }

    /// A function that waits for something, such as another module that judges.
    pub fn asynchronous<I, O, S, F>(function: impl Fn(I, O) -> F + Send + Sync + 'static) -> Self
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
        S: Into<f64>,
        F: Future<Output = S> + Send + 'static,
    {
        let judge = move |Attempt { inputs, prediction }: Attempt<I, O>| function(inputs, prediction);
        Self(Judge::waiting(WHAT, judge))
    }

    /// What it rewards, in words. `dspy.Refine` shows them to the model that gives advice, which would see the source of a
    /// reward in Python.
    #[must_use]
    pub fn describe(self, description: impl Into<String>) -> Self {
        Self(self.0.described_as(description.into()))
    }

    pub(crate) fn described(&self) -> Option<&str> {
        self.0.described()
    }
}
