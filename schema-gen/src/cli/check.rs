//! `schema-gen check`: fails on drift and on omission alike, and never writes the checked-in files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dspex_schema::{compare, verify};
use serde_json::json;

use super::output::{self, Style};
use super::source::{DEFAULT_DIR, Modules};
use super::{Failure, diff};

/// What to check.
#[derive(Args)]
pub struct Options {
    /// The directory with the checked-in schema.
    #[arg(long, default_value = DEFAULT_DIR)]
    schema: PathBuf,
    #[command(flatten)]
    modules: Modules,
    /// Start no Python: check the format and the hashes of the files alone.
    #[arg(long, conflicts_with_all = ["modules", "python_path"])]
    offline: bool,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode, Failure> {
    let dir = options.schema.display();
    let (catalog, problems) = verify(&options.schema)?;
    let index = catalog.index();
    if !problems.is_empty() {
        let problems: Vec<String> =
            problems.into_iter().map(|problem| Failure::from(problem).to_string()).collect();
        if options.json {
            output::print_json(&json!({"ok": false, "schema": options.schema, "problems": problems}))?;
        } else {
            for problem in &problems {
                eprintln!("{} {problem}", Style::of_stderr().bad("error:"));
            }
        }
        return Ok(ExitCode::FAILURE);
    }
    if options.offline {
        let files = index.classes.len();
        if options.json {
            output::print_json(
                &json!({"ok": true, "schema": options.schema, "dspy": index.dspy, "problems": []}),
            )?;
        } else {
            output::print(&format!("{dir}: {files} classes of DSPy {}, all hashes match\n", index.dspy))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let dump = options.modules.introspect(&index.modules)?;
    let scratch = tempfile::tempdir()?;
    dump.write_snapshot(scratch.path())?;
    let difference = compare(&options.schema, scratch.path())?;
    let ok = difference.is_empty();
    if options.json {
        output::print_json(&json!({
            "ok": ok, "schema": options.schema, "dspy": index.dspy, "problems": [], "difference": difference,
        }))?;
    } else if ok {
        output::print(&format!("{dir}: up to date with DSPy {}\n", index.dspy))?;
    } else {
        output::print(&diff::render(&difference))?;
        let style = Style::of_stderr();
        let again: String = dump.index().modules.iter().map(|module| format!(" --module {module}")).collect();
        let paths = options.modules.python_path.iter();
        let paths: String = paths.map(|path| format!(" --python-path {}", path.display())).collect();
        eprintln!(
            "{} the schema in `{dir}` is not what introspection finds now; if that is intended, run \
             `schema-gen dump --out {dir}{again}{paths}` and review the diff",
            style.bad("error:")
        );
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
