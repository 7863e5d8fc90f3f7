//! Temporary directories of processes that were killed before they could remove them.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
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
    // Anybody may put what they like among the temporary files, also what makes a reader wait for ever: only this user's
    // directories are looked into, and only plain files are opened.
    let found = std::fs::symlink_metadata(directory).ok()?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return None;
    }
    let path = super::lock::path_of(&directory.join(FILE));
    std::fs::symlink_metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
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

    #[test]
    fn what_is_no_lock_is_not_even_waited_for() {
        let temporary = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(elsewhere.path().join(FILE)).unwrap());
        let (pipe, link) =
            (temporary.path().join("dspex-state-pipe"), temporary.path().join("dspex-state-link"));
        std::fs::create_dir(&pipe).unwrap();
        let made =
            std::process::Command::new("mkfifo").arg(super::super::lock::path_of(&pipe.join(FILE))).status();
        assert!(made.unwrap().success());
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let (done, removed) = std::sync::mpsc::channel();
        let path = temporary.path().to_owned();
        std::thread::spawn(move || {
            remove(&path);
            done.send(())
        });
        removed.recv_timeout(std::time::Duration::from_secs(10)).expect("it waits for nothing");
        assert!(pipe.exists() && link.exists() && elsewhere.path().join(FILE).exists());
    }
}
