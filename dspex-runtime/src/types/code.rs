//! `dspy.Code`.

use serde::{Deserialize, Serialize};

use super::json_schema;

/// A piece of a program: `dspy.Code`. A model is asked for a block of code, and what stands around it is taken away. DSPy
/// tells the model that it is Python; say in the field's description what else it should be.
///
/// ```
/// use dspex_runtime::types::Code;
///
/// let code = Code::new("print(42)");
/// assert_eq!(code.as_str(), "print(42)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    code: String,
}

json_schema!(Code, "object", "code");

impl Code {
    /// Code by its text.
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into() }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.code
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.code)
    }
}
