//! What reading and writing variables can end with.

use crate::record::Revision;
use crate::spec::{Invalid, SpecError};
use crate::store::{Refusal, StoreError};
use crate::value::Mismatch;

/// Why a variable could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// There is a variable of the name.
    #[error("there is a variable `{0}` already; `update` sets it, and `upsert` sets it or makes it")]
    AlreadyExists(String),
    /// There is no variable of the name.
    #[error("there is no variable `{name}`{}", suggestion.as_ref().map(|other| format!("; did you mean `{other}`?")).unwrap_or_default())]
    NotFound {
        /// The name.
        name: String,
        /// The most similar one that there is.
        suggestion: Option<String>,
    },
    /// Somebody wrote it since. Nothing was written.
    #[error(
        "the variable `{name}` has the version {found} by now, not {expected}; read it again and decide anew"
    )]
    VersionConflict {
        /// The variable.
        name: String,
        /// The version that the write was for.
        expected: Revision,
        /// The version that it has.
        found: Revision,
    },
    /// The value breaks rules of the variable. Nothing was written.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The spec does not make sense.
    #[error("the variable `{name}`: {source}")]
    Spec {
        /// The variable.
        name: String,
        /// What is wrong with it.
        source: SpecError,
    },
    /// The variable holds something else than what it was read as.
    #[error("the variable `{name}`: {source}")]
    Mismatch {
        /// The variable.
        name: String,
        /// What was wanted, and what it holds.
        source: Mismatch,
    },
    /// Names have 1 to 256 characters, none of them a control character.
    #[error("{0:?} is no name of a variable: it needs 1 to 256 characters, none of them a control character")]
    Name(String),
    /// The version is not kept any more, or never was.
    #[error("the variable `{name}` has no version {version} in its history; {}", kept(.oldest))]
    NoVersion {
        /// The variable.
        name: String,
        /// The version.
        version: Revision,
        /// The oldest that is kept.
        oldest: Option<Revision>,
    },
    /// A document that is no export of a session, or not one that this dspex knows.
    #[error("this is no export of a session: {0}")]
    Import(String),
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreError),
}

fn kept(oldest: &Option<Revision>) -> String {
    match oldest {
        Some(oldest) => format!("the oldest that is kept is {oldest}"),
        None => "none is kept".to_owned(),
    }
}

impl From<StoreError> for VariableError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused { name, refusal, .. } => match refusal {
                Refusal::Exists => Self::AlreadyExists(name),
                Refusal::NotFound => Self::NotFound { name, suggestion: None },
                Refusal::Version { expected, found } => Self::VersionConflict { name, expected, found },
                // Only when specs change faster than a write can follow.
                Refusal::Spec { expected, found } => Self::VersionConflict { name, expected, found },
            },
            other => Self::Store(other),
        }
    }
}
