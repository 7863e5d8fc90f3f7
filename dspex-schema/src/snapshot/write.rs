//! Writing a snapshot: only what changed, and all of it or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Dump;
use crate::index::INDEX_FILE;
use crate::{Error, Result};

/// What writing a snapshot did to its directory, as file names in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Files that were not there before.
    pub added: Vec<String>,
    /// Files whose text is another now.
    pub changed: Vec<String>,
    /// Files of classes that are no longer there.
    pub removed: Vec<String>,
    /// How many files stayed as they were, with their times.
    pub unchanged: usize,
}

impl Changes {
    /// Whether the directory is as it was.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Dump {
    /// Writes the snapshot into a directory, which is made if need be. Files that stay the same are not touched;
    /// class files that do not belong to the snapshot are removed, other files are left alone.
    ///
    /// All new texts are written next to their places first and then renamed into them, the index last. A full disk
    /// therefore changes nothing, and a reader that comes in between finds an index that its fingerprints contradict.
    ///
    /// # Errors
    /// [`Error::Io`] with the file it was about.
    pub fn write_snapshot(&self, dir: &Path) -> Result<Changes> {
        // Only a class file has all of these; anything else is not ours to remove.
        write_files(dir, &self.files(), |_, document| {
            ["abi_sha256", "name", "kind"].iter().all(|key| document.get(key).is_some())
        })
    }
}

/// Writes files into a directory, all of them or none, and removes those of its JSON files that are `ours` and that the
/// new ones do not have.
pub(super) fn write_files(
    dir: &Path,
    files: &BTreeMap<String, String>,
    ours: impl Fn(&str, &Value) -> bool,
) -> Result<Changes> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let mut changes = Changes::default();
    let mut staged = Staged::default();
    for (name, text) in files {
        let path = dir.join(name);
        match fs::read(&path) {
            Ok(present) if present == text.as_bytes() => {
                changes.unchanged += 1;
                continue;
            }
            Ok(_) => changes.changed.push(name.clone()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => changes.added.push(name.clone()),
            Err(error) => return Err(Error::io("read", &path)(error)),
        }
        staged.write(dir, name, text)?;
    }
    let stale = stale_files(dir, files, ours)?;
    staged.commit()?;
    for name in stale {
        let path = dir.join(&name);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        changes.removed.push(name);
    }
    Ok(changes)
}

/// Files written next to their places; what is not committed is removed again.
#[derive(Default)]
struct Staged {
    files: Vec<(PathBuf, PathBuf)>,
}

impl Staged {
    fn write(&mut self, dir: &Path, name: &str, text: &str) -> Result<()> {
        let temporary = dir.join(format!(".{name}.{}.new", std::process::id()));
        self.files.push((temporary.clone(), dir.join(name)));
        let mut file = fs::File::create(&temporary).map_err(Error::io("create", &temporary))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(Error::io("write", &temporary))
    }

    fn commit(mut self) -> Result<()> {
        self.files.sort_by_key(|(_, path)| path.ends_with(INDEX_FILE));
        for (temporary, path) in &self.files {
            fs::rename(temporary, path).map_err(Error::io("replace", path))?;
        }
        self.files.clear();
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for (temporary, _) in &self.files {
            // Nothing more can be done about a file that cannot be removed; the error that led here is reported.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Files of the directory that an earlier snapshot put there.
fn stale_files(
    dir: &Path,
    files: &BTreeMap<String, String>,
    ours: impl Fn(&str, &Value) -> bool,
) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let entry = entry.map_err(Error::io("read", dir))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.ends_with(".json") || name.starts_with('.') || files.contains_key(&name) {
            continue;
        }
        let document =
            fs::read_to_string(entry.path()).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        if document.is_some_and(|document| ours(&name, &document)) {
            stale.push(name);
        }
    }
    stale.sort();
    Ok(stale)
}
