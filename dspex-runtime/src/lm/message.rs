//! Messages and their parts, with the JSON of `part_to_dict` and `message_to_dict` in `dspy._vendor.lm15.serde`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// Results of tools.
    Tool,
    /// Instructions of the application in the middle of a conversation.
    Developer,
}

impl Role {
    /// The name as it stands in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
            Role::Developer => "developer",
        }
    }
}

/// One contribution to a conversation.
///
/// ```
/// use dspex_runtime::lm::Message;
/// let message = Message::user("How many moons has Mars?");
/// assert_eq!(message.text(), "How many moons has Mars?");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order. Never empty in a message that DSPy sends or accepts.
    pub parts: Vec<Part>,
    /// State that a provider wants back with the conversation; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

impl Message {
    /// A message of the given role.
    #[must_use]
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, continuation: Vec::new() }
    }

    /// A user's text.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, vec![Part::text(text)])
    }

    /// A model's text.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, vec![Part::text(text)])
    }

    /// The text parts, joined by line breaks; empty where there is none.
    #[must_use]
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.parts.iter().filter_map(Part::as_text).collect();
        texts.join("\n")
    }

    /// The tool calls among the parts.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

/// A piece of a message.
///
/// Kinds that this version does not know arrive as [`Part::Other`] with their JSON untouched.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// Plain text.
    Text(TextPart),
    /// The model's reasoning.
    Thinking(ThinkingPart),
    /// The model declined.
    Refusal(RefusalPart),
    /// A reference to a source.
    Citation(CitationPart),
    /// An image.
    Image(MediaPart),
    /// Sound.
    Audio(MediaPart),
    /// A film.
    Video(MediaPart),
    /// A document such as a PDF.
    Document(MediaPart),
    /// Any other file.
    Binary(MediaPart),
    /// The model wants a tool to run.
    ToolCall(ToolCall),
    /// What a tool returned.
    ToolResult(ToolResult),
    /// Structured data.
    Data(DataPart),
    /// A kind that this version does not know, as it came.
    Other(Value),
}

impl Part {
    /// A text part.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text(TextPart { text: text.into(), continuation: Vec::new() })
    }

    /// A reasoning part.
    #[must_use]
    pub fn thinking(text: impl Into<String>) -> Self {
        Part::Thinking(ThinkingPart { text: text.into(), continuation: Vec::new() })
    }

    /// A call of the tool `name` with an object of arguments. `id` pairs it with its result.
    #[must_use]
    pub fn tool_call(id: impl Into<String>, name: impl Into<String>, input: Value) -> Self {
        Part::ToolCall(ToolCall { id: id.into(), name: name.into(), input, continuation: Vec::new() })
    }

    /// The text of a text part.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Part::Text(part) => Some(&part.text),
            _ => None,
        }
    }

    /// The kind's name as it stands in JSON; empty for an unknown part without one.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Part::Text(_) => "text",
            Part::Thinking(_) => "thinking",
            Part::Refusal(_) => "refusal",
            Part::Citation(_) => "citation",
            Part::Image(_) => "image",
            Part::Audio(_) => "audio",
            Part::Video(_) => "video",
            Part::Document(_) => "document",
            Part::Binary(_) => "binary",
            Part::ToolCall(_) => "tool_call",
            Part::ToolResult(_) => "tool_result",
            Part::Data(_) => "data",
            Part::Other(value) => value.get("type").and_then(Value::as_str).unwrap_or_default(),
        }
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Part::text(text)
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Part::text(text)
    }
}

/// Plain text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TextPart {
    /// The text.
    #[serde(default)]
    pub text: String,
    /// Provider state; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

/// The model's reasoning. Hidden reasoning has an empty text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ThinkingPart {
    /// The reasoning as text.
    #[serde(default)]
    pub text: String,
    /// Provider state; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

/// The model declined to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefusalPart {
    /// What it said instead. Never empty.
    #[serde(default)]
    pub text: String,
    /// Provider state; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

