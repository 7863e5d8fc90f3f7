//! How many waiting calls one worker carries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dspex::lm::{LmResponse, lm_fn};
use dspex::prelude::*;
use futures::future::try_join_all;
use tokio::sync::watch;

use crate::catalogue::{Figure, Goal, Measured};
use crate::common::worker_pids;
use crate::module::{Answer, COMPLETION, inputs};
use crate::process;
use crate::stats::{median, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "inflight_200_s",
        unit: "s",
        goal: Goal::Below(1.5),
        method: "200 calls of dspy.Predict at once on one warm worker, with a model in this process that takes 500 ms for \
                 each answer; the time until the last one is answered. Median.",
    },
    Figure {
        name: "inflight_1000_s",
        unit: "s",
        goal: Goal::Below(2.0),
        method: "The same with 1,000 calls on two workers.",
    },
    Figure {
        name: "inflight_1000_pss_mb",
        unit: "MB",
        goal: Goal::Below(300.0),
        method: "The sum of Pss of both workers and their zygote while the 1,000 calls of a further round are all in flight, \
                 whose model answers when that was read; in units of 10^6 bytes.",
    },
];

const ROUNDS: usize = 5;
const LATENCY: Duration = Duration::from_millis(500);

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let (few, _) = waiting(200, 1).await?;
    let (many, megabytes) = waiting(1000, 2).await?;
    Ok(vec![
        Measured { name: "inflight_200_s", value: median(&few), details: spread(&few, 2) },
        Measured { name: "inflight_1000_s", value: median(&many), details: spread(&many, 2) },
        Measured {
            name: "inflight_1000_pss_mb",
            value: megabytes.iter().sum(),
            details: format!("zygote {:.1}, workers {:.1?}", megabytes[0], &megabytes[1..]),
        },
    ])
}

/// The seconds of each round of so many calls at once on so many workers, and the megabytes of the zygote and of each worker
/// during one.
async fn waiting(calls: usize, workers: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let (asked, (gate, open)) = (Arc::new(AtomicUsize::new(0)), watch::channel(true));
    let lm = {
        let asked = asked.clone();
        lm_fn(move |_| {
            let mut open = open.clone();
            asked.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(LATENCY).await;
                // The gate outlives all calls.
                let _ = open.wait_for(|open| *open).await;
                Ok(LmResponse::text(COMPLETION))
            }
        })
    };
    let places = (calls / workers).next_power_of_two();
    let dspex = Dspex::builder()
        .lm(Lm::host(lm))
        .workers(workers)
        .in_flight_per_worker(places)
        .worker_limits(process::readable())
        .start()
        .await?;
    while dspex.load().ready_workers < workers {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let answer = Answer::create(&dspex.session()).await?;
    let round = || try_join_all((0..calls).map(|_| answer.execute(inputs())));
    // A round that does not count: all workers are warm then.
    round().await?;
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        round().await?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    asked.store(0, Ordering::Relaxed);
    gate.send(false)?;
    let weigh = async {
        while asked.load(Ordering::Relaxed) < calls {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let workers = worker_pids(&dspex);
        let zygote = process::parent(*workers.first().context("no worker runs")?)?;
        let megabytes = |pid: u32| Ok(process::pss(pid)? as f64 / 1e6);
        let weights: Vec<f64> = [zygote].into_iter().chain(workers).map(megabytes).collect::<Result<_>>()?;
        ensure!(dspex.load().in_flight == calls, "not all of them were in flight");
        gate.send(true)?;
        anyhow::Ok(weights)
    };
    let answered = async { Ok(round().await?) };
    let (_, weights) = tokio::try_join!(answered, weigh)?;
    Ok((seconds, weights))
}
