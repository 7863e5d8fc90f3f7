//! `dspy.History`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json_schema;
use crate::error::{Error, Result};
use crate::wire;

/// Earlier turns of a conversation: `dspy.History`. Each turn has the fields of the signature, inputs and outputs.
///
/// ```
/// use dspex_runtime::types::History;
/// use serde_json::json;
///
/// # fn main() -> dspex_runtime::Result<()> {
/// let history = History::new().turn(&json!({"question": "6 * 7?", "answer": "42"}))?;
/// assert_eq!(history.messages().len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    messages: Vec<Map<String, Value>>,
}

json_schema!(History, "history");

impl History {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more turn: anything that serialises as an object.
    ///
    /// # Errors
    /// [`Error::Wire`] if it does not serialise, or not as an object.
    pub fn turn(mut self, turn: &impl Serialize) -> Result<Self> {
        let text = wire::to_vec(turn).and_then(|bytes| wire::from_slice(&bytes));
        let message = text
            .map_err(|problem| Error::Wire { what: "the turn is no object of fields".to_owned(), problem })?;
        self.messages.push(message);
        Ok(self)
    }

    /// The turns, oldest first.
    #[must_use]
    pub fn messages(&self) -> &[Map<String, Value>] {
        &self.messages
    }
}
