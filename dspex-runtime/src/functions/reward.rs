//! Rewards: how good an attempt is.

use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::host::{Failure, read};

type Run = dyn Fn(&[u8]) -> BoxFuture<'static, Result<f64, Failure>> + Send + Sync;

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
#[derive(Clone)]
pub struct Reward {
    run: Arc<Run>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Attempt<I, O> {
    inputs: I,
    prediction: O,
}

impl Reward {
    /// A function that is quick and waits for nothing: it runs on the thread that serves the call.
    pub fn new<I, O, S>(function: impl Fn(I, O) -> S + Send + Sync + 'static) -> Self
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
        S: Into<f64>,
    {
        Self::of(move |json| {
            let score = read::<Attempt<I, O>>(json, "the reward")
                .map(|attempt| function(attempt.inputs, attempt.prediction).into());
            futures::future::ready(score).boxed()
        })
    }

    /// A function that waits for something, such as another module that judges.
    pub fn asynchronous<I, O, S, F>(function: impl Fn(I, O) -> F + Send + Sync + 'static) -> Self
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
        S: Into<f64>,
        F: Future<Output = S> + Send + 'static,
    {
        Self::of(move |json| match read::<Attempt<I, O>>(json, "the reward") {
            Ok(attempt) => function(attempt.inputs, attempt.prediction).map(|score| Ok(score.into())).boxed(),
            Err(failure) => futures::future::ready(Err(failure)).boxed(),
        })
    }

    fn of(run: impl Fn(&[u8]) -> BoxFuture<'static, Result<f64, Failure>> + Send + Sync + 'static) -> Self {
        Self { run: Arc::new(run), description: None }
    }

    /// What it rewards, in words. `dspy.Refine` shows them to the model that gives advice, which would see the source of a
    /// reward in Python.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    pub(crate) fn described(&self) -> Option<&str> {
        self.description.as_deref()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.run, &other.run)
    }

    pub(super) async fn score(&self, json: &[u8]) -> Result<f64, Failure> {
        (self.run)(json).await
    }
}

impl std::fmt::Debug for Reward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reward").field("description", &self.description).finish_non_exhaustive()
    }
}
