//! Where the macros look classes up: in exactly one place.
//!
//! If the crate's build script calls `schema_gen::configure()..compile()` and the crate has a schema of its own, that
//! one lies digested in `$OUT_DIR/dspex`, and only it counts. Otherwise it is the snapshot of the DSPy that this
//! release was built for. Nothing is ever merged, and cargo expands anew whenever the build script ran.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use dspex_schema::{Catalog, Class, FieldNameProblem, closest};
use syn::LitStr;

use crate::prelude::*;

/// A catalogue, and the classes that were looked up in it: most crates have several modules of one class, and macros
/// run unoptimised, so that reading a class takes as long as the rest of an expansion.
struct Schema {
    catalog: Catalog,
    classes: Mutex<BTreeMap<String, Arc<Class>>>,
}

impl Schema {
    fn new(catalog: Catalog) -> Arc<Self> {
        Arc::new(Self { catalog, classes: Mutex::default() })
    }

    /// The class at a path, read once.
    fn get(&self, path: &str) -> Result<Option<Arc<Class>>, dspex_schema::Error> {
        // A panic cannot leave a half-made entry.
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(class) = classes.get(path) {
            return Ok(Some(class.clone()));
        }
        let Some(class) = self.catalog.get(path)?.map(Arc::new) else { return Ok(None) };
        classes.insert(path.to_owned(), class.clone());
        Ok(Some(class))
    }
}

/// The schema of the crate that is being compiled.
fn schema() -> Result<Arc<Schema>, dspex_schema::Error> {
    // Set for crates with a build script, in tests, examples and doctests too.
    let directory = std::env::var_os("OUT_DIR").map(|dir| Path::new(&dir).join("dspex"));
    let index = directory.as_deref().map(|dir| dir.join("index.json")).filter(|index| index.is_file());
    match (directory, index) {
        (Some(directory), Some(index)) => digested(&directory, &index),
        _ => {
            static BUILTIN: LazyLock<Arc<Schema>> = LazyLock::new(|| Schema::new(Catalog::builtin().clone()));
            Ok(BUILTIN.clone())
        }
    }
}

/// Reading the index takes longer than an expansion. rustc serves one crate per process; an editor serves many, for
/// long, and therefore the time of the file decides whether what was read is still true.
fn digested(directory: &Path, index: &Path) -> Result<Arc<Schema>, dspex_schema::Error> {
    static LAST: Mutex<Option<(PathBuf, SystemTime, Arc<Schema>)>> = Mutex::new(None);
    let time = index.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    // A panic cannot leave a half-made entry.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((path, then, schema)) = &*last
        && path == index
        && *then == time
    {
        return Ok(schema.clone());
    }
    let schema = Schema::new(Catalog::open(directory)?);
    *last = Some((index.to_owned(), time, schema.clone()));
    Ok(schema)
}

/// The class with this name, or an error that proposes another.
pub(crate) fn class(name: &LitStr) -> Result<Arc<Class>> {
    class_in(schema(), name)
}

fn class_in(schema: Result<Arc<Schema>, dspex_schema::Error>, name: &LitStr) -> Result<Arc<Class>> {
    let path = name.value();
    let unusable = |error: dspex_schema::Error| err!(name, "the schema of `{path}` cannot be used: {error}");
    let schema = schema.map_err(unusable)?;
    match schema.get(&path).map_err(unusable)? {
        Some(class) => Ok(class),
        None => Err(unknown(name, &path, &schema.catalog)),
    }
}

/// Whether this can be the path of a class that nothing is known about.
pub(crate) fn path(name: &LitStr) -> Result {
    let path = name.value();
    let part = |part: &str| {
        dspex_schema::check_field_name(part.trim_start_matches('_'), dspex_schema::Side::Output, None)
    };
    let is_name =
        |text: &str| !text.is_empty() && !matches!(part(text), Err(FieldNameProblem::NotAnIdentifier { .. }));
    match path.contains('.') && path.split('.').all(is_name) {
        true => Ok(()),
        false => {
            Err(err!(name, "`{path}` is no dotted path of a class; write one, such as `my_team.rag.Answer`"))
        }
    }
}

