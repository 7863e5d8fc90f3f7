//! What a tool ends with that did not succeed.

use serde_json::{Value, json};

/// A tool's failure, in words for the language model.
///
/// It reaches the model as a value, `{"error": message, "retryable": bool}`, never as a traceback. What it holds is
/// sent to the model as it is, so it should say what to do next and hold nothing that the model must not know.
///
/// ```
/// use dspex_runtime::tool::ToolError;
///
/// let error = ToolError::new("no customer has the address sara@acme.io; ask for another one");
/// assert!(!error.is_retryable());
/// assert!(ToolError::new("the CRM is busy").retryable().is_retryable());
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    kind: ToolErrorKind,
    message: String,
    retryable: bool,
}

/// Why a tool failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolErrorKind {
    /// The function said so.
    Failed,
    /// The arguments do not fit the tool's schema.
    InvalidArguments,
    /// No such tool is registered now.
    NotRegistered,
    /// The tool's time limit passed.
    TimedOut,
    /// The function panicked. The panic's text goes to the log, not to the model.
    Panicked,
    /// The context lacks what the tool needs, such as a session.
    Context,
    /// What the function returned has no JSON form, or is over the limit of a message.
    Output,
}

impl ToolErrorKind {
    /// The name that it has on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::InvalidArguments => "invalid_arguments",
            Self::NotRegistered => "not_registered",
            Self::TimedOut => "timed_out",
            Self::Panicked => "panicked",
            Self::Context => "context",
            Self::Output => "output",
        }
    }
}

impl ToolError {
    /// The function failed; the same call would fail again.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(ToolErrorKind::Failed, message)
    }

    /// A failure of another kind.
    pub fn of(kind: ToolErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retryable: false }
    }

    /// The same call may succeed later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> ToolErrorKind {
        self.kind
    }

    /// What the model is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The value that the model sees.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({"error": self.message, "retryable": self.retryable})
    }
}
