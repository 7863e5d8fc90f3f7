//! What can go wrong with a snapshot. Every message names the file and the next step.

use std::path::PathBuf;

/// A result whose error is an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A snapshot that cannot be read, written or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },

    /// A snapshot directory without an index.
    #[error("there is no schema in `{dir}`; run `schema-gen dump --out {dir}` to make one", dir = dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },

    /// Text that is not JSON, or not of the expected shape.
    #[error("`{origin}` is not a valid schema file: {source}; run `schema-gen dump` to write it anew")]
    Malformed {
        /// The file, with the position inside it carried by `source`.
        origin: String,
        /// Why it could not be understood.
        source: serde_json::Error,
    },

    /// A document that is JSON but lacks something.
    #[error("`{origin}` is not a valid schema file: {problem}; run `schema-gen dump` to write it anew")]
    Invalid {
        /// The file, or a name for the text that was read.
        origin: String,
        /// What is wrong, in half a sentence.
        problem: String,
    },

    /// A document of another format version.
    #[error(
        "`{origin}` has schema format {found}, this dspex reads format {}; {}",
        crate::FORMAT,
        if *.found > crate::FORMAT { "update dspex" } else { "run `schema-gen dump` to write it anew" }
    )]
    Format {
        /// The file, or a name for the text that was read.
        origin: String,
        /// The version found.
        found: u32,
    },

    /// A class file that is not the one the index was written with.
    #[error(
        "`{file}` does not match the index of its schema (fingerprint {found}, the index says {expected}); \
         restore the file or run `schema-gen dump`"
    )]
    Mismatch {
        /// The class file.
        file: String,
        /// The fingerprint in the index.
        expected: String,
        /// The fingerprint in the file.
        found: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn invalid(origin: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { origin: origin.into(), problem: problem.into() }
    }
}
