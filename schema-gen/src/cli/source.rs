//! Where a schema comes from: a directory, a release of DSPy that comes with dspex, or introspection.

use std::path::{Path, PathBuf};

use clap::Args;
use dspex_schema::{Catalog, Dump};
use schema_gen::Introspection;

use super::{Failure, block_on};

/// The directory that programs check in.
pub const DEFAULT_DIR: &str = "dspy-schema";

/// What to introspect.
#[derive(Args)]
pub struct Modules {
    /// A module's dotted path; may be given several times [default: dspy].
    #[arg(long = "module", value_name = "MODULE")]
    pub modules: Vec<String>,
    /// A directory in which Python looks for your modules; may be given several times.
    #[arg(long = "python-path", value_name = "DIR")]
    pub python_path: Vec<PathBuf>,
}

impl Modules {
    /// Introspects them; `otherwise` where the command line names none.
    pub fn introspect(&self, otherwise: &[String]) -> Result<Dump, Failure> {
        for dir in &self.python_path {
            if !dir.is_dir() {
                return Err(Failure::new(format!(
                    "there is no directory `{}`; give one that holds your modules to `--python-path`",
                    dir.display()
                )));
            }
        }
        let mut modules = if self.modules.is_empty() { otherwise.to_vec() } else { self.modules.clone() };
        if modules.is_empty() {
            modules.push("dspy".to_owned());
        }
        let python_path = self.python_path.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
        Ok(block_on(Introspection { modules, python_path }.run())??)
    }
}

/// The schema in a directory, or of a release of DSPy.
pub fn open(name: &str) -> Result<Catalog, Failure> {
    if let Some(catalog) = Catalog::of_dspy(name)? {
        return Ok(catalog);
    }
    let dir = Path::new(name);
    let looks_like_a_release = name.starts_with(|first: char| first.is_ascii_digit()) && !dir.exists();
    if looks_like_a_release {
        let known: Vec<_> = Catalog::versions().collect();
        return Err(Failure::new(format!(
            "dspex has no schema of DSPy {name}; it has those of {}; write one with `schema-gen dump --out DIR` in an \
             environment with that DSPy, and give the directory",
            known.join(", ")
        )));
    }
    Ok(Catalog::open(dir)?)
}
