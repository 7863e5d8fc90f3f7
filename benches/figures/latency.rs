//! How many waiting calls one worker carries.

use std::time::{Duration, Instant};

use anyhow::Result;
use dspex::prelude::*;
use futures::future::try_join_all;

use crate::catalogue::{Figure, Goal, Measured};
use crate::module::{Answer, delayed_lm, inputs};
use crate::stats::{median, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "inflight_200_s",
    unit: "s",
    goal: Goal::Below(1.5),
    method: "200 calls of dspy.Predict at once on one warm worker, with a model in this process that takes 500 ms for \
             each answer; the time until the last one is answered. Median.",
}];

const CALLS: usize = 200;
const ROUNDS: usize = 5;

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let lm = delayed_lm(Duration::from_millis(500));
    let dspex = Dspex::builder().lm(lm).workers(1).in_flight_per_worker(256).start().await?;
    let answer = Answer::create(&dspex.session()).await?;
    answer.execute(inputs()).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        try_join_all((0..CALLS).map(|_| answer.execute(inputs()))).await?;
        rounds.push(begun.elapsed().as_secs_f64());
    }
    Ok(vec![Measured { name: "inflight_200_s", value: median(&rounds), details: spread(&rounds, 2) }])
}
