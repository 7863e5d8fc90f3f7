//! The index of a snapshot: which classes it holds, in which files, with which fingerprints.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, FORMAT, Result};

/// The name of the index inside a snapshot directory.
pub(crate) const INDEX_FILE: &str = "index.json";

/// The name of the file with the descriptions of functions, which a snapshot may lack.
pub(crate) const FUNCTIONS_FILE: &str = "functions.json";

/// The index of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Index {
    /// The version of the format, see [`FORMAT`].
    pub format: u32,
    /// The release of DSPy that was introspected.
    #[serde(default)]
    pub dspy: String,
    /// The classes by public name.
    pub classes: BTreeMap<String, Entry>,
    /// The public names of functions.
    #[serde(default)]
    pub functions: Vec<String>,
    /// The fingerprint of the file of functions, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions_sha256: Option<String>,
    /// The modules that were introspected; `dspy` for DSPy itself. Empty in snapshots that do not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Public names that no program can reach, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unsupported: BTreeMap<String, String>,
    /// Modules of DSPy that introspection left out, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, String>,
    /// Public names of classes by the other paths that lead to them. Only a digest has these; see
    /// [`Catalog::digest`](crate::Catalog::digest).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
}

/// A class of the index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The name of its file, in the directory of the index.
    pub file: String,
    /// The fingerprint of everything a program depends on.
    pub abi_sha256: String,
    /// The fingerprint of the whole document, however it is laid out; older snapshots have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Entry {
    pub(crate) fn new(file: String, abi_sha256: String, sha256: String) -> Self {
        Self { file, abi_sha256, sha256: Some(sha256) }
    }
}

impl Index {
    pub(crate) fn new(dspy: String, classes: BTreeMap<String, Entry>, functions: Vec<String>) -> Self {
        Self {
            format: FORMAT,
            dspy,
            classes,
            functions,
            functions_sha256: None,
            modules: Vec::new(),
            unsupported: BTreeMap::new(),
            skipped: BTreeMap::new(),
            aliases: BTreeMap::new(),
        }
    }

    /// Reads an index. `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not JSON of this shape, [`Error::Format`] if it is of another format version,
    /// [`Error::Invalid`] if it points outside its own directory.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let index = parse(text, origin, |index: &Self| index.format)?;
        for (name, entry) in &index.classes {
            if entry.file.contains(['/', '\\']) || entry.file.starts_with('.') {
                return Err(Error::invalid(
                    origin,
                    format!("the file of `{name}`, `{}`, is not a plain file name", entry.file),
                ));
            }
        }
        Ok(index)
    }
}

/// Reads a document that says its format version. The version is looked for only when that is needed to say what is
/// wrong, since a document is read at every expansion of a macro, and nearly always right.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, origin: &str, format: fn(&T) -> u32) -> Result<T> {
    match serde_json::from_str(text) {
        Ok(document) if format(&document) == FORMAT => Ok(document),
        Ok(_) => check_format(text, origin).and_then(|()| Err(Error::invalid(origin, "it has two formats"))),
        Err(source) => {
            check_format(text, origin)?;
            Err(Error::Malformed { origin: origin.to_owned(), source })
        }
    }
}

/// Checks the format version before anything else is read, since everything else may differ in another one.
pub(crate) fn check_format(text: &str, origin: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Probe {
        format: Option<u32>,
    }
    let probe: Probe = serde_json::from_str(text)
        .map_err(|source| Error::Malformed { origin: origin.to_owned(), source })?;
    match probe.format {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(Error::Format { origin: origin.to_owned(), found }),
        None => Err(Error::invalid(origin, "it has no `format`")),
    }
}
