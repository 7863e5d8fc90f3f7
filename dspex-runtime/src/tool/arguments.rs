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
    /// Validates arguments against a tool's schema.
    ///
    /// Null stands for an object without keys, and for an optional argument it stands for its absence; then defaults are set.
    /// Nothing is coerced: `"7"` is no integer. As JSON Schema has it, 7.0 is one, and is written as 7.
    ///
    /// ```
    /// use dspex_runtime::tool::{ToolArguments, ToolParameter, ToolSpec};
    /// use serde_json::json;
    ///
    /// let spec = ToolSpec::builder("plan_of", "Plan of a customer, by e-mail.")
    ///     .parameter(ToolParameter::required("email", json!({"type": "string"})))
    ///     .parameter(ToolParameter::optional("invoices", json!({"type": "integer", "minimum": 0}), json!(3)))
    ///     .build();
    /// let arguments = ToolArguments::validate(json!({"email": "sara@acme.io", "invoices": null}), &spec)?;
    /// assert_eq!(arguments.get("invoices"), Some(&json!(3)));
    ///
    /// let error = ToolArguments::validate(json!({"mail": "sara@acme.io"}), &spec).unwrap_err();
    /// assert_eq!(error.message(), "The arguments of `plan_of` do not fit:\n\
    ///     - `email` is missing: expected string\n\
    ///     - `mail` is not known; did you mean `email`?\n\
    ///     It takes `email` (string), `invoices` (integer of at least 0, optional).");
    /// # Ok::<(), dspex_runtime::ToolError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ToolErrorKind::InvalidArguments`] with everything that does not fit and what was expected, in words for the model. Of long
    /// values it holds the beginning.
    pub fn validate(given: Value, spec: &ToolSpec) -> Result<Self, ToolError> {
        let invalid = |message| ToolError::of(ToolErrorKind::InvalidArguments, message);
        match spec.check.get() {
            Some(check) => check.validate(spec.name(), given).map(Self).map_err(invalid),
            // Registration refuses such a tool, so no model comes here.
            None => {
                let problem = spec.problem().unwrap_or("it was not built");
                Err(invalid(format!("the tool `{}` cannot be used: {problem}", spec.name())))
            }
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
