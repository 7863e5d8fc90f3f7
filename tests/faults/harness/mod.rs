//! What every fault test does: start a pool, count what comes of the calls, and count what is left.

mod census;
mod dice;
mod line;
mod program;
mod tally;

pub use census::{Census, Leftovers, Process, parent_of};
pub use dice::Dice;
pub use line::Line;
pub use program::{Ask, Parrot, ask, builder, keep, kept, run};
pub use tally::{Outcome, Tally};

use std::time::{Duration, Instant};

use dspex::prelude::*;

/// Waits until all workers take calls and none of them is one of these; how long that took since a moment.
pub async fn full_again(dspex: &Dspex, workers: usize, gone: &[u32], since: Instant) -> Duration {
    let give_up = since + Duration::from_secs(20);
    loop {
        let pids = dspex.worker_pids();
        let old = pids.iter().any(|pid| gone.contains(pid));
        if !old && pids.len() == workers && dspex.load().ready_workers == workers {
            return since.elapsed();
        }
        assert!(Instant::now() < give_up, "the pool never became complete again: {:?}", dspex.load());
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}
