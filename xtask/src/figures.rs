//! `cargo xtask figures`: runs the harness of the figures, which is a bench target of the facade crate.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

/// What to measure, and how to print it.
#[derive(Args)]
pub struct Options {
    /// The figures to measure; all of them without one.
    names: Vec<String>,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Measures figures and prints them.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut bench = Command::new(cargo);
    // The program's own output alone goes to stdout, so that `--json` can be piped on.
    bench.current_dir(root).args(["bench", "--quiet", "--package", "dspex", "--bench", "figures", "--"]);
    bench.args(options.json.then_some("--json")).args(&options.names);
    let status = bench.status().context("cargo cannot be started")?;
    // What went wrong, the harness has said; a figure that misses its goal is nothing wrong.
    if status.success() { Ok(()) } else { std::process::exit(status.code().unwrap_or(1)) }
}
