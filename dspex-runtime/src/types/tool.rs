//! `dspy.Tool`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::json_schema;
use crate::tool::{Declaration, ToolSet, ToolSpec};

/// A tool as the value of an input: `dspy.Tool`. The model that a module asks may choose it, which the module tells as
/// [`ToolCalls`](super::ToolCalls); `dspy.Predict` runs none of them.
///
/// A program in Python that calls it reaches the tool of that name in the session.
///
/// ```
/// use dspex_runtime::tool::ToolSpec;
/// use dspex_runtime::types::Tool;
///
/// let tool = Tool::new(ToolSpec::builder("search", "Searches the index.").build());
/// assert_eq!(tool.spec().name(), "search");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    spec: ToolSpec,
}

json_schema!(Tool, "object", "tool");

impl Tool {
    /// A tool of this name, description and parameters.
    #[must_use]
    pub fn new(spec: ToolSpec) -> Self {
        Self { spec }
    }

    /// All tools of a set, in order.
    #[must_use]
    pub fn all(tools: &ToolSet) -> Vec<Self> {
        tools.specs().cloned().map(Self::new).collect()
    }

    /// What is told of it.
    #[must_use]
    pub fn spec(&self) -> &ToolSpec {
        &self.spec
    }
}

impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Declaration::of_session(&self.spec).to_document().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        ToolSpec::of_declaration(&document).map(Self::new).ok_or_else(|| {
            de::Error::custom("a tool is an object with `name`, `desc` and `args`, a JSON Schema for each")
        })
    }
}
