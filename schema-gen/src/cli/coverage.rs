//! `schema-gen coverage`: what of DSPy is reachable with types, and what is not and why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use dspex_schema::Catalog;
use schema_gen::{Coverage, Drift, Status};
use serde_json::{Map, Value, json};

use super::output::{self, Style};
use super::{Failure, source};

/// Of which schema, and whether to compare.
#[derive(Args)]
pub struct Options {
    /// A directory with a schema, or a release of DSPy [default: dspy-schema, or the built-in schema without one].
    #[arg(long)]
    schema: Option<String>,
    /// Fail if a name that another schema has as bound or untyped is neither of them here, nor unsupported.
    #[arg(long)]
    check: bool,
    /// The schema to compare with: a directory or a release of DSPy [default: the built-in schema].
    #[arg(long, requires = "check", conflicts_with = "baseline")]
    against: Option<String>,
    /// A checked-in list to compare with instead: fail where it is not what `--write` would write.
    #[arg(long, requires = "check", value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the list for `--baseline`; refused if a name of the file that is there would be lost.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    write: Option<PathBuf>,
    /// A name whose loss is known; may be given several times. The members of a class go with it.
    #[arg(long = "allow", value_name = "NAME")]
    allowed: Vec<String>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode, Failure> {
    let catalog = match &options.schema {
        Some(name) => source::open(name)?,
        None if Path::new(source::DEFAULT_DIR).is_dir() => source::open(source::DEFAULT_DIR)?,
        None => Catalog::builtin().clone(),
    };
    let coverage = Coverage::of(&catalog)?;
    let mut drift = Drift::default();
    if let Some(file) = &options.baseline {
        drift = coverage.compare(file)?;
    } else if let Some(file) = options.write.as_ref().filter(|file| file.exists()) {
        drift.lost = coverage.compare(file)?.lost;
    } else if options.check {
        let earlier = match &options.against {
            Some(name) => source::open(name)?,
            None => Catalog::builtin().clone(),
        };
        drift.lost = coverage.lost_since(&Coverage::of(&earlier)?);
    }
    drift.allow(&options.allowed);
    print(&coverage, &catalog.index().dspy, &drift, options)?;
    let style = Style::of_stderr();
    for name in &drift.lost {
        eprintln!(
            "{} `{name}` was there earlier and is neither bound, untyped nor unsupported now; if that is intended, \
             say `--allow {name}`",
            style.bad("error:")
        );
    }
    if let Some(file) = options.baseline.as_ref().filter(|_| !drift.is_empty()) {
        for line in &drift.removed {
            eprintln!("{}", style.bad(&format!("- {line}")));
        }
        for line in &drift.added {
            eprintln!("{}", style.good(&format!("+ {line}")));
        }
        let file = file.display();
        eprintln!(
            "{} `{file}` is stale; review the lines above and run `schema-gen coverage --write {file}`",
            style.bad("error:")
        );
    }
    if !drift.lost.is_empty() || !drift.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(file) = &options.write {
        std::fs::write(file, coverage.baseline())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(coverage: &Coverage, dspy: &str, drift: &Drift, options: &Options) -> Result<(), Failure> {
    let [bound, untyped, unsupported] = coverage.counts();
    if options.json {
        let rows: Map<String, Value> = coverage
            .symbols()
            .iter()
            .map(|(name, status)| {
                let reason = Some(status.reason()).filter(|reason| !reason.is_empty());
                (name.clone(), json!({"status": status.word(), "reason": reason}))
            })
            .collect();
        return output::print_json(&json!({
            "dspy": dspy,
            "counts": {"bound": bound, "untyped": untyped, "unsupported": unsupported},
            "symbols": rows,
            "lost": drift.lost,
            "stale": {"removed": drift.removed, "added": drift.added},
        }));
    }
    // A check, or writing the list, says what is wrong; the list itself is in the file.
    if options.baseline.is_none() && options.write.is_none() {
        print_table(coverage.symbols())?;
        output::print("\n")?;
    }
    output::print(&format!("DSPy {dspy}: {bound} bound, {untyped} untyped, {unsupported} unsupported\n"))
}

fn print_table(symbols: &BTreeMap<String, Status>) -> Result<(), Failure> {
    let style = Style::of_stdout();
    let rows: Vec<Vec<String>> = symbols
        .iter()
        .map(|(name, status)| vec![status.word().to_owned(), name.clone(), status.reason()])
        .collect();
    let mut text = String::new();
    for (row, status) in output::columns(&rows).iter().zip(symbols.values()) {
        let word = match status {
            Status::Bound => style.good(&row[0]),
            Status::Untyped(_) => style.notice(&row[0]),
            Status::Unsupported(_) => style.bad(&row[0]),
        };
        text += format!("{word}  {}  {}", row[1], row[2]).trim_end();
        text.push('\n');
    }
    output::print(&text)
}
