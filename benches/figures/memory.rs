//! What a pool weighs.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dspex::prelude::*;
use futures::future::try_join_all;

use crate::catalogue::{Figure, Goal, Measured};
use crate::common::worker_pids;
use crate::module::{Answer, delayed_lm, inputs};
use crate::process;

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "pool_pss_mb",
    unit: "MB",
    goal: Goal::Below(200.0),
    method: "Eight workers, each of which has answered a call of dspy.Predict (eight calls at once that wait for their \
             model, one call per worker at a time); the sum of Pss in /proc/<pid>/smaps_rollup over them and their \
             zygote, in units of 10^6 bytes.",
}];

const WORKERS: usize = 8;
const MEGABYTE: f64 = 1e6;

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let lm = delayed_lm(Duration::from_millis(500));
    let dspex = Dspex::builder()
        .lm(lm)
        .workers(WORKERS)
        .in_flight_per_worker(1)
        .worker_limits(process::readable())
        .start()
        .await?;
    for _ in 0..1000 {
        if worker_pids(&dspex).len() == WORKERS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pids: BTreeSet<u32> = worker_pids(&dspex).into_iter().collect();
    ensure!(pids.len() == WORKERS, "only {} of {WORKERS} workers run", pids.len());
    try_join_all((0..WORKERS).map(|_| Answer::call(&dspex, inputs()))).await?;
    ensure!(
        pids.iter().eq(&worker_pids(&dspex).into_iter().collect::<BTreeSet<_>>()),
        "a worker was replaced"
    );

    let zygote = process::parent(*pids.first().context("no worker runs")?)?;
    for pid in &pids {
        ensure!(process::parent(*pid)? == zygote, "the workers are of different zygotes");
    }
    let zygote = process::pss(zygote)? as f64 / MEGABYTE;
    let workers: Vec<f64> =
        pids.iter().map(|pid| Ok(process::pss(*pid)? as f64 / MEGABYTE)).collect::<Result<_>>()?;
    let total = workers.iter().sum::<f64>();
    let details = format!("zygote {zygote:.1}, workers {:.1} on average", total / WORKERS as f64);
    Ok(vec![Measured { name: "pool_pss_mb", value: zygote + total, details }])
}
