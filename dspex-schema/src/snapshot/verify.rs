//! Checking a snapshot by itself: its format, its hashes, and that nothing of it is missing or left over.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::catalog::read;
use crate::index::{FUNCTIONS_FILE, INDEX_FILE, check_format};
use crate::{Catalog, Class, Entry, Error, Result, fingerprint};

/// Checks a snapshot in a directory without any Python, and gives the catalogue and everything that is wrong with the
/// files: one that is missing, that is no class of this format, or that is not the one the index was written with.
///
/// # Errors
/// What [`Catalog::open`] says of the index itself.
pub fn verify(dir: &Path) -> Result<(Catalog, Vec<Error>)> {
    let catalog = Catalog::open(dir)?;
    let index = catalog.index();
    let mut problems = Vec::new();
    for (name, entry) in &index.classes {
        problems.extend(check_class(dir, name, entry).err());
    }
    if let Some(expected) = &index.functions_sha256 {
        problems.extend(check_functions(&dir.join(FUNCTIONS_FILE), expected).err());
    }
    problems.extend(strays(dir, &catalog)?);
    Ok((catalog, problems))
}

fn check_class(dir: &Path, name: &str, entry: &Entry) -> Result<()> {
    let path = dir.join(&entry.file);
    let origin = path.display().to_string();
    let text = read(&path).map_err(|error| match error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let index = dir.join(INDEX_FILE).display().to_string();
            Error::invalid(index, format!("it names `{}`, which is not there", entry.file))
        }
        other => other,
    })?;
    let class = Class::parse(&text, &origin)?;
    if class.name != name {
        return Err(Error::invalid(origin, format!("it describes `{}`, not `{name}`", class.name)));
    }
    let mismatch = |expected: &str, found: String| Error::Mismatch {
        file: origin.clone(),
        expected: expected.to_owned(),
        found,
    };
    if class.abi_sha256 != entry.abi_sha256 {
        return Err(mismatch(&entry.abi_sha256, class.abi_sha256));
    }
    match &entry.sha256 {
        Some(expected) => check_text(&text, &origin, expected),
        None => Ok(()),
    }
}

fn check_functions(path: &Path, expected: &str) -> Result<()> {
    let (text, origin) = (read(path)?, path.display().to_string());
    check_format(&text, &origin)?;
    check_text(&text, &origin, expected)
}

fn check_text(text: &str, origin: &str, expected: &str) -> Result<()> {
    let document: Value = serde_json::from_str(text)
        .map_err(|source| Error::Malformed { origin: origin.to_owned(), source })?;
    let found = fingerprint::of(&document);
    if found == expected {
        return Ok(());
    }
    Err(Error::Mismatch { file: origin.to_owned(), expected: expected.to_owned(), found })
}

/// Class files that the index does not know: a half-merged or a half-written snapshot.
fn strays(dir: &Path, catalog: &Catalog) -> Result<Vec<Error>> {
    let known: Vec<&str> = catalog.index().classes.values().map(|entry| entry.file.as_str()).collect();
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let name = entry.map_err(Error::io("read", dir))?.file_name();
        let Some(name) = name.to_str() else { continue };
        let ours = name.ends_with(".json") && !name.ends_with(".schema.json") && !name.starts_with('.');
        if ours && ![INDEX_FILE, FUNCTIONS_FILE].contains(&name) && !known.contains(&name) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    let stray = |name: String| {
        let origin = dir.join(name).display().to_string();
        Error::invalid(origin, "the index of its directory does not list it")
    };
    Ok(names.into_iter().map(stray).collect())
}
