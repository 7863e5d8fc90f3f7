//! Introspection of Python modules, through the same pool of workers that programs use.

use std::path::PathBuf;

use dspex_runtime::Dspex;
use dspex_runtime::pool::env::EnvConfig;
use dspex_schema::Dump;

use crate::Error;

/// What to introspect.
#[derive(Clone, Debug, Default)]
pub struct Introspection {
    /// Dotted paths of modules; `dspy` for DSPy itself.
    pub modules: Vec<String>,
    /// Directories in which Python looks for modules of your own.
    pub python_path: Vec<PathBuf>,
}

impl Introspection {
    /// Describes the public classes and functions of the modules.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the workers do not start or a module cannot be imported.
    pub async fn run(&self) -> Result<Dump, Error> {
        let mut builder = Dspex::builder().workers(1).environment(EnvConfig::new());
        for module in self.modules.iter().filter(|module| *module != "dspy") {
            builder = builder.allow_module(module);
        }
        for dir in &self.python_path {
            builder = builder.python_path(dir);
        }
        let dspex = builder.start().await?;
        let modules: Vec<&str> = self.modules.iter().map(String::as_str).collect();
        let document = dspex.dspy().discover_schema(&modules).await?;
        Ok(Dump::parse(&document.to_string(), "the worker's answer")?)
    }
}
