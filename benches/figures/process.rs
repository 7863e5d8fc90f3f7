//! What the system tells of processes, by `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dspex::WorkerLimits;
use rustix::process::{Pid, Signal, kill_process};

/// The ticks of `/proc/<pid>/stat` in a second: Linux shows programs 100 on every architecture that Rust and
/// CPython both run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system CPU that all threads of a process have used, to 10 ms.
pub fn cpu(pid: u32) -> Result<Duration> {
    let fields = fields(pid)?;
    ensure!(fields.len() > 12, "/proc/<pid>/stat is cut");
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

/// The proportional set size in bytes: pages that n processes share count an nth.
pub fn pss(pid: u32) -> Result<u64> {
    let rollup = read(pid, "smaps_rollup")?;
    let line =
        rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("smaps_rollup has no Pss")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

/// Limits of workers with which whoever measures may read their memory.
pub fn readable() -> WorkerLimits {
    WorkerLimits::new().debuggable(true)
}

/// The parent's process id.
pub fn parent(pid: u32) -> Result<u32> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).context("status has no PPid")?;
    Ok(line.trim().parse()?)
}

/// Ends a process at once.
pub fn kill(pid: u32) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process has that number")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

/// A process, told apart from a later one of the same number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: u32,
    started: u64,
}

impl Process {
    /// The process of this number.
    pub fn of(pid: u32) -> Result<Self> {
        let started = fields(pid)?.get(19).context("/proc/<pid>/stat is cut")?.parse()?;
        Ok(Self { pid, started })
    }

    /// Whether it still runs. A zombie does not.
    pub fn is_alive(self) -> bool {
        let zombie = |pid| fields(pid).map_or(true, |fields| matches!(fields[0].as_str(), "Z" | "X"));
        Self::of(self.pid).is_ok_and(|now| now == self) && !zombie(self.pid)
    }
}

/// What `/proc/<pid>/stat` says after the command's name, which comes second, in brackets, and may hold anything.
fn fields(pid: u32) -> Result<Vec<String>> {
    let stat = read(pid, "stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/<pid>/stat names no command")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

fn read(pid: u32, file: &str) -> Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}"))
        .with_context(|| format!("reading {file} of process {pid}"))
}
