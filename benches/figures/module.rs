//! The module that figures call, and the model that answers it.

use std::time::Duration;

use dspex::prelude::*;
use dspex::testing::{DelayedLm, InstantLm};

/// Answer the question in one word.
#[dspy_module("dspy.Predict")]
pub struct Answer {
    #[input]
    question: String,
    #[output]
    answer: String,
}

/// What is asked.
pub const QUESTION: &str = "What is the capital of France?";

/// The model's text, in the form that DSPy asks for.
pub const COMPLETION: &str = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]";

/// The inputs of a call.
pub fn inputs() -> AnswerInputs {
    AnswerInputs { question: QUESTION.to_owned() }
}

/// A model in this process that answers at once.
pub fn instant_lm() -> Lm {
    Lm::host(InstantLm::text(COMPLETION))
}

/// The same, this much later.
pub fn delayed_lm(delay: Duration) -> Lm {
    Lm::host(DelayedLm::new(InstantLm::text(COMPLETION), delay))
}
