//! Files that their owner alone can read.

use std::io::Write;
use std::path::{Path, PathBuf};

/// What the file system refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub(crate) struct FileError {
    path: PathBuf,
    error: std::io::Error,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError { path, error }
}

/// A directory of mode 0700 whose files have mode 0600.
pub(super) struct Dir {
    path: PathBuf,
}

impl Dir {
    /// A new one.
    pub(super) fn create(path: &Path) -> Result<Self, FileError> {
        make_private(path).map_err(failed(path))?;
        Ok(Self { path: path.to_owned() })
    }

    /// One that exists. What is not private any more is made so.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        std::fs::read_dir(path).map_err(failed(path))?;
        Ok(Self { path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn read(&self, name: impl AsRef<Path>) -> Result<String, FileError> {
        let path = self.path.join(name);
        std::fs::read_to_string(&path).map_err(failed(&path))
    }

    /// Writes a file whole: whoever reads it meanwhile finds the old one or the new one. `replace`: there may be one.
    pub(super) fn write(&self, name: impl AsRef<Path>, text: &str, replace: bool) -> Result<(), FileError> {
        let path = self.path.join(name);
        let problem = failed(&path);
        let write = || {
            if let Some(parent) = path.parent() {
                make_private(parent)?;
            }
            if !replace {
                return private_file(&path)?.write_all(text.as_bytes());
            }
            let mut temporary = path.clone().into_os_string();
            temporary.push(format!(".{}", std::process::id()));
            let _ = std::fs::remove_file(&temporary);
            let mut file = private_file(Path::new(&temporary))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)
        };
        write().map_err(problem)
    }

    /// Removes a directory with what is in it.
    pub(super) fn remove(&self, name: impl AsRef<Path>) -> Result<(), FileError> {
        let path = self.path.join(name);
        // The same one may have been named twice.
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }

    /// The names of the directories in one of its directories, in their order.
    pub(super) fn folders(&self, name: &str) -> Result<Vec<String>, FileError> {
        let path = self.path.join(name);
        let entries = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed(&path))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed(&path))?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.path().is_dir()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

/// A new file: one that exists is not overwritten.
fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