fn unknown(name: &LitStr, path: &str, catalog: &Catalog) -> Error {
    let dspy = &catalog.index().dspy;
    let functions = catalog.index().functions.iter().map(String::as_str);
    if functions.clone().any(|function| function == path) {
        return err!(
            name,
            "`{path}` is a function of DSPy {dspy}, not a class; call it through `session.dspy()`"
        );
    }
    if let Some(reason) = catalog.index().unsupported.get(path) {
        return err!(name, "`{path}` cannot be used: {reason}");
    }
    match catalog.suggest(path) {
        Some(other) => err!(name, "DSPy {dspy} has no class `{path}`; did you mean `{other}`?"),
        None => match closest(path, functions) {
            Some(function) => err!(
                name,
                "DSPy {dspy} has no class `{path}`; the function `{function}` can be called through `session.dspy()`"
            ),
            None => err!(
                name,
                "DSPy {dspy} has no class `{path}`; give the public path of a class, such as `dspy.Predict`"
            ),
        },
    }
}

/// The class that was probably meant.
pub(crate) fn meant(path: &str) -> Option<Arc<Class>> {
    let schema = schema().ok()?;
    schema.get(schema.catalog.suggest(path)?).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use dspex_schema::Catalog;
    use proc_macro2::Span;
    use serde_json::Value;
    use tempfile::TempDir;

    use super::*;

    /// What a build script leaves behind.
    fn digest() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in Catalog::builtin().digest().unwrap() {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn edit(dir: &TempDir, file: &str, from: &str, to: &str) {
        let path = dir.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }

    fn look_up(dir: &TempDir, name: &str) -> Result<Arc<Class>, String> {
        let schema = digested(dir.path(), &dir.path().join("index.json"));
        class_in(schema, &LitStr::new(name, Span::call_site())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_class_is_found_by_all_of_its_paths_and_read_once() {
        let dir = digest();
        let class = look_up(&dir, "dspy.Predict").unwrap();
        assert_eq!(look_up(&dir, "dspy.predict.predict.Predict").unwrap().name, "dspy.Predict");
        fs::remove_file(dir.path().join("dspy.Predict.json")).unwrap();
        assert!(Arc::ptr_eq(&look_up(&dir, "dspy.Predict").unwrap(), &class));
    }

    #[test]
    fn a_digest_that_was_written_again_is_read_again() {
        let dir = digest();
        assert!(look_up(&dir, "dspy.Predict").is_ok());
        let path = dir.path().join("index.json");
        let mut index: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        index["classes"].as_object_mut().unwrap().remove("dspy.Predict");
        index["dspy"] = "9.9.9".into();
        fs::write(&path, index.to_string()).unwrap();
        // As if some time had passed, whatever the file system's clock can tell.
        let later = SystemTime::now() + Duration::from_secs(10);
        fs::File::options().append(true).open(&path).unwrap().set_modified(later).unwrap();
        let error = look_up(&dir, "dspy.Predict").unwrap_err();
        assert!(error.starts_with("DSPy 9.9.9 has no class `dspy.Predict`"), "{error}");
    }

    #[test]
    fn a_digest_that_cannot_be_used_says_which_file_and_what_to_do() {
        type Damage = fn(&TempDir);
        let cases: &[(Damage, &[&str])] = &[
            (
                |dir| edit(dir, "dspy.Predict.json", "\"abi_sha256\": \"", "\"abi_sha256\": \"00"),
                &["dspy.Predict.json` does not match the index", "run `schema-gen dump`"],
            ),
            (
                |dir| edit(dir, "dspy.Predict.json", "\"format\": 1", "\"format\": 2"),
                &["dspy.Predict.json` has schema format 2", "update dspex"],
            ),
            (
                |dir| edit(dir, "dspy.Predict.json", "\"async\": true", "\"async\": maybe"),
                &["dspy.Predict.json` is not a valid schema file", "line 3"],
            ),
            (
                |dir| fs::remove_file(dir.path().join("dspy.Predict.json")).unwrap(),
                &["index.json`", "`dspy.Predict.json`, which is not there"],
            ),
            (|dir| edit(dir, "index.json", "{", "["), &["index.json` is not a valid schema file"]),
        ];
        for (damage, parts) in cases {
            let dir = digest();
            damage(&dir);
            let error = look_up(&dir, "dspy.Predict").unwrap_err();
            assert!(error.starts_with("the schema of `dspy.Predict` cannot be used: "), "{error}");
            for part in *parts {
                assert!(error.contains(part), "{part:?} is not in: {error}");
            }
        }
    }
}
