//! Rounds of calls: as many as go into a while, with so many in flight.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::stats::{median, quantile};

/// Rounds of a comparison.
pub const ROUNDS: usize = 9;

const ROUND: Duration = Duration::from_millis(400);

/// Values of both sides, round by round.
#[derive(Default)]
pub struct Sides {
    theirs: Vec<f64>,
    ours: Vec<f64>,
}

impl Sides {
    /// One round more.
    pub fn push(&mut self, theirs: f64, ours: f64) {
        self.theirs.push(theirs);
        self.ours.push(ours);
    }

    /// Theirs and ours of each round.
    pub fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        self.theirs.iter().copied().zip(self.ours.iter().copied())
    }

    /// Both medians, for details.
    pub fn described(&self, theirs: &str, unit: &str) -> String {
        format!("{theirs} {:.0} {unit}, dspex {:.0} {unit}", median(&self.theirs), median(&self.ours))
    }
}

/// What one round yields.
pub struct Round {
    /// Median time of a call, in microseconds.
    pub p50: f64,
    /// Calls a second.
    pub per_second: f64,
}

/// Calls for a while, with so many in flight.
pub async fn round<C, F, T>(in_flight: usize, call: C) -> Result<Round>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<T>> + Send,
{
    let begun = Instant::now();
    let callers = (0..in_flight).map(|_| {
        let call = call.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < ROUND {
                let sent = Instant::now();
                call().await?;
                times.push(sent.elapsed().as_secs_f64() * 1e6);
            }
            Ok::<_, anyhow::Error>(times)
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await??);
    }
    let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
    Ok(Round { p50: quantile(&times, 0.5), per_second })
}
