//! What can go wrong between a Rust value and its JSON.

use std::fmt;

/// A value did not cross the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    kind: WireErrorKind,
    /// Outermost segment last: errors are made at the leaf, and each level adds its own on the way out.
    path: Vec<Segment>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireErrorKind {
    /// The text is no JSON, or nests too deep.
    Syntax {
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The value has not the form that the type needs.
    Mismatch(String),
    /// A Python object without a JSON form stands where the type needs a value.
    Opaque {
        /// Its Python type.
        python_type: String,
        /// Its `repr`, shortened by the worker.
        repr: String,
    },
    /// The text holds lone surrogates, which no Rust string can hold.
    LoneSurrogate,
    /// The value nests deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    /// An object with the key `$dspex` that is no tag.
    BrokenTag(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

impl WireError {
    pub(super) fn new(kind: WireErrorKind) -> Self {
        Self { kind, path: Vec::new() }
    }

    pub(super) fn syntax(error: &serde_json::Error) -> Self {
        Self::new(WireErrorKind::Syntax {
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        })
    }

    /// The error as seen one level further out.
    pub(super) fn within(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &WireErrorKind {
        &self.kind
    }

    /// Where, as in `items[3].name`; empty for the document itself.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
                Segment::Key(key) if is_plain(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Segment::Key(key) => path.push_str(&format!("[{key:?}]")),
            }
        }
        path
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl fmt::Display for WireError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(formatter, "{path}: ")?;
        }
        match &self.kind {
            WireErrorKind::Syntax { message, .. } => write!(formatter, "not readable as JSON: {message}"),
            WireErrorKind::Mismatch(message) => formatter.write_str(message),
            WireErrorKind::Opaque { python_type, repr } => write!(
                formatter,
                "Python returned {repr} of type {python_type}, which has no JSON form; \
                 read it as a `serde_json::Value`, or return plain data"
            ),
            WireErrorKind::LoneSurrogate => formatter.write_str(
                "the text holds lone surrogates, which Rust strings cannot; read it as a `serde_json::Value`",
            ),
            WireErrorKind::TooDeep => {
                write!(formatter, "the value nests deeper than {} levels", super::MAX_DEPTH)
            }
            WireErrorKind::BrokenTag(problem) => write!(formatter, "a broken `$dspex` tag: {problem}"),
        }
    }
}

impl std::error::Error for WireError {}

impl serde::ser::Error for WireError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(WireErrorKind::Mismatch(message.to_string()))
    }
}

impl serde::de::Error for WireError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(WireErrorKind::Mismatch(message.to_string()))
    }
}
