//! What stores refuse, and how they fail.

use std::error::Error;
use std::path::PathBuf;

use crate::record::Revision;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The id belongs to a session that lives.
    #[error("there is a session `{0}` already")]
    SessionExists(String),
    /// There is no such session, or no more.
    #[error("there is no session `{0}`; it may have expired or been deleted")]
    SessionNotFound(String),
    /// A quota does not allow it. Nothing was written.
    #[error("the quota of {limit} {what} does not allow {wanted}")]
    Quota {
        /// What is limited: `sessions`, `variables` or `bytes`.
        what: &'static str,
        /// The quota.
        limit: u64,
        /// How many there would be.
        wanted: u64,
    },
    /// One write of a batch does not fit what is there. Nothing of the batch was written.
    #[error("the variable `{name}` {refusal}")]
    Refused {
        /// Which write of the batch, from 0.
        place: usize,
        /// The variable.
        name: String,
        /// Why.
        refusal: Refusal,
    },
    /// The changes that were asked for are not kept any more.
    #[error("the changes after revision {after} are not kept any more; the oldest are those after {oldest}")]
    Compacted {
        /// After which revision changes were asked for.
        after: Revision,
        /// After which revision there are changes.
        oldest: Revision,
    },
    /// The store has no room. Reading goes on.
    #[error("the store has no room left; free some on its disk")]
    Full,
    /// Another process has the store.
    #[error("{} is in use by the process {pid}; end it, or use another directory", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// The other process.
        pid: String,
    },
    /// The file is damaged.
    #[error("{} is damaged: {reason}; put a backup in its place, or move it away to begin anew", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was written by a later dspex.
    #[error("{place} has the format {found}, and this dspex knows formats up to {known}; use a newer dspex")]
    Newer {
        /// The store.
        place: String,
        /// Its format.
        found: u32,
        /// The latest format that is known.
        known: u32,
    },
    /// The file belongs to another program.
    #[error("{} is no store of dspex: {reason}; use another place", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// The store does not do this itself; the text says what does.
    #[error("{0}")]
    Unsupported(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The disk or the database failed. Whether a write took effect is not known.
    #[error("the store failed to {doing}")]
    Unavailable {
        /// What it was to do.
        doing: &'static str,
        /// How it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Why a write does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is such a variable.
    #[error("exists already")]
    Exists,
    /// There is no such variable.
    #[error("does not exist")]
    NotFound,
    /// The variable has another version.
    #[error("has the version {found}, not {expected}")]
    Version {
        /// The version that the write is for.
        expected: Revision,
        /// The version that the variable has.
        found: Revision,
    },
    /// The variable's spec is another one than the value was held against.
    #[error("has another spec by now")]
    Spec {
        /// The spec that the value was held against.
        expected: Revision,
        /// The spec that the variable has.
        found: Revision,
    },
}
