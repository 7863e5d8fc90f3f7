//! What DSPy asks a model, with the JSON of `request_to_dict` in `dspy._vendor.lm15.serde`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::message::{Message, Part, Role};
use crate::wire::{self, WireError};

/// A complete request to a model: the conversation, the instructions, the tools and the settings.
///
/// ```
/// use dspex_runtime::lm::LmRequest;
/// let request = LmRequest::user("rust/model", "How many moons has Mars?").with_system("Answer in one word.");
/// assert_eq!(request.last_user_text(), "How many moons has Mars?");
/// assert!(request.prompt_text().contains("one word"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LmRequest {
    /// The model as the program named it, such as `rust/model`.
    pub model: String,
    /// The conversation, oldest first. DSPy's examples (demos) come as pairs of user and assistant messages.
    pub messages: Vec<Message>,
    /// The instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemText>,
    /// Tools that the model may call natively.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// The settings.
    #[serde(default, skip_serializing_if = "LmConfig::is_empty")]
    pub config: LmConfig,
}

impl LmRequest {
    /// A request of one user message.
    #[must_use]
    pub fn user(model: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(model, vec![Message::user(text)])
    }

    /// A request of a whole conversation.
    #[must_use]
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self { model: model.into(), messages, system: None, tools: Vec::new(), config: LmConfig::default() }
    }

    /// The same request with these instructions.
    #[must_use]
    pub fn with_system(mut self, text: impl Into<String>) -> Self {
        self.system = Some(SystemText::Text(text.into()));
        self
    }

    /// The instructions as text; empty where there are none.
    #[must_use]
    pub fn system_text(&self) -> String {
        match &self.system {
            None => String::new(),
            Some(SystemText::Text(text)) => text.clone(),
            Some(SystemText::Parts(parts)) => {
                let texts: Vec<&str> = parts.iter().filter_map(Part::as_text).collect();
                texts.join("\n")
            }
        }
    }

    /// The text of the newest user message; empty where there is none.
    #[must_use]
    pub fn last_user_text(&self) -> String {
        self.messages
            .iter()
            .rev()
            .find(|message| message.role == Role::User)
            .map(Message::text)
            .unwrap_or_default()
    }

    /// The whole prompt as one text for people to read: each message after a line with its role in brackets.
    #[must_use]
    pub fn prompt_text(&self) -> String {
        let mut text = String::new();
        let system = self.system_text();
        if !system.is_empty() {
            text.push_str("[system]\n");
            text.push_str(&system);
            text.push('\n');
        }
        for message in &self.messages {
            text.push_str(&format!("[{}]\n", message.role.as_str()));
            for part in &message.parts {
                match part {
                    Part::Text(part) => text.push_str(&part.text),
                    Part::Thinking(part) => text.push_str(&part.text),
                    Part::ToolCall(call) => text.push_str(&format!("<call {} {}>", call.name, call.input)),
                    Part::ToolResult(result) => {
                        let texts: Vec<&str> = result.content.iter().filter_map(Part::as_text).collect();
                        text.push_str(&format!("<result {}> {}", result.id, texts.join("\n")));
                    }
                    other => text.push_str(&format!("<{}>", other.kind())),
                }
                text.push('\n');
            }
        }
        text
    }

    /// The function tool of this name.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&FunctionTool> {
        self.tools.iter().find_map(|tool| match tool {
            ToolSpec::Function(tool) if tool.name == name => Some(tool),
            _ => None,
        })
    }

    /// Reads the payload of a worker's callback.
    #[doc(hidden)]
    pub fn decode(json: &[u8]) -> Result<Self, WireError> {
        wire::from_slice(json)
    }
}

/// Instructions: one text, or parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum SystemText {
    /// One text.
    Text(String),
    /// Parts, where the instructions hold more than text.
    Parts(Vec<Part>),
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolSpec {
    /// A function of the program.
    Function(FunctionTool),
    /// A tool that the provider runs itself.
    Builtin(BuiltinTool),
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FunctionTool {
    /// The name to call it by.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the arguments: an object.
    #[serde(default = "no_parameters")]
    pub parameters: Value,
}

impl FunctionTool {
    /// A tool with this name, description and JSON Schema of its arguments.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Self {
        Self { name: name.into(), description: Some(description.into()), parameters }
    }
}

/// A tool that the provider runs itself, such as a web search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuiltinTool {
    /// The provider's name of it.
    pub name: String,
    /// Its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
}

fn no_parameters() -> Value {
    serde_json::json!({"type": "object", "properties": {}})
}

/// The settings of a request. What is `None` is the provider's choice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LmConfig {
    /// At most this many tokens in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Sample among this many most likely tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub stop: Vec<String>,
    /// The form of the answer: `{"type": "json_object"}`, or
    /// `{"type": "json_schema", "schema": {..}, "name": .., "strict": ..}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    /// Whether and which tools may or must be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// How much the model thinks before it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// The provider's prompt cache; opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Value>,
    /// For answers that can be repeated, where the provider can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// The provider's tier of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// An opaque id of the end user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Whether the provider may keep the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// 0: log probabilities of the chosen tokens; n: also of the n best others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u64>,
    /// `off`, `if_available` or `required`: probabilities of judged fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<String>,
    /// What only one provider knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Map<String, Value>>,
    /// Settings that this version does not know, as they came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl LmConfig {
    /// Nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The JSON Schema that the answer must adhere to, where one was asked for.
    #[must_use]
    pub fn json_schema(&self) -> Option<&Value> {
        let format = self.response_format.as_ref()?;
        (format.get("type")?.as_str()? == "json_schema").then(|| format.get("schema")).flatten()
    }

    /// The answer must be JSON, with or without a schema.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        let kind =
            self.response_format.as_ref().and_then(|format| format.get("type")).and_then(Value::as_str);
        matches!(kind, Some("json_schema" | "json_object"))
    }
}

/// Whether and which tools may or must be called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolChoice {
    /// `auto`, `required` or `none`; empty reads as `auto`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Only these tools; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub allowed: Vec<String>,
    /// Whether several calls may come in one answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<bool>,
}

/// How much the model thinks before it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Reasoning {
    /// `off`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub effort: String,
    /// At most this many tokens of thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<u64>,
    /// `auto`, `concise` or `detailed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// lm15 reads a bare string as a list of one.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}
