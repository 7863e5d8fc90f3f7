//! File work that several steps share: fingerprints for directory names, whole-file writes, locks between processes.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::EnvError;

/// Names a directory after everything that its content depends on: the first 16 hex digits of a SHA-256.
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    /// `kind` keeps apart the fingerprints of different things.
    pub(super) fn new(kind: &str) -> Self {
        let mut print = Self(Sha256::new());
        print.add(kind.as_bytes());
        print
    }

    /// Each part goes in with its length, so that no two lists of parts look the same.
    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(super) fn finish(self) -> String {
        let mut digits = hex::encode(self.0.finalize());
        digits.truncate(16);
        digits
    }
}

/// Writes a JSON file so that a reader sees all of it or none, and creates the directories above it.
pub(super) fn write_json(file: &Path, value: &impl Serialize) -> Result<(), EnvError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    create_dir(dir)?;
    let write = || -> io::Result<()> {
        let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
        temporary.write_all(&serde_json::to_vec_pretty(value)?)?;
        temporary.persist(file)?;
        Ok(())
    };
    write().map_err(EnvError::io("write", file))
}

pub(super) fn create_dir(dir: &Path) -> Result<(), EnvError> {
    fs::create_dir_all(dir).map_err(EnvError::io("create the directory", dir))
}

/// The right to build something that several processes may want at once. It ends with the process, however that ends.
pub(super) struct BuildLock {
    _file: File,
}

impl BuildLock {
    /// Takes the lock; calls `waiting` first if another process holds it.
    pub(super) fn take(file: &Path, waiting: impl FnOnce()) -> Result<Self, EnvError> {
        if let Some(dir) = file.parent() {
            create_dir(dir)?;
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(file)
            .map_err(EnvError::io("open the lock file", file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                lock.lock().map_err(EnvError::io("wait for the lock file", file))?;
            }
            Err(TryLockError::Error(error)) => return Err(EnvError::io("lock the file", file)(error)),
        }
        Ok(Self { _file: lock })
    }
}

/// Something built in a temporary directory beside its final place, and moved there when it is complete.
///
/// The name begins with `.<name>.`, so that whoever holds the build lock of `name` can tell leftovers of builders that
/// died. Dropped before [`Staging::publish`], it takes its directory with it.
pub(super) struct Staging {
    dir: tempfile::TempDir,
    place: PathBuf,
}

impl Staging {
    /// To be called with the build lock of `place` held: leftovers of earlier builders are removed.
    pub(super) fn beside(place: &Path) -> Result<Self, EnvError> {
        let (parent, name) = match (place.parent(), place.file_name().and_then(|name| name.to_str())) {
            (Some(parent), Some(name)) => (parent, name),
            _ => return Err(EnvError::io("build", place)(io::ErrorKind::InvalidFilename.into())),
        };
        create_dir(parent)?;
        let prefix = format!(".{name}.");
        let leftovers = fs::read_dir(parent).map_err(EnvError::io("read the directory", parent))?;
        for leftover in
            leftovers.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        {
            // A child of the dead builder may still be writing; what stays is removed by the next builder.
            if let Err(error) = fs::remove_dir_all(leftover.path()) {
                tracing::warn!(target: "dspex::env", path = %leftover.path().display(), %error, "could not remove a leftover");
            }
        }
        let dir = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(parent)
            .map_err(EnvError::io("create a directory in", parent))?;
        Ok(Self { dir, place: place.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Moves what was built to its place.
    pub(super) fn publish(self) -> Result<(), EnvError> {
        let Self { dir, place } = self;
        if place.exists() {
            // Only an incomplete one can be here: a complete one would have been used instead of built anew.
            fs::remove_dir_all(&place).map_err(EnvError::io("remove the incomplete", &place))?;
        }
        widen(dir.path()).map_err(EnvError::io("set the permissions of", dir.path()))?;
        fs::rename(dir.path(), &place).map_err(EnvError::io("move the finished build to", &place))?;
        // It is at its place: there is nothing left to clean up.
        let _ = dir.keep();
        Ok(())
    }
}

/// A temporary directory is private to its user; a finished build may be read by others who share the cache.
#[cfg(unix)]
fn widen(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn widen(_dir: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_fingerprint_do_not_run_together() {
        let print = |parts: &[&str]| {
            let mut print = Fingerprint::new("test");
            parts.iter().for_each(|part| print.add(part.as_bytes()));
            print.finish()
        };
        assert_eq!(print(&["ab", "c"]), print(&["ab", "c"]));
        assert_ne!(print(&["ab", "c"]), print(&["a", "bc"]));
        assert_eq!(print(&[]).len(), 16);
    }

    #[test]
    fn a_build_appears_whole_and_leftovers_of_dead_builders_go() {
        let cache = tempfile::tempdir().unwrap();
        let place = cache.path().join("thing");
        let leftover = cache.path().join(".thing.dead");
        fs::create_dir_all(leftover.join("half")).unwrap();
        let other = cache.path().join(".thing2.alive");
        fs::create_dir(&other).unwrap();

        let staging = Staging::beside(&place).unwrap();
        fs::write(staging.path().join("file"), "whole").unwrap();
        assert!(!place.exists() && !leftover.exists() && other.exists());
        staging.publish().unwrap();
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "whole");
    }

    #[test]
    fn an_abandoned_build_leaves_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let staging = Staging::beside(&cache.path().join("thing")).unwrap();
        fs::write(staging.path().join("file"), "half").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }
}
