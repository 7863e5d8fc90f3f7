//! The command `schema-gen`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use schema_gen::{Error, Introspection};

#[derive(Parser)]
#[command(version, about = "Writes the schema that dspex checks Rust code against")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Introspect modules and write one file per class, and an index.
    Dump {
        /// A module's dotted path; may be given several times.
        #[arg(long = "module", default_value = "dspy")]
        modules: Vec<String>,
        /// A directory in which Python looks for your modules; may be given several times.
        #[arg(long = "python-path")]
        python_path: Vec<PathBuf>,
        /// The directory to write.
        #[arg(long, default_value = "dspy-schema")]
        out: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Error> {
    let Command::Dump { modules, python_path, out } = command;
    let dump = Introspection { modules, python_path }.run().await?;
    let changes = dump.write_snapshot(&out)?;
    let (added, changed, removed) = (changes.added.len(), changes.changed.len(), changes.removed.len());
    println!(
        "{}: {} classes; {added} files added, {changed} changed, {removed} removed, {} unchanged",
        out.display(),
        dump.index().classes.len(),
        changes.unchanged,
    );
    Ok(())
}
