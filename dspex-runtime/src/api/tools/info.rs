//! What a registered tool is, as data.

use serde_json::Value;

use crate::tool::ToolSpec;

/// The language that a tool is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolLanguage {
    /// Rust: it runs in this process.
    Rust,
    /// Python: it runs in a worker.
    Python {
        /// Its dotted path.
        path: String,
    },
}

/// What a registered tool is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolInfo {
    /// Its description, parameters, result and limits.
    pub spec: ToolSpec,
    /// The language that it is written in.
    pub language: ToolLanguage,
}

impl ToolInfo {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.spec.name()
    }
}

impl ToolInfo {
    /// A tool of Python as a worker describes it.
    pub(super) fn of_python(path: &str, described: &Value) -> Option<Self> {
        let spec = ToolSpec::of_declaration(described)?;
        Some(Self { spec, language: ToolLanguage::Python { path: path.to_owned() } })
    }
}
