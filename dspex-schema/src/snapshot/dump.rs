//! A dump: everything that one introspection of DSPy found, in one document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::index::{FUNCTIONS_FILE, INDEX_FILE, check_format};
use crate::{Class, Entry, Error, FORMAT, Index, Result, fingerprint};

/// What an introspection found: `{"format", "dspy", "classes": [..], "functions": [..]}`.
///
/// The documents are kept as they are, keys that this release does not know included.
#[derive(Clone, Debug)]
pub struct Dump {
    index: Index,
    classes: BTreeMap<String, (Class, Value)>,
    functions: Vec<Value>,
}

impl Dump {
    /// Reads a dump. `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Format`], or [`Error::Invalid`] for a class that is there twice, that has no
    /// fingerprint, or that does not say of which DSPy it is.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        check_format(text, origin)?;
        let malformed = |source| Error::Malformed { origin: origin.to_owned(), source };
        let mut document: Map<String, Value> = serde_json::from_str(text).map_err(malformed)?;
        let dspy = match document.get("dspy") {
            Some(Value::String(version)) => version.clone(),
            _ => return Err(Error::invalid(origin, "it has no `dspy`, the version that was introspected")),
        };
        let mut list = |key: &str| match document.remove(key) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Error::invalid(origin, format!("it has no list `{key}`"))),
        };
        let mut classes = BTreeMap::new();
        for document in list("classes")? {
            let document = with_header(document, &dspy);
            let name = document.get("name").and_then(Value::as_str).unwrap_or("a class").to_owned();
            let class = Class::parse(&document.to_string(), &format!("{origin}, {name}"))?;
            if !is_fingerprint(&class.abi_sha256) || !is_fingerprint(&class.doc_sha256) {
                return Err(Error::invalid(origin, format!("`{name}` lacks a fingerprint")));
            }
            if classes.insert(name.clone(), (class, fingerprint::sorted(&document))).is_some() {
                return Err(Error::invalid(origin, format!("`{name}` is there twice")));
            }
        }
        let functions: Vec<Value> = list("functions")?.iter().map(fingerprint::sorted).collect();
        let function_names = functions
            .iter()
            .map(|function| match function {
                Value::String(name) => Some(name.clone()),
                other => other.get("name")?.as_str().map(str::to_owned),
            })
            .collect::<Option<BTreeSet<String>>>()
            .ok_or_else(|| Error::invalid(origin, "a function has no name"))?;
        let entries = classes
            .keys()
            .zip(file_names(classes.keys()))
            .map(|(name, file)| (name.clone(), Entry::new(file, classes[name].0.abi_sha256.clone())))
            .collect();
        let index = Index::new(dspy, entries, function_names.into_iter().collect());
        Ok(Self { index, classes, functions })
    }

    /// The index that the files of this dump have.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The classes, by name.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.values().map(|(class, _)| class)
    }

    /// The files of the snapshot, by name: sorted keys, indented, one newline at the end. The index comes with them.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files: BTreeMap<String, String> = self
            .index
            .classes
            .iter()
            .map(|(name, entry)| (entry.file.clone(), pretty(&self.classes[name].1)))
            .collect();
        let index = json!({
            "format": FORMAT,
            "dspy": self.index.dspy,
            "classes": self.index.classes,
            "functions": self.index.functions,
        });
        files.insert(INDEX_FILE.to_owned(), pretty(&index));
        if self.functions.iter().any(Value::is_object) {
            let mut functions = self.functions.clone();
            functions.sort_by_key(|function| function.get("name").map(Value::to_string));
            let functions = json!({"format": FORMAT, "dspy": self.index.dspy, "functions": functions});
            files.insert(FUNCTIONS_FILE.to_owned(), pretty(&functions));
        }
        files
    }
}

/// A class file stands alone, so it repeats the format and the version of DSPy.
fn with_header(mut document: Value, dspy: &str) -> Value {
    if let Value::Object(map) = &mut document {
        map.entry("format").or_insert(FORMAT.into());
        map.entry("dspy").or_insert(dspy.into());
    }
    document
}

fn is_fingerprint(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One file name per class. Names that differ in case only would be one file on some systems and get a suffix.
fn file_names<'a>(names: impl Iterator<Item = &'a String> + Clone) -> Vec<String> {
    let mut folded: BTreeMap<String, usize> = BTreeMap::new();
    for name in names.clone() {
        *folded.entry(name.to_lowercase()).or_default() += 1;
    }
    names
        .map(|name| match folded[&name.to_lowercase()] {
            1 => format!("{name}.json"),
            _ => format!("{name}-{}.json", &fingerprint::of_bytes(name.as_bytes())[..8]),
        })
        .collect()
}

/// The text of a checked-in file.
fn pretty(value: &Value) -> String {
    // The alternate form of a value is indented JSON, and unlike the serialiser it cannot fail.
    format!("{:#}\n", fingerprint::sorted(value))
}
