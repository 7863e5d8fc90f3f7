//! The figures of the project: what it promises in milliseconds, megabytes and ratios, measured.
//!
//! `cargo xtask figures [name ...] [--json]` runs this program. Each file measures one family of figures by dspex's
//! public API alone, as a program that uses dspex would; the goals stand beside the methods. A figure that misses its
//! goal is printed as such and fails nothing. Ratios compare two things measured by turns in the same run, so that
//! whatever else the machine does meets both.

mod agents;
mod bindings;
mod bridge;
mod cancel;
mod catalogue;
mod common;
mod crash;
mod durability;
mod echo;
mod expansion;
mod fork;
mod grpc;
mod latency;
mod memory;
mod module;
mod outside;
mod predict;
mod process;
mod python;
mod recovery;
mod report;
mod rounds;
mod schema;
mod soak;
mod start;
mod stats;
mod tools;
mod usual;
mod variables;

use std::process::ExitCode;

use catalogue::FAMILIES;
use report::{Outcome, Report};

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(outcome) = crash::victim(&arguments).or_else(|| recovery::victim(&arguments)) {
        return outcome.map(|()| ExitCode::SUCCESS);
    }
    // `cargo bench` says `--bench`. Whoever builds all targets for a test run does not, and gets no measurement.
    if !take(&mut arguments, "--bench") {
        eprintln!("nothing measured; run `cargo xtask figures`");
        return Ok(ExitCode::SUCCESS);
    }
    let json = take(&mut arguments, "--json");
    if let Some(problem) = catalogue::problem_of(&arguments) {
        eprintln!("{problem}");
        return Ok(ExitCode::from(2));
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let python = python::provision()?;
    let mut report = Report::new(&python);
    for family in FAMILIES.iter().filter(|family| family.figures.iter().any(|figure| wanted(figure.name))) {
        eprintln!("measuring {} ..", family.names().join(", "));
        let outcome = runtime.block_on((family.measure)(&python));
        // At once and whole: what a compiler or program says is laid out in lines, and a report may be read by a machine.
        if let Err(error) = &outcome {
            eprintln!("{} cannot be measured: {error:#}", family.names().join(", "));
        }
        for figure in family.figures.iter().filter(|figure| wanted(figure.name)) {
            report.add(figure, Outcome::of(figure, &outcome));
        }
    }
    if json {
        println!("{}", report.to_json()?);
    } else {
        print!("{}", report.to_text());
    }
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether an argument is there; takes it out.
fn take(arguments: &mut Vec<String>, name: &str) -> bool {
    let before = arguments.len();
    arguments.retain(|argument| argument != name);
    arguments.len() < before
}
