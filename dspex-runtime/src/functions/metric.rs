//! Metrics: how good a prediction is, measured against an example.

use std::collections::BTreeMap;
use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::judge::Judge;

/// How good a prediction is, measured against an example: for `dspy.Evaluate` and the optimizers.
///
/// The first type is that of an example with all its fields, the second that of the prediction's outputs; both may be
/// `serde_json::Value`. DSPy may call a metric twice for one prediction, from several threads at once. Where the function panics, or the types do
/// not fit, DSPy counts a failure: `dspy.Evaluate` gives the example its `failure_score`, 0 if nothing is said, and ends after `max_errors`.
///
/// ```
/// use dspex_runtime::{Judged, Metric};
/// use serde_json::Value;
///
/// let exact = Metric::new(|judged: Judged<Value, Value>| judged.gold.fields["answer"] == judged.prediction["answer"]);
/// ```
#[derive(Clone, Debug)]
pub struct Metric(pub(super) Judge<Score>);

/// What a metric is asked about.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Asked<G, P>", bound(deserialize = "G: Deserialize<'de>, P: Deserialize<'de>"))]
#[non_exhaustive]
pub struct Judged<G, P> {
    /// The example.
    pub gold: Gold<G>,
    /// What the program answered.
    pub prediction: P,
    /// Whether an optimizer collects demonstrations, so that only what is good enough for one should pass.
    pub bootstrapping: bool,
    /// The predictor that feedback is wanted for, where an optimizer asks for one.
    pub predictor: Option<String>,
}

/// An example: all its fields, and which of them are inputs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gold<G> {
    /// The fields.
    pub fields: G,
    /// The names of those that are inputs.
    pub inputs: Vec<String>,
}

#[derive(Deserialize)]
struct Asked<G, P> {
    gold: G,
    inputs: Vec<String>,
    prediction: P,
    trace: bool,
    #[serde(default)]
    predictor: Option<String>,
}

impl<G, P> From<Asked<G, P>> for Judged<G, P> {
    fn from(asked: Asked<G, P>) -> Self {
        let Asked { gold, inputs, prediction, trace, predictor } = asked;
        Self { gold: Gold { fields: gold, inputs }, prediction, bootstrapping: trace, predictor }
    }
}

/// What a metric says: a number, and what an optimizer that reads may learn from it.
///
/// ```
/// use dspex_runtime::Score;
///
/// let plain: Score = 0.5.into();
/// let passed: Score = true.into();
/// let told = Score::new(0.0).feedback("the impact decides the urgency, not the tone").part("urgency", 0.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<String>,
    #[serde(rename = "scores", skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, f64>,
}

impl Score {
    /// A number; DSPy's own metrics give 0 to 1.
    #[must_use]
    pub fn new(score: f64) -> Self {
        Self { score, feedback: None, parts: BTreeMap::new() }
    }

    /// Why, for optimizers that read it, such as GEPA.
    #[must_use]
    pub fn feedback(mut self, text: impl Into<String>) -> Self {
        self.feedback = Some(text.into());
        self
    }

    /// The score of one objective among several.
    #[must_use]
    pub fn part(mut self, objective: impl Into<String>, score: f64) -> Self {
        self.parts.insert(objective.into(), score);
        self
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.score
    }
}

impl From<f64> for Score {
    fn from(score: f64) -> Self {
        Self::new(score)
    }
}

impl From<bool> for Score {
    fn from(passed: bool) -> Self {
        Self::new(if passed { 1.0 } else { 0.0 })
    }
}

const WHAT: &str = "the metric";

impl Metric {
    /// A function that is quick and waits for nothing: it runs on the thread that serves the call.
    pub fn new<G, P, S>(function: impl Fn(Judged<G, P>) -> S + Send + Sync + 'static) -> Self
    where
        G: DeserializeOwned,
        P: DeserializeOwned,
        S: Into<Score>,
    {
        Self(Judge::quick(WHAT, function))
    }

    /// A function that waits for something, such as a module that judges.
    pub fn asynchronous<G, P, S, F>(function: impl Fn(Judged<G, P>) -> F + Send + Sync + 'static) -> Self
    where
        G: DeserializeOwned,
        P: DeserializeOwned,
        S: Into<Score>,
        F: Future<Output = S> + Send + 'static,
    {
        Self(Judge::waiting(WHAT, function))
    }

    /// What it measures, in words.
    #[must_use]
    pub fn describe(self, description: impl Into<String>) -> Self {
        Self(self.0.described_as(description.into()))
    }

    pub(crate) fn described(&self) -> Option<&str> {
        self.0.described()
    }
}
