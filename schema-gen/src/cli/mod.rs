//! The subcommands of `schema-gen`, one per file. Each prints for people, or one JSON document with `--json`.

mod check;
mod coverage;
mod diff;
mod dump;
pub mod output;
mod signature;
mod source;

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use clap::Subcommand;

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Introspect modules and write one file per class, and an index.
    Dump(dump::Options),
    /// Introspect again and fail where the checked-in schema differs; nothing is written.
    Check(check::Options),
    /// Compare two schemas: directories, or releases of DSPy such as `3.3.1`.
    Diff(diff::Options),
    /// List every public name: bound, untyped, or unsupported and why.
    Coverage(coverage::Options),
    /// Show how a signature resolves: names, types, JSON Schemas.
    Signature(signature::Options),
}

/// Why a command could not do its work. The message carries all causes.
pub struct Failure(String);

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            // Some messages carry their cause already.
            if !text.contains(&more) {
                text += &format!(": {more}");
            }
            cause = error.source();
        }
        Self(text)
    }
}

/// Runs a command. A check that fails has an exit code; what could not be done at all is a [`Failure`].
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Dump(options) => dump::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Diff(options) => diff::run(&options),
        Command::Coverage(options) => coverage::run(&options),
        Command::Signature(options) => signature::run(&options),
    }
}

/// Blocks on what needs Python's workers.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}
