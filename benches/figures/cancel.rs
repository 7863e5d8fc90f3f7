//! How soon Python stops when nobody waits any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dspex::lm::{LanguageModel, LmError, LmRequest, LmResponse};
use dspex::prelude::*;
use tokio::sync::Notify;

use crate::catalogue::{Figure, Goal, Measured};
use crate::module::{Answer, inputs};
use crate::stats::{quantile, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "cancel_async_ms",
    unit: "ms",
    goal: Goal::Below(10.0),
    method: "The future of a call of dspy.Predict that waits for its model in Python is dropped; from there to the moment when \
             the worker has said that nothing of the call runs any more and its place is free. p99 of 500 calls, one at a time.",
}];

const CALLS: usize = 500;

/// A model that says when it is asked, and never answers.
struct Silent(Arc<Notify>);

impl LanguageModel for Silent {
    async fn complete(&self, _request: LmRequest) -> Result<LmResponse, LmError> {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let asked = Arc::new(Notify::new());
    let dspex = Dspex::builder().workers(1).lm(Lm::host(Silent(asked.clone()))).start().await?;
    let answer = Answer::create(&dspex.session()).await?;
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let mut call = Box::pin(answer.execute(inputs()));
        tokio::select! {
            answered = &mut call => drop(answered.context("it was answered")?),
            () = asked.notified() => {}
        }
        ensure!(dspex.load().in_flight == 1, "the call does not run");
        let begun = Instant::now();
        drop(call);
        while dspex.load().in_flight > 0 {
            ensure!(begun.elapsed() < Duration::from_secs(5), "the call runs on");
            tokio::task::yield_now().await;
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(vec![Measured { name: "cancel_async_ms", value: quantile(&times, 0.99), details: spread(&times, 2) }])
}
