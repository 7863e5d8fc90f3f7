//! SQLite's errors as the store's.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// The outcome of a statement, with what it was for.
pub(super) trait Doing<T> {
    /// The value, or the store's error.
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| failed(doing, error))
    }
}

/// An error without a path; [`located`] adds it where the path is known.
fn failed(doing: &'static str, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { path: "the store".into(), reason: error.to_string() }
        }
        _ => StoreError::Unavailable { doing, source: Box::new(error) },
    }
}

/// The same with the file's path where it names one.
pub(super) fn located(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Corrupt { reason, .. } => StoreError::Corrupt { path: path.to_owned(), reason },
        other => other,
    }
}

/// Something in the file that no version of dspex writes.
pub(super) fn corrupt(reason: impl ToString) -> StoreError {
    StoreError::Corrupt { path: "the store".into(), reason: reason.to_string() }
}
