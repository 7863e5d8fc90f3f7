//! What every fault test does: start a pool, count what comes of the calls, and count what is left.

mod census;
#[path = "../../../dspex-state/tests/crash/dice.rs"]
mod dice;
mod line;
pub mod parrot;
mod program;
mod tally;

pub use census::{Census, Leftovers};
pub use dice::Dice;
pub use line::Line;
pub use parrot::{Ask, Parrot};
pub use program::{ask, builder, builder_on, keep, kept, run, run_within};
pub use tally::{Outcome, Tally};

use std::time::{Duration, Instant};

use dspex::prelude::*;
use peak_alloc::PeakAlloc;

use crate::common::{process, worker_pids};

/// Counts what this process has allocated: what its memory shows beside that is the allocator's doing.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The most that this process has allocated at once since a moment, beyond what it had then.
pub struct Allocated(usize);

impl Allocated {
    /// From now on.
    pub fn since_now() -> Self {
        ALLOCATOR.reset_peak_usage();
        Self(ALLOCATOR.current_usage())
    }

    /// So far.
    pub fn most_megabytes(&self) -> f64 {
        ALLOCATOR.peak_usage().saturating_sub(self.0) as f64 / f64::from(1 << 20)
    }
}

/// What this process has in memory.
pub fn host_megabytes() -> f64 {
    megabytes(process::rss(std::process::id()))
}

/// What the workers have in memory of their own, together.
pub fn worker_megabytes(dspex: &Dspex) -> f64 {
    worker_pids(dspex).into_iter().map(|pid| megabytes(process::pss(pid))).sum()
}

fn megabytes(bytes: std::io::Result<u64>) -> f64 {
    bytes.expect("the process runs, and may be looked at") as f64 / f64::from(1 << 20)
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
