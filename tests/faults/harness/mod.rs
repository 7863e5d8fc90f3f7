//! What every fault test does: start a pool, count what comes of the calls, and count what is left.

mod census;
#[path = "../../../dspex-state/tests/crash/dice.rs"]
mod dice;
mod line;
mod program;
mod tally;

pub use census::{Census, Leftovers, Process, parent_of};
pub use dice::Dice;
pub use line::Line;
pub use program::{Ask, Parrot, ask, builder, builder_on, keep, kept, run, run_within};
pub use tally::{Outcome, Tally};

use std::time::{Duration, Instant};

use dspex::prelude::*;

use crate::common::worker_pids;

/// What the workers have in memory of their own, together.
pub fn worker_megabytes(dspex: &Dspex) -> f64 {
    let of = |pid: u32| {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    worker_pids(dspex).into_iter().map(of).sum()
}

/// Waits until all workers take calls and none of them is one of these; how long that took since a moment.
pub async fn full_again(dspex: &Dspex, workers: usize, gone: &[u32], since: Instant) -> Duration {
    let give_up = since + Duration::from_secs(20);
    loop {
        if dspex.load().ready_workers == workers {
            let pids = worker_pids(dspex);
            if pids.len() == workers && !pids.iter().any(|pid| gone.contains(pid)) {
                return since.elapsed();
            }
        }
        assert!(Instant::now() < give_up, "the pool never became complete again: {:?}", dspex.load());
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}
