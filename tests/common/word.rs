//! A module with types, and a model that answers it: what shows that a worker serves.

use dspex::prelude::*;
use dspex::testing::InstantLm;

/// Answer in one word.
#[dspy_module("dspy.Predict")]
pub struct Word {
    #[input]
    question: String,
    #[output]
    answer: String,
}

/// A model that answers it.
pub fn lm() -> Lm {
    Lm::host(InstantLm::text("[[ ## answer ## ]]\nx\n\n[[ ## completed ## ]]"))
}

/// A typed call goes there and comes back.
pub async fn assert_answers(dspex: &Dspex) {
    let out = Word::call(dspex, WordInputs { question: "?".into() }).await.unwrap();
    assert_eq!(out.answer, "x");
}
