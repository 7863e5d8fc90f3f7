//! Makes the Python environment ready ahead of the first start, for example while an image is built.
//!
//! ```text
//! cargo run --package dspex-runtime --example provision -- [--lock FILE] [--cache DIR] [--pip] [--quiet]
//! ```
//!
//! Prints the interpreter, the directory of the worker's sources, and whether this run built anything, one a line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use dspex_runtime::pool::env::{EnvConfig, Environment, Installer, Progress};

fn main() -> Result<()> {
    let mut config = EnvConfig::new();
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        let mut value =
            || args.next().map(PathBuf::from).with_context(|| format!("{} needs a value", arg.display()));
        match arg.to_str() {
            Some("--lock") => {
                let lock = value()?;
                let text =
                    std::fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
                config = config.lock(text);
            }
            Some("--cache") => config = config.cache_dir(value()?),
            Some("--pip") => config = config.installer(Installer::Pip),
            Some("--quiet") => config = config.progress(Progress::Silent),
            _ => bail!(
                "unknown argument {}; there are --lock FILE, --cache DIR, --pip and --quiet",
                arg.display()
            ),
        }
    }
    let environment = Environment::provision(&config)?;
    println!("{}", environment.python.display());
    println!("{}", environment.worker_dir.display());
    println!("{}", if environment.built { "built" } else { "ready" });
    Ok(())
}
