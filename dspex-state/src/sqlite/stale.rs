//! Temporary directories of processes that were killed before they could remove them.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

/// How the names of temporary directories begin.
pub(super) const PREFIX: &str = "dspex-state-";
/// The name of the file in them.
pub(super) const FILE: &str = "state.db";

/// Removes those whose owner is gone, which its lock tells. What cannot be removed stays.
pub(super) fn remove(temporary: &Path) {
    let entries = std::fs::read_dir(temporary).into_iter().flatten().flatten();
    let ours =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)));
    for directory in ours.map(|entry| entry.path()) {
        if let Some(lock) = abandoned(&directory) {
            if let Err(error) = std::fs::remove_dir_all(&directory) {
                tracing::debug!(%error, directory = %directory.display(), "an abandoned directory stays");
            }
            // Held until the directory is gone, so that nobody else removes it as well.
            drop(lock);
        }
    }
}

/// The lock of a directory that nobody has.
fn abandoned(directory: &Path) -> Option<File> {
    let path = super::lock::path_of(&directory.join(FILE));
    let mut lock = OpenOptions::new().read(true).write(true).open(path).ok()?;
    lock.try_lock().ok()?;
    // Its owner writes into the file when it has the lock; before that it is just about to take it.
    let mut owner = String::new();
    lock.read_to_string(&mut owner).ok().filter(|length| *length > 0).map(|_| lock)
}

#[cfg(test)]
mod tests {
    use super::super::SqliteStore;
    use super::super::lock::Lock;
    use super::*;

    #[test]
    fn only_directories_without_an_owner_are_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = |name: &str| {
            let path = temporary.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let (gone, alive, just_begun) =
            (directory("dspex-state-gone"), directory("dspex-state-alive"), directory("dspex-state-new"));
        let other = directory("somebody-elses");
        drop(SqliteStore::open(gone.join(FILE)).unwrap());
        drop(SqliteStore::open(other.join(FILE)).unwrap());
        let lock = Lock::take(&alive.join(FILE)).unwrap();
        std::fs::write(super::super::lock::path_of(&just_begun.join(FILE)), "").unwrap();
        remove(temporary.path());
        assert!(!gone.exists());
        assert!(alive.exists() && just_begun.exists() && other.exists());
        drop(lock);
    }
}