/// A reference to a source; at least one of the fields is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CitationPart {
    /// The quoted text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The source's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Provider state; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

/// An image, sound, film, document or other file: exactly one of `data`, `url`, `file_id` and `path` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MediaPart {
    /// The media type, such as `image/png`.
    #[serde(default)]
    pub media_type: String,
    /// The content in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Where the content is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The provider's id of an uploaded file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// A file on the worker's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Images only: `low`, `high` or `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Provider state; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

/// The model wants a tool to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// Pairs the call with its result. Never empty.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: an object.
    #[serde(default = "empty_object")]
    pub input: Value,
    /// Provider state; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

/// What a tool returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolResult {
    /// The id of the call.
    pub id: String,
    /// The tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The result, mostly one text part.
    #[serde(default, deserialize_with = "parts_or_text")]
    pub content: Vec<Part>,
    /// The tool failed, and the content says how.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
    /// Provider state; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

/// Structured data as content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DataPart {
    /// Any JSON value; `null` is a value.
    pub value: Value,
    /// For each judged field, the probability of each of its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<Map<String, Value>>,
    /// How the probabilities were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Provider state; opaque.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<Value>,
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}

/// A result's content is a list of parts, or a bare text.
fn parts_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::text(text)]),
        other => Vec::deserialize(other).map_err(D::Error::custom),
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Known<'a> {
            Text(&'a TextPart),
            Thinking(&'a ThinkingPart),
            Refusal(&'a RefusalPart),
            Citation(&'a CitationPart),
            Image(&'a MediaPart),
            Audio(&'a MediaPart),
            Video(&'a MediaPart),
            Document(&'a MediaPart),
            Binary(&'a MediaPart),
            ToolCall(&'a ToolCall),
            ToolResult(&'a ToolResult),
            Data(&'a DataPart),
        }
        let known = match self {
            Part::Text(part) => Known::Text(part),
            Part::Thinking(part) => Known::Thinking(part),
            Part::Refusal(part) => Known::Refusal(part),
            Part::Citation(part) => Known::Citation(part),
            Part::Image(part) => Known::Image(part),
            Part::Audio(part) => Known::Audio(part),
            Part::Video(part) => Known::Video(part),
            Part::Document(part) => Known::Document(part),
            Part::Binary(part) => Known::Binary(part),
            Part::ToolCall(part) => Known::ToolCall(part),
            Part::ToolResult(part) => Known::ToolResult(part),
            Part::Data(part) => Known::Data(part),
            Part::Other(value) => return value.serialize(serializer),
        };
        known.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Value::String(text) = value {
            return Ok(Part::text(text)); // lm15 reads a bare string as a text part
        }
        let kind = match value.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            _ => return Err(D::Error::custom("a part of a message needs a \"type\"")),
        };
        let part = match kind.as_str() {
            "text" => TextPart::deserialize(value).map(Part::Text),
            "thinking" => ThinkingPart::deserialize(value).map(Part::Thinking),
            "refusal" => RefusalPart::deserialize(value).map(Part::Refusal),
            "citation" => CitationPart::deserialize(value).map(Part::Citation),
            "image" => MediaPart::deserialize(value).map(Part::Image),
            "audio" => MediaPart::deserialize(value).map(Part::Audio),
            "video" => MediaPart::deserialize(value).map(Part::Video),
            "document" => MediaPart::deserialize(value).map(Part::Document),
            "binary" => MediaPart::deserialize(value).map(Part::Binary),
            "tool_call" => ToolCall::deserialize(value).map(Part::ToolCall),
            "tool_result" => ToolResult::deserialize(value).map(Part::ToolResult),
            "data" => DataPart::deserialize(value).map(Part::Data),
            _ => Ok(Part::Other(value)),
        };
        part.map_err(|error| D::Error::custom(format!("a part of type {kind:?}: {error}")))
    }
}
