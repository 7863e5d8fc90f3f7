//! `schema-gen dump`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::source::{DEFAULT_DIR, Modules};
use super::{Failure, output};

/// What to write, and where.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    modules: Modules,
    /// The directory to write.
    #[arg(long, default_value = DEFAULT_DIR)]
    out: PathBuf,
    /// What to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print what changed as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// The schema that dspex reads.
    #[default]
    Snapshot,
    /// One JSON Schema document (2020-12) per class, for other tools.
    JsonSchema,
}

pub fn run(options: &Options) -> Result<ExitCode, Failure> {
    let dump = options.modules.introspect(&[])?;
    let changes = match options.format {
        Format::Snapshot => dump.write_snapshot(&options.out)?,
        Format::JsonSchema => dump.write_json_schemas(&options.out)?,
    };
    let index = dump.index();
    if options.json {
        output::print_json(&json!({
            "out": options.out, "dspy": index.dspy, "classes": index.classes.len(),
            "functions": index.functions.len(), "added": changes.added, "changed": changes.changed,
            "removed": changes.removed, "unchanged": changes.unchanged, "skipped": index.skipped,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (added, changed, removed) = (changes.added.len(), changes.changed.len(), changes.removed.len());
    output::print(&format!(
        "{}: {} classes, {} functions of DSPy {}; {added} files added, {changed} changed, {removed} removed, {} \
         unchanged\n",
        options.out.display(),
        index.classes.len(),
        index.functions.len(),
        index.dspy,
        changes.unchanged,
    ))?;
    for (module, reason) in &index.skipped {
        output::print(&format!("skipped {module}: {reason}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
