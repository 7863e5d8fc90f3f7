//! How soon a program has its first answer.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::catalogue::{Figure, Goal, Measured};
use crate::stats::{median, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "first_answer_s",
    unit: "s",
    goal: Goal::Below(2.5),
    method: "The quickstart example, built for release, run as a process with its environment provisioned; the time \
             from its start to its first line with a typed answer. Median.",
}];

const ROUNDS: usize = 5;

/// What the example prints when it has its first answer.
const FIRST_ANSWER: &str = "urgency:";

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let quickstart = build()?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(run(&quickstart)?);
    }
    Ok(vec![Measured { name: "first_answer_s", value: median(&rounds), details: spread(&rounds, 2) }])
}

/// Builds the example; returns where it lies.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--release", "--example", "quickstart", "--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    ensure!(output.status.success(), "the quickstart example does not build");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| message["target"]["name"] == "quickstart" && message["executable"].is_string())
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no executable for the quickstart example")
}

/// Runs the example to its end; returns the seconds until its first answer.
fn run(quickstart: &PathBuf) -> Result<f64> {
    let begun = Instant::now();
    let mut child = Command::new(quickstart)
        .env_remove("DSPEX_LM")
        .stdout(Stdio::piped())
        .spawn()
        .context("quickstart")?;
    let stdout = BufReader::new(child.stdout.take().context("the example has no stdout")?);
    let mut first = None;
    for line in stdout.lines() {
        if line?.starts_with(FIRST_ANSWER) && first.is_none() {
            first = Some(begun.elapsed().as_secs_f64());
        }
    }
    ensure!(child.wait()?.success(), "the quickstart example failed");
    first.context("the quickstart example printed no answer")
}
