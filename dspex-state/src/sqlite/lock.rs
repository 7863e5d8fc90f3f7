//! One process at a time: a lock that the system gives up with the process that held it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Held as long as the store is open.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// The lock's file of a store's file.
pub(super) fn path_of(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

impl Lock {
    /// Takes the lock, and writes down who has it.
    pub(super) fn take(store: &Path) -> Result<Self, StoreError> {
        let path = path_of(store);
        let failed = |source: std::io::Error| StoreError::Unavailable {
            doing: "open its lock",
            source: source.into(),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Whoever has it may not have written yet.
                let known = file.read_to_string(&mut pid).is_ok() && !pid.is_empty();
                let pid = if known { pid } else { "unknown".to_owned() };
                return Err(StoreError::Locked { path: store.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}
