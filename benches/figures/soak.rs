//! What minutes of everything at once leave in memory.

// The same load as the fault suite's.
#[path = "../../tests/faults/soak/load.rs"]
mod load;
#[path = "../../tests/faults/harness/parrot.rs"]
mod parrot;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::catalogue::{Figure, Goal, Measured};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "soak_growth_mb_per_10k_calls",
    unit: "MB",
    goal: Goal::Below(1.0),
    method: "Eight callers on two workers for three minutes, after what workers keep is full and a minute and a half that do not count: dspy.Predict, new instances, temporary \
             sessions with variables, tools, streams that are left early, exceptions, cancelled calls, 200 kB, sync code. The slope of \
             the line that fits the memory (Rss of this process and the workers) over the calls best, in units of 10^6 bytes. Not Pss, \
             which grows as workers come to own what they shared with their zygote.",
}];

const DURATION: Duration = Duration::from_secs(180);

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let soaked = load::soak(DURATION).await?;
    let last = soaked.samples.last().context("nothing was measured")?;
    let details = format!(
        "{} calls; of this process {:.2}; at the end {:.1} MB here and {:.1} MB in the workers",
        soaked.total(),
        soaked.host_growth(),
        last.host,
        last.workers
    );
    Ok(vec![Measured { name: "soak_growth_mb_per_10k_calls", value: soaked.growth(), details }])
}
