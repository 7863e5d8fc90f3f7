//! What the system tells of processes, by `/proc`: for tests and figures, which do not ask dspex what they check of dspex.

#![allow(dead_code, reason = "each program uses its part")]

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

/// The ticks of `/proc/<pid>/stat` in a second: Linux shows programs 100 on every architecture that Rust and
/// CPython both run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process, told apart from a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    started: u64,
}

impl Process {
    /// The process of this number, if there is one. A zombie is none.
    pub fn of(pid: u32) -> Option<Self> {
        let fields = fields(pid).ok()?;
        let alive = !matches!(fields.first()?.as_str(), "Z" | "X");
        alive.then(|| Some(Self { pid, started: fields.get(19)?.parse().ok()? }))?
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Whether a process of this number runs. A zombie does not.
pub fn is_alive(pid: u32) -> bool {
    Process::of(pid).is_some()
}

/// The process that started another.
pub fn parent(pid: u32) -> Result<u32> {
    number(fields(pid)?.get(1))
}

/// User and system CPU that all threads of a process have used, to 10 ms.
pub fn cpu(pid: u32) -> Result<Duration> {
    let fields = fields(pid)?;
    let ticks = number(fields.get(11))? + number(fields.get(12))?;
    Ok(Duration::from_secs_f64(f64::from(ticks) / TICKS_PER_SECOND))
}

/// The resident memory in bytes; what several processes share counts in full for each.
pub fn rss(pid: u32) -> Result<u64> {
    memory(pid, "Rss:")
}

/// The proportional memory in bytes: pages that n processes share count an nth. Of another process it can be read only
/// where its worker limits are [`debuggable`](dspex::WorkerLimits::debuggable).
pub fn pss(pid: u32) -> Result<u64> {
    memory(pid, "Pss:")
}

fn memory(pid: u32, name: &str) -> Result<u64> {
    let rollup = read(pid, "smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.map(|line| line.trim().trim_end_matches(" kB").to_owned());
    Ok(u64::from(number(kibibytes.as_ref())?) * 1024)
}

/// What `/proc/<pid>/stat` says after the command's name, which comes second, in brackets, and may hold anything.
fn fields(pid: u32) -> Result<Vec<String>> {
    let stat = read(pid, "stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or(ErrorKind::InvalidData)?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

fn number(text: Option<&String>) -> Result<u32> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| ErrorKind::InvalidData.into())
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path)
        .map_err(|error| Error::new(error.kind(), format!("reading {path}: {error}")))
}
