//! A module and a model that gives back what it is asked, so that each call knows whether the answer is its own.

use std::time::Duration;

use dspex::prelude::*;

/// Answer the question.
#[dspy_module("dspy.Predict")]
pub struct Ask {
    #[input]
    pub question: String,
    #[output]
    pub answer: String,
}

/// A model that gives the question back as the answer, after a while.
pub struct Parrot(pub Duration);

impl LanguageModel for Parrot {
    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        if !self.0.is_zero() {
            tokio::time::sleep(self.0).await;
        }
        let prompt = request.last_user_text();
        let question = prompt.rsplit_once("[[ ## question ## ]]\n").map_or("", |(_, rest)| rest);
        let question = question.lines().next().unwrap_or_default();
        Ok(LmResponse::text(format!("[[ ## answer ## ]]\n{question}\n\n[[ ## completed ## ]]")))
    }
}
