//! The build script's side: a schema directory in, a digest for the macros and a module of bindings out.

mod select;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dspex_codegen::{Bindings, classes_in_schemas};
use dspex_schema::{Catalog, Class, Function};

use self::select::Selection;
use crate::Error;

/// The directory that is looked for if none is named.
const DEFAULT_DIR: &str = "dspy-schema";

/// Begins the configuration of a build.
///
/// ```no_run
/// schema_gen::configure().include(["dspy.Predict", "dspy.teleprompt.*"]).compile()?;
/// # Ok::<(), schema_gen::Error>(())
/// ```
pub fn configure() -> Config {
    Config::default()
}

/// What a build script does with a schema. Begin with [`configure()`], end with [`Config::compile`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing happens before `compile()`"]
pub struct Config {
    schema_dir: Option<PathBuf>,
    selection: Selection,
    bindings: Bindings,
    out_file: Option<PathBuf>,
}

impl Config {
    /// The schema directory that `schema-gen dump` wrote, relative to the package. Without this option it is
    /// `dspy-schema`, and where that does not exist the snapshot of DSPy that comes with dspex.
    pub fn schema_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.schema_dir = Some(dir.into());
        self
    }

    /// Which classes and functions get bindings: names (`dspy.ReAct`) or everything below a module (`dspy.teleprompt.*`). Default: all.
    pub fn include<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.selection.include.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Which of them get none after all. The macros know every class of the schema in any case.
    pub fn exclude<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.selection.exclude.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// A type of yours for values of a Python class: `.type_path("my_team.rag.Passage", "crate::Passage")`. It needs
    /// `Clone`, `Debug`, `PartialEq` and `#[derive(FieldType)]` where inputs or outputs of a program hold it, else serde
    /// alone. The class gets no bindings.
    pub fn type_path(mut self, class: impl Into<String>, path: impl Into<String>) -> Self {
        self.bindings.type_paths.insert(class.into(), path.into());
        self
    }

    /// An attribute for the struct that stands for a class: `.class_attribute("dspy.Predict", "#[allow(dead_code)]")`.
    pub fn class_attribute(mut self, class: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.bindings.attributes.entry(class.into()).or_default().push(attribute.into());
        self
    }

    /// Where the bindings go, instead of `$OUT_DIR/dspex/dspy.rs`, from where `dspex::include_bindings!()` takes them.
    pub fn out_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.out_file = Some(path.into());
        self
    }

    /// Verifies the schema, hands it to the macros, and writes the bindings. Files that stay the same are not touched.
    ///
    /// # Errors
    ///
    /// A schema that is missing, damaged, of another format, or whose files do not belong together; an option that
    /// makes no sense; a file that cannot be written. Cargo shows the message as an error of the package.
    pub fn compile(self) -> Result<(), Error> {
        self.run().inspect_err(|error| println!("cargo::error={}", error.line()))
    }

    fn run(self) -> Result<(), Error> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).ok_or(Error::NoBuildScript(name));
        let (package, out) = (variable("CARGO_MANIFEST_DIR")?, variable("OUT_DIR")?.join("dspex"));
        println!("cargo::rerun-if-changed=build.rs");
        let directory = self.directory(&package);
        match &directory {
            Some(dir) => println!("cargo::rerun-if-changed={}", dir.display()),
            // Cargo cannot wait for a directory to appear. It does appear between two builds, and what is edited then
            // is compiled anyway.
            None => println!("cargo::rerun-if-changed=src\ncargo::rerun-if-changed=Cargo.toml"),
        }
        let out_file = self.out_file.clone().unwrap_or_else(|| out.join("dspy.rs"));
        match directory {
            Some(dir) => {
                let catalog = verified(&dir)?;
                let digest = catalog.digest()?;
                let text = self.text(&catalog)?;
                write::digest(&out, &digest)?;
                write::file(&out_file, &text)
            }
            // The macros have the same snapshot inside of them.
            None => {
                let text = self.text(builtin()?)?;
                write::digest(&out, &BTreeMap::new())?;
                write::file(&out_file, &text)
            }
        }
    }

    /// The directory to read; none for the built-in snapshot.
    fn directory(&self, package: &Path) -> Option<PathBuf> {
        match &self.schema_dir {
            Some(dir) => Some(package.join(dir)),
            None => Some(package.join(DEFAULT_DIR)).filter(|dir| dir.exists()),
        }
    }

    /// The bindings.
    fn text(&self, catalog: &Catalog) -> Result<String, Error> {
        let classes = catalog.classes().collect::<dspex_schema::Result<Vec<_>>>()?;
        let functions = catalog.functions()?;
        let paths = classes.iter().flat_map(class_paths).chain(functions.iter().flat_map(function_paths));
        self.selection.check(paths)?;
        // A class of data may have a type although its module was not introspected: a program of one that was uses it.
        let used = |name: &String| classes.iter().any(|class| classes_in_schemas(class).contains(name));
        for name in self.bindings.type_paths.keys().chain(self.bindings.attributes.keys()) {
            let paths = self.bindings.type_paths.contains_key(name);
            let known = classes.iter().any(|class| class.name == *name) || (paths && used(name));
            if !known {
                let near = catalog.suggest(name).map(|near| format!("; did you mean `{near}`?"));
                let hint = near.unwrap_or_default();
                return Err(Error::Option(format!("the schema has no class `{name}`{hint}")));
            }
        }
        let classes: Vec<_> =
            classes.iter().filter(|class| self.selection.selects(class_paths(class))).collect();
        let functions: Vec<_> =
            functions.iter().filter(|function| self.selection.selects(function_paths(function))).collect();
        self.bindings.text(&classes, &functions).map_err(Error::Option)
    }
}

/// The catalogue of a directory none of whose files was edited, lost or left over. All that is wrong is told, the first
/// as the error.
fn verified(dir: &Path) -> Result<Catalog, Error> {
    let (catalog, problems) = dspex_schema::verify(dir)?;
    let mut problems = problems.into_iter().map(Error::from);
    match problems.next() {
        None => Ok(catalog),
        Some(first) => {
            problems.for_each(|problem| println!("cargo::error={}", problem.line()));
            Err(first)
        }
    }
}

fn class_paths(class: &Class) -> impl Iterator<Item = &str> + Clone {
    let others = class.exports.iter().filter(|path| **path != class.canonical);
    std::iter::once(class.name.as_str()).chain(others.map(String::as_str))
}

fn function_paths(function: &Function) -> impl Iterator<Item = &str> + Clone {
    let others = function.exports.iter().filter(|path| **path != function.canonical);
    std::iter::once(function.name.as_str()).chain(others.map(String::as_str))
}

fn builtin() -> Result<&'static Catalog, Error> {
    Ok(Catalog::builtin())
}
