//! Processes: what the tests can tell of them, and their end.

use anyhow::{Context, Result};
use dspex::WorkerLimits;
use rustix::process::{Pid, Signal, kill_process};

pub use crate::common::process::{Process, cpu, parent, pss};

/// Limits of workers with which whoever measures may read their memory.
pub fn readable() -> WorkerLimits {
    WorkerLimits::new().debuggable(true)
}

/// Ends a process at once.
pub fn kill(pid: u32) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process has that number")?;
    Ok(kill_process(pid, Signal::KILL)?)
}
