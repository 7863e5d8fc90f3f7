//! Chores of the repository: `cargo xtask <name>`. Each chore is a module of its name.

mod figures;
mod package;
mod proto;
mod schema;
mod step;
mod test;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Chores of the dspex repository")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Measure the project's figures and print them with their goals.
    Figures(figures::Options),
    /// Run every check and every test, Rust and Python.
    Test(test::Options),
    /// Package all crates, and build a program from the archives outside of the workspace.
    Package,
    /// Regenerate the checked-in protocol code.
    Proto {
        /// Change nothing; fail if the checked-in code is stale.
        #[arg(long)]
        check: bool,
        /// An interpreter with grpcio-tools, for the Python stubs.
        #[arg(long)]
        python: Option<PathBuf>,
    },
    /// Regenerate a built-in snapshot of DSPy's API.
    Schema(schema::Options),
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    match Args::parse().chore {
        Chore::Figures(options) => figures::run(root, &options),
        Chore::Test(options) => test::run(root, &options),
        Chore::Package => package::run(root),
        Chore::Proto { check, python } => proto::run(root, python.as_deref(), check),
        Chore::Schema(options) => schema::run(root, &options),
    }
}
