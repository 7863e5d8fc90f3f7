//! The command `schema-gen`.

mod cli;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(version, about = "Writes, checks and compares the schemas that dspex checks Rust code against")]
struct Args {
    #[command(subcommand)]
    command: cli::Command,
}

fn main() -> ExitCode {
    match cli::run(Args::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{} {failure}", cli::output::Style::of_stderr().bad("error:"));
            ExitCode::FAILURE
        }
    }
}
