//! A dump: everything that one introspection of DSPy found, in one document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::index::{FUNCTIONS_FILE, INDEX_FILE, check_format};
use crate::{Class, Entry, Error, FORMAT, Function, Index, Result, fingerprint};

/// What an introspection found: `{"format", "dspy", "classes": [..], "functions": [..]}`, and optionally the
/// `modules` that were asked for, the names that are `unsupported` and the modules that were `skipped`, both with reasons.
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
        let (class_documents, functions) = (list("classes")?, list("functions")?);
        let mut classes = BTreeMap::new();
        for document in class_documents {
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
        let functions: Vec<Value> = functions.iter().map(fingerprint::sorted).collect();
        let function_names = functions
            .iter()
            .map(|function| match function {
                Value::String(name) => Some(name.clone()),
                other => other.get("name")?.as_str().map(str::to_owned),
            })
            .collect::<Option<BTreeSet<String>>>()
            .ok_or_else(|| Error::invalid(origin, "a function has no name"))?;
        let entries = classes
            .iter()
            .zip(file_names(classes.keys()))
            .map(|((name, (class, document)), file)| {
                let entry = Entry::new(file, class.abi_sha256.clone(), fingerprint::of(document));
                (name.clone(), entry)
            })
            .collect();
        let mut index = Index::new(dspy, entries, function_names.into_iter().collect());
        index.modules = part(&mut document, "modules").map_err(malformed)?;
        index.unsupported = part(&mut document, "unsupported").map_err(malformed)?;
        index.skipped = part(&mut document, "skipped").map_err(malformed)?;
        let mut dump = Self { index, classes, functions };
        dump.index.functions_sha256 = dump.functions_document().as_ref().map(fingerprint::of);
        Ok(dump)
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
        files.insert(INDEX_FILE.to_owned(), pretty(&json!(self.index)));
        if let Some(functions) = self.functions_document() {
            files.insert(FUNCTIONS_FILE.to_owned(), pretty(&functions));
        }
        files
    }

    /// The functions that are described.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a description that cannot be understood.
    pub fn functions(&self) -> Result<Vec<Function>> {
        let described = self.functions.iter().filter(|function| function.is_object());
        let read = |function: &Value| {
            serde_json::from_value(function.clone())
                .map_err(|source| Error::Malformed { origin: FUNCTIONS_FILE.to_owned(), source })
        };
        described.map(read).collect()
    }

    /// The document with the functions; `None` where only their names are known.
    fn functions_document(&self) -> Option<Value> {
        if !self.functions.iter().any(Value::is_object) {
            return None;
        }
        let mut functions = self.functions.clone();
        functions.sort_by_key(|function| function.get("name").map(Value::to_string));
        Some(json!({"format": FORMAT, "dspy": self.index.dspy, "functions": functions}))
    }
}

/// A part of the dump that may be missing.
fn part<T: serde::de::DeserializeOwned + Default>(
    document: &mut Map<String, Value>,
    key: &str,
) -> serde_json::Result<T> {
    document.remove(key).map_or_else(|| Ok(T::default()), serde_json::from_value)
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
pub(super) fn pretty(value: &Value) -> String {
    // The alternate form of a value is indented JSON, and unlike the serialiser it cannot fail.
    format!("{:#}\n", fingerprint::sorted(value))
}
