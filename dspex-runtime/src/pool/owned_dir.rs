//! A private directory that never outlives its owner for long: who was killed leaves it, and whoever starts next removes it.
//!
//! Its file `owner.json` names the owner by a random token, its process id and that process' start time, and is locked while the
//! owner lives. Only what has such a file, of a process that is gone, and no lock on it is removed; never anything by its name
//! alone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::process::start_time;

const PREFIX: &str = "dspex-pool-";
const OWNER: &str = "owner.json";

/// An owner's file is far smaller.
const OWNER_BYTES: u64 = 4096;

/// A directory that only this user can enter. Removed on drop.
pub(crate) struct OwnedDir {
    dir: TempDir,
    // Held for its lock.
    _owner: File,
}

#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    token: String,
    pid: u32,
    start_time: Option<u64>,
}

impl OwnedDir {
    /// Makes one among the temporary files.
    pub(crate) fn new() -> std::io::Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    fn within(temporary: &Path) -> std::io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(temporary)?;
        let mut file =
            OpenOptions::new().read(true).write(true).create_new(true).open(dir.path().join(OWNER))?;
        // Before anything is written: an empty file says that its owner is about to lock it.
        file.lock()?;
        let pid = std::process::id();
        let token = uuid::Uuid::new_v4().simple().to_string();
        let owner = serde_json::to_vec(&Owner { token, pid, start_time: start_time(pid) })?;
        file.write_all(&owner)?;
        Ok(Self { dir, _owner: file })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes what owners left behind that are gone.
pub(crate) fn clean(temporary: &Path) {
    let entries = std::fs::read_dir(temporary).into_iter().flatten().flatten();
    let ours =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)));
    for directory in ours.map(|entry| entry.path()) {
        if let Some(lock) = abandoned(&directory) {
            if let Err(error) = std::fs::remove_dir_all(&directory) {
                tracing::debug!(target: "dspex::pool", %error, directory = %directory.display(), "an abandoned directory stays");
            }
            // Held until it is gone, so that nobody else removes it as well.
            drop(lock);
        }
    }
}

/// The lock of a directory whose owner is gone.
fn abandoned(directory: &PathBuf) -> Option<File> {
    // Anybody may put what they like among the temporary files; only this user's is looked into.
    let user = rustix::process::geteuid().as_raw();
    let found = std::fs::symlink_metadata(directory).ok()?;
    if !found.is_dir() || found.uid() != user {
        return None;
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(directory.join(OWNER)).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.uid() != user {
        return None;
    }
    file.try_lock().ok()?;
    let mut text = String::new();
    (&file).take(OWNER_BYTES).read_to_string(&mut text).ok()?;
    let owner: Owner = serde_json::from_str(&text).ok()?;
    // Where the lock says nothing (some network file systems), the process does.
    let lives = owner.start_time.is_some() && start_time(owner.pid) == owner.start_time;
    (!lives && !owner.token.is_empty()).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory as a process leaves it that was killed.
    fn left_behind(temporary: &Path, name: &str, owner: &str) -> PathBuf {
        let path = temporary.join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(OWNER), owner).unwrap();
        std::fs::write(path.join("0-1.sock"), "").unwrap();
        path
    }

    #[test]
    fn only_what_its_owner_left_behind_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let at = temporary.path();
        let alive = OwnedDir::within(at).unwrap();
        let gone = left_behind(at, "dspex-pool-gone", r#"{"token": "t", "pid": 4194305, "start_time": 7}"#);
        let reused = format!(r#"{{"token": "t", "pid": {}, "start_time": 7}}"#, std::process::id());
        let reused = left_behind(at, "dspex-pool-reused", &reused);
        let pid = std::process::id();
        let lives = serde_json::json!({"token": "t", "pid": pid, "start_time": start_time(pid)}).to_string();
        let unlocked = left_behind(at, "dspex-pool-unlocked", &lives);
        let nameless = left_behind(at, "dspex-pool-nameless", "");
        let other = left_behind(at, "somebody-elses", r#"{"token": "t", "pid": 4194305, "start_time": 7}"#);
        clean(at);
        assert!(!gone.exists(), "its owner is gone");
        assert!(!reused.exists(), "another process has its owner's number");
        assert!(alive.path().exists() && unlocked.exists(), "their owners live");
        assert!(nameless.exists() && other.exists(), "a name is no proof");
        drop(alive);
        assert_eq!(std::fs::read_dir(at).unwrap().count(), 3);
    }

    #[test]
    fn what_is_no_owners_file_is_not_even_waited_for() {
        let temporary = tempfile::tempdir().unwrap();
        let at = temporary.path();
        let gone = left_behind(at, "somewhere", r#"{"token": "t", "pid": 4194305, "start_time": 7}"#);
        let (pipe, link) = (at.join("dspex-pool-pipe"), at.join("dspex-pool-link"));
        std::fs::create_dir(&pipe).unwrap();
        let made = std::process::Command::new("mkfifo").arg(pipe.join(OWNER)).status();
        assert!(made.unwrap().success());
        std::fs::create_dir(&link).unwrap();
        std::os::unix::fs::symlink(gone.join(OWNER), link.join(OWNER)).unwrap();
        let long = format!(r#"{{"token": "{}", "pid": 4194305}}"#, "t".repeat(OWNER_BYTES as usize));
        let long = left_behind(at, "dspex-pool-long", &long);
        clean(at);
        assert!(pipe.exists() && link.exists() && long.exists());
    }

    #[test]
    fn two_hosts_side_by_side_never_remove_each_others() {
        let temporary = tempfile::tempdir().unwrap();
        let hosts: Vec<OwnedDir> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| OwnedDir::within(temporary.path()))).collect();
            starts.into_iter().map(|start| start.join().unwrap().unwrap()).collect()
        });
        for host in &hosts {
            clean(temporary.path());
            assert!(host.path().join(OWNER).exists());
        }
    }
}
