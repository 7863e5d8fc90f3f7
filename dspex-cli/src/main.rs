//! The command `dspex`: what an operator needs for workers on other machines.

mod certs;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Certificates for workers on other machines, and the workers themselves.
#[derive(Parser)]
#[command(name = "dspex", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A private authority, and what it signs for workers and hosts.
    #[command(subcommand)]
    Certs(certs::Command),
    /// Provide the Python environment where it is missing, and run a worker in it until SIGTERM.
    Serve(serve::Options),
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Certs(command) => {
            certs::run(command).map(|told| println!("{told}")).map_err(|e| e.to_string())
        }
        Command::Serve(options) => serve::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("dspex: {problem}");
            ExitCode::FAILURE
        }
    }
}
