//! How long the command takes that writes and checks the schema of DSPy.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::catalogue::{Figure, Goal, Measured};
use crate::stats::{median, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "schema_dump_s",
        unit: "s",
        goal: Goal::Below(10.0),
        method: "`schema-gen dump` of all of DSPy into an empty directory, built for release, as a process with its \
                 environment provisioned; from its start to its end. Median.",
    },
    Figure {
        name: "schema_check_s",
        unit: "s",
        goal: Goal::Below(10.0),
        method: "`schema-gen check` of the directory that the dump wrote: the same way. Median.",
    },
    Figure {
        name: "schema_check_offline_ms",
        unit: "ms",
        goal: Goal::Below(100.0),
        method: "`schema-gen check --offline` of the same directory, which starts no Python. Median.",
    },
];

const ROUNDS: usize = 5;
const OFFLINE_ROUNDS: usize = 31;

/// Measures them.
pub async fn measure() -> Result<Vec<Measured>> {
    let command = build()?;
    // One that does not count: it provisions the environment if that was not done yet.
    run(&command, tempfile::tempdir()?.path(), &["dump"])?;
    let (mut dumps, mut checks, mut offline) = (Vec::new(), Vec::new(), Vec::new());
    let mut dir = tempfile::tempdir()?;
    for _ in 0..ROUNDS {
        dir = tempfile::tempdir()?;
        dumps.push(run(&command, dir.path(), &["dump"])?);
        checks.push(run(&command, dir.path(), &["check"])?);
    }
    for _ in 0..OFFLINE_ROUNDS {
        offline.push(run(&command, dir.path(), &["check", "--offline"])? * 1e3);
    }
    Ok(vec![
        Measured { name: "schema_dump_s", value: median(&dumps), details: spread(&dumps, 2) },
        Measured { name: "schema_check_s", value: median(&checks), details: spread(&checks, 2) },
        Measured { name: "schema_check_offline_ms", value: median(&offline), details: spread(&offline, 1) },
    ])
}

/// Builds the command; returns where it lies.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--release", "--package", "schema-gen", "--all-features"])
        .args(["--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    ensure!(output.status.success(), "schema-gen does not build");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "schema-gen")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no executable for schema-gen")
}

/// Runs the command in a directory; returns the seconds that it took.
fn run(command: &Path, dir: &Path, args: &[impl AsRef<OsStr>]) -> Result<f64> {
    let begun = Instant::now();
    let output = Command::new(command).args(args).current_dir(dir).output().context("schema-gen")?;
    let elapsed = begun.elapsed().as_secs_f64();
    ensure!(output.status.success(), "schema-gen failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(elapsed)
}
