//! How soon a new worker is of use.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dspex::prelude::*;

use crate::catalogue::{Figure, Goal, Measured};
use crate::common::worker_pids;
use crate::module::{Answer, inputs, instant_lm};
use crate::process;
use crate::stats::{median, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "zygote_fork_ready_ms",
    unit: "ms",
    goal: Goal::Below(50.0),
    method: "The only worker of a warm pool is killed with SIGKILL, and an idempotent call of dspy.Predict with a model \
             in this process is made at once; the time from the kill to its answer by the new worker, which is an \
             upper bound: it holds finding out about the loss too. Median over pools, one kill each.",
}];

/// A worker that dies a second time within seconds waits for a back-off, so every round has a pool of its own.
const ROUNDS: usize = 12;

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round().await?);
    }
    Ok(vec![Measured { name: "zygote_fork_ready_ms", value: median(&rounds), details: spread(&rounds, 1) }])
}

async fn round() -> Result<f64> {
    let dspex = Dspex::builder().lm(instant_lm()).workers(1).start().await?;
    let answer = Answer::create(&dspex.session()).await?;
    answer.run(inputs()).await?;
    let before = *worker_pids(&dspex).first().context("no worker runs")?;

    // The killing program takes milliseconds itself to start; what counts begins when it has done its work.
    process::kill(before)?;
    let begun = Instant::now();
    let prediction = answer.run(inputs()).idempotent(true).await?;
    let elapsed = begun.elapsed();

    ensure!(prediction.answer == "Paris", "the answer is {:?}", prediction.answer);
    ensure!(!worker_pids(&dspex).contains(&before), "the worker was not replaced");
    Ok(elapsed.as_secs_f64() * 1e3)
}
