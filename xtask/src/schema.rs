//! Regenerates the built-in snapshots of DSPy's API: that of the locked DSPy by introspection in a worker, those of
//! earlier releases by an interpreter that has them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use dspex_schema::{Catalog, Dump, builtin_table};
use schema_gen::{Coverage, Introspection};

const SNAPSHOTS: &str = "dspex-schema/schemas";
const COVERAGE: &str = "dspex-schema/coverage";
const TABLES: &str = "dspex-schema/src/builtin";

/// Which snapshot, and whether to write it.
#[derive(Args)]
pub struct Options {
    /// Change nothing; fail if the snapshot is stale.
    #[arg(long)]
    check: bool,
    /// An earlier release instead of the locked one, such as 3.3.1.
    #[arg(long, requires = "python")]
    dspy: Option<String>,
    /// An interpreter that has this release: `uv venv DIR && uv pip install --python DIR/bin/python dspy==3.3.1 protobuf`.
    #[arg(long, requires = "dspy")]
    python: Option<PathBuf>,
    /// A public name whose loss is known; may be given several times.
    #[arg(long = "allow", value_name = "NAME", conflicts_with = "check")]
    allowed: Vec<String>,
}

/// Writes a snapshot, the table that embeds it, and the list of what it covers. To check, writes nothing and fails where they are stale.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let dump = match (&options.dspy, &options.python) {
        (Some(version), Some(python)) => described_by(root, python, version)?,
        _ => introspected()?,
    };
    let version = dump.index().dspy.clone();
    let snapshot = root.join(SNAPSHOTS).join(&version);
    let prefix = format!("../../schemas/{version}");
    let table_path = root.join(TABLES).join(table_name(options.dspy.as_deref()));
    let coverage_path = root.join(COVERAGE).join(format!("{version}.txt"));
    if options.check {
        let scratch = tempfile::tempdir()?;
        dump.write_snapshot(scratch.path())?;
        let difference = dspex_schema::compare(&snapshot, scratch.path())?;
        let table = std::fs::read_to_string(&table_path)?;
        if !difference.is_empty() || table != builtin_table(&Catalog::open(scratch.path())?, &prefix)? {
            bail!("the built-in snapshot is stale; run `cargo xtask schema`\n{difference}");
        }
        let drift = Coverage::of(&Catalog::open(&snapshot)?)?.compare(&coverage_path)?;
        for line in &drift.removed {
            println!("- {line}");
        }
        for line in &drift.added {
            println!("+ {line}");
        }
        ensure!(drift.is_empty(), "{} is stale; run `cargo xtask schema`", coverage_path.display());
        println!("the built-in snapshot of DSPy {version} is up to date");
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    dump.write_snapshot(scratch.path())?;
    let coverage = Coverage::of(&Catalog::open(scratch.path())?)?;
    if coverage_path.exists() {
        let mut drift = coverage.compare(&coverage_path)?;
        drift.allow(&options.allowed);
        ensure!(
            drift.lost.is_empty(),
            "nothing was written: nothing is said any more of {}; give a reason in the worker's tables, or `--allow` \
             each of them",
            drift.lost.join(", ")
        );
    }
    let changes = dump.write_snapshot(&snapshot)?;
    std::fs::write(&table_path, builtin_table(&Catalog::open(&snapshot)?, &prefix)?)?;
    let (added, changed, removed) = (changes.added.len(), changes.changed.len(), changes.removed.len());
    std::fs::create_dir_all(root.join(COVERAGE))?;
    std::fs::write(&coverage_path, coverage.baseline())?;
    println!("{}: {added} files added, {changed} changed, {removed} removed", snapshot.display());
    let [bound, untyped, unsupported] = coverage.counts();
    println!("{bound} public names are bound, {untyped} untyped, {unsupported} unsupported");
    Ok(())
}

fn introspected() -> Result<Dump> {
    let introspection = Introspection { modules: vec!["dspy".into()], ..Introspection::default() };
    Ok(tokio::runtime::Runtime::new()?.block_on(introspection.run())?)
}

/// What an interpreter with another release says of it.
fn described_by(root: &Path, python: &Path, version: &str) -> Result<Dump> {
    let mut command = Command::new(python);
    command.args(["-m", "dspex_worker.describe"]).env("PYTHONPATH", root.join("python"));
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("{} cannot be started", python.display()))?;
    ensure!(
        output.status.success(),
        "{} could not describe its DSPy; the reason stands above",
        python.display()
    );
    let dump = Dump::parse(&String::from_utf8(output.stdout)?, "the description")?;
    let found = &dump.index().dspy;
    ensure!(found == version, "{} has DSPy {found}, not {version}", python.display());
    Ok(dump)
}

/// The table of a release: one per minor release, and one for the locked one.
fn table_name(earlier: Option<&str>) -> String {
    match earlier {
        Some(version) => {
            let minor: Vec<_> = version.split('.').take(2).collect();
            format!("dspy_{}.rs", minor.join("_"))
        }
        None => "table.rs".to_owned(),
    }
}
