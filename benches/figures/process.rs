//! What the system tells of processes, by `/proc`.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The ticks of `/proc/<pid>/stat` in a second: Linux shows programs 100 on every architecture that Rust and
/// CPython both run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system CPU that all threads of a process have used, to 10 ms.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    // The command's name comes second, in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("/proc/<pid>/stat names no command")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
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

/// The parent's process id.
pub fn parent(pid: u32) -> Result<u32> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).context("status has no PPid")?;
    Ok(line.trim().parse()?)
}

/// Ends a process at once.
pub fn kill(pid: u32) -> Result<()> {
    let status = Command::new("kill").args(["-KILL", &pid.to_string()]).status()?;
    ensure!(status.success(), "process {pid} could not be killed");
    Ok(())
}

fn read(pid: u32, file: &str) -> Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}"))
        .with_context(|| format!("reading {file} of process {pid}"))
}
