//! Regenerates the built-in snapshot of DSPy's API, by introspection of the locked DSPy.

use std::path::Path;

use anyhow::{Result, bail};
use dspex_schema::{Catalog, builtin_table};
use schema_gen::Introspection;

const SNAPSHOTS: &str = "dspex-schema/schemas";
const TABLE: &str = "dspex-schema/src/builtin/table.rs";

/// Writes the snapshot and the table that embeds it. With `check`, writes nothing and fails where they are stale.
pub fn run(root: &Path, check: bool) -> Result<()> {
    let introspection = Introspection { modules: vec!["dspy".into()], ..Introspection::default() };
    let runtime = tokio::runtime::Runtime::new()?;
    let dump = runtime.block_on(introspection.run())?;
    let version = dump.index().dspy.clone();
    let snapshot = root.join(SNAPSHOTS).join(&version);
    let prefix = format!("../../schemas/{version}");
    if check {
        let scratch = tempfile::tempdir()?;
        dump.write_snapshot(scratch.path())?;
        let difference = dspex_schema::compare(&snapshot, scratch.path())?;
        let table = std::fs::read_to_string(root.join(TABLE))?;
        if !difference.is_empty() || table != builtin_table(&Catalog::open(scratch.path())?, &prefix)? {
            bail!("the built-in snapshot is stale; run `cargo xtask schema`\n{difference:#?}");
        }
        println!("the built-in snapshot of DSPy {version} is up to date");
        return Ok(());
    }
    let changes = dump.write_snapshot(&snapshot)?;
    std::fs::write(root.join(TABLE), builtin_table(&Catalog::open(&snapshot)?, &prefix)?)?;
    println!("{}: {changes:?}", snapshot.display());
    Ok(())
}
