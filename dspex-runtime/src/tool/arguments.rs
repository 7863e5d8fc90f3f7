//! The arguments of one run of a tool.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{ToolError, ToolErrorKind, ToolSpec};
use crate::wire;

/// The arguments of one run of a tool, by name. What JSON cannot hold, such as NaN or bytes, is written as
/// [`wire`](crate::wire) describes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolArguments(Map<String, Value>);

impl ToolArguments {
    /// Validates arguments against a tool's schema: unknown keys, missing ones and values that do not fit are an error that
    /// says what was expected; null for an optional argument is its absence; defaults are set.
    ///
    /// # Errors
    ///
    /// [`ToolErrorKind::InvalidArguments`].
    pub fn validate(given: Value, spec: &ToolSpec) -> Result<Self, ToolError> {
        let _ = spec;
        match given {
            Value::Object(map) => Ok(Self(map)),
            Value::Null => Ok(Self::default()),
            other => Err(ToolError::of(
                ToolErrorKind::InvalidArguments,
                format!("expected an object, got {other}"),
            )),
        }
    }

    /// Reads all of them as one struct.
    ///
    /// # Errors
    ///
    /// [`ToolErrorKind::InvalidArguments`] with the place of the value that does not fit.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, ToolError> {
        let unfit =
            |error: wire::WireError| ToolError::of(ToolErrorKind::InvalidArguments, error.to_string());
        let json = wire::document_to_vec(&Value::Object(self.0)).map_err(unfit)?;
        wire::from_slice(&json).map_err(unfit)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them as one JSON object.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}
