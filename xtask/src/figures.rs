//! `cargo xtask figures`: runs the harness of the figures, which is a bench target of the facade crate.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Measures the figures of these names, or all, and prints them.
pub fn run(root: &Path, names: &[String], json: bool) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut bench = Command::new(cargo);
    // The program's own output alone goes to stdout, so that `--json` can be piped on.
    bench.current_dir(root).args(["bench", "--quiet", "--package", "dspex", "--bench", "figures", "--"]);
    bench.args(json.then_some("--json")).args(names);
    let status = bench.status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("not every figure could be measured; the reason stands above");
    }
    Ok(())
}
