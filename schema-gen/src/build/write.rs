//! Writing what a build produces: only what changed, and each file whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::Error;

/// Writes a file unless it holds this text already. A reader sees the old file or the new one.
pub(crate) fn file(path: &Path, text: &str) -> Result<(), Error> {
    match fs::read(path) {
        Ok(present) if present == text.as_bytes() => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("read", path)(error)),
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = fs::write(&temporary, text).map_err(Error::io("write", &temporary));
    written.and_then(|()| fs::rename(&temporary, path).map_err(Error::io("replace", path))).inspect_err(
        |_| {
            // What led here is reported; nothing more can be done about a file that cannot be removed either.
            let _ = fs::remove_file(&temporary);
        },
    )
}

/// Makes the JSON files of a directory exactly these. The index is written last, and removed first.
pub(crate) fn digest(dir: &Path, files: &BTreeMap<String, String>) -> Result<(), Error> {
    let index = "index.json";
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    if !files.contains_key(index) {
        remove(&dir.join(index))?;
    }
    for (name, text) in files.iter().filter(|(name, _)| *name != index) {
        file(&dir.join(name), text)?;
    }
    if let Some(text) = files.get(index) {
        file(&dir.join(index), text)?;
    }
    for entry in fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let path = entry.map_err(Error::io("read", dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".json") && !files.contains_key(&name) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), format!("{{\"{name}\": 1}}"))).collect()
    }

    #[test]
    fn a_file_that_stays_the_same_keeps_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/dspy.rs");
        file(&path, "one").unwrap();
        let past = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&path).unwrap().set_modified(past).unwrap();
        file(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), past);
        file(&path, "two").unwrap();
        assert_ne!(fs::metadata(&path).unwrap().modified().unwrap(), past);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    }

    #[test]
    fn a_digest_holds_nothing_of_the_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        digest(dir.path(), &files(&["index.json", "dspy.Old.json"])).unwrap();
        digest(dir.path(), &files(&["index.json", "dspy.New.json"])).unwrap();
        let mut present: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        present.sort();
        assert_eq!(present, ["dspy.New.json", "index.json"]);
        digest(dir.path(), &BTreeMap::new()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("taken"), "").unwrap();
        let error = file(&dir.path().join("taken/dspy.rs"), "text").unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
    }
}
