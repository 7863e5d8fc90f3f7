//! `dspy.ToolCalls`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json_schema;

/// The tools that a model wants to have called: `dspy.ToolCalls`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCalls {
    tool_calls: Vec<ToolCall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool_call_results: Option<Value>,
}

json_schema!(ToolCalls, "object", "tool-calls");

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The id by which the model's provider knows the call, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name of the tool.
    pub name: String,
    /// Its arguments.
    pub args: Map<String, Value>,
}

impl ToolCalls {
    /// Calls in order.
    pub fn new(calls: impl IntoIterator<Item = ToolCall>) -> Self {
        Self { tool_calls: calls.into_iter().collect(), tool_call_results: None }
    }

    /// The calls, in order.
    #[must_use]
    pub fn calls(&self) -> &[ToolCall] {
        &self.tool_calls
    }

    /// What came of them, where they were executed.
    #[must_use]
    pub fn results(&self) -> Option<&Value> {
        self.tool_call_results.as_ref()
    }
}

impl ToolCall {
    /// A call without arguments.
    pub fn new(name: impl Into<String>) -> Self {
        Self { id: None, name: name.into(), args: Map::new() }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn arg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.args.insert(name.into(), value.into());
        self
    }
}
