//! What a model answers, with the JSON of `response_to_dict` in `dspy._vendor.lm15.serde`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::LmError;
use super::message::{Message, Part, Role};
use crate::wire;

/// Why the answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// It was complete.
    Stop,
    /// It hit `max_tokens`.
    Length,
    /// The model waits for tools.
    ToolCall,
    /// The provider's filter cut it.
    ContentFilter,
    /// The provider broke off.
    Error,
}

/// Tokens spent. `None` means that the provider did not say, which is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The total as the provider counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    /// Tokens read from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Tokens written to the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Tokens of thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Tokens of sound in the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_audio_tokens: Option<u64>,
    /// Tokens of sound in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_audio_tokens: Option<u64>,
}

impl Usage {
    /// Tokens in and out, and their sum as the total.
    #[must_use]
    pub fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            input_tokens: Some(input_tokens),
            output_tokens: Some(output_tokens),
            total_tokens: Some(input_tokens.saturating_add(output_tokens)),
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A model's answer.
///
/// ```
/// use dspex_runtime::lm::{FinishReason, LmResponse};
/// use serde_json::json;
///
/// let answer = LmResponse::text("[[ ## answer ## ]]\nTwo\n\n[[ ## completed ## ]]").usage(120, 9);
/// assert_eq!(answer.finish_reason, FinishReason::Stop);
/// let call = LmResponse::tool_call("lookup", json!({"planet": "Mars"}));
/// assert_eq!(call.finish_reason, FinishReason::ToolCall);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LmResponse {
    /// The provider's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answered. Left empty, it becomes the model that was asked.
    pub model: String,
    /// The answer; its role is always [`Role::Assistant`].
    pub message: Message,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens spent.
    #[serde(default, skip_serializing_if = "Usage::is_empty")]
    pub usage: Usage,
    /// Log probabilities of the tokens; see `dspy._vendor.lm15.types.TokenLogprob`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Value>,
    /// `false`: some of the text has no log probabilities.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub logprobs_complete: bool,
    /// What the provider got that differs from what was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adaptations: Vec<Value>,
    /// The provider's own answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_data: Option<Value>,
}

impl LmResponse {
    /// An answer of these parts. Its finish reason is `ToolCall` where one of them is a tool call, else `Stop`.
    #[must_use]
    pub fn parts(parts: Vec<Part>) -> Self {
        let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        Self {
            id: None,
            model: String::new(),
            message: Message::new(Role::Assistant, parts),
            finish_reason: if calls { FinishReason::ToolCall } else { FinishReason::Stop },
            usage: Usage::default(),
            logprobs: None,
            logprobs_complete: true,
            adaptations: Vec::new(),
            provider_data: None,
        }
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::parts(vec![Part::text(text)])
    }

    /// A native call of one tool with an object of arguments.
    #[must_use]
    pub fn tool_call(name: impl Into<String>, input: Value) -> Self {
        Self::parts(vec![Part::tool_call("call_0", name, input)])
    }

    /// The same answer with one more native tool call.
    #[must_use]
    pub fn and_tool_call(mut self, name: impl Into<String>, input: Value) -> Self {
        let id = format!("call_{}", self.message.tool_calls().count());
        self.message.parts.push(Part::tool_call(id, name, input));
        self.finish_reason = FinishReason::ToolCall;
        self
    }

    /// The same answer with its tokens counted.
    #[must_use]
    pub fn usage(mut self, input_tokens: u64, output_tokens: u64) -> Self {
        self.usage = Usage::new(input_tokens, output_tokens);
        self
    }

    /// The same answer with the name of the model that gave it.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// The same answer with another finish reason.
    #[must_use]
    pub fn finish_reason(mut self, reason: FinishReason) -> Self {
        self.finish_reason = reason;
        self
    }

    /// The text parts, joined by line breaks.
    #[must_use]
    pub fn output_text(&self) -> String {
        self.message.text()
    }

    /// Writes the answer for the worker. An answer that DSPy's reader would refuse is a [`LmError::Configuration`]
    /// that names what is wrong with it.
    #[doc(hidden)]
    pub fn encode(mut self, requested_model: &str) -> Result<Vec<u8>, LmError> {
        if self.model.is_empty() {
            self.model = requested_model.to_owned();
        }
        if self.message.parts.is_empty() {
            self.message.parts.push(Part::text("")); // an empty answer is an answer; DSPy says what it lacks
        }
        if let Some(problem) = self.problem() {
            return Err(LmError::configuration(format!(
                "the answer of the language model {:?} is not one that DSPy can read: {problem}",
                self.model
            )));
        }
        wire::to_vec(&self).map_err(|error| {
            LmError::configuration(format!(
                "the answer of the language model {:?} is not JSON: {error}",
                self.model
            ))
        })
    }

    /// The rules of lm15's `Response` that the types do not already keep.
    fn problem(&self) -> Option<String> {
        if self.message.role != Role::Assistant {
            return Some(format!(
                "its message has the role {:?}, not \"assistant\"",
                self.message.role.as_str()
            ));
        }
        if self.model.is_empty() {
            return Some("it names no model".to_owned());
        }
        for part in &self.message.parts {
            match part {
                Part::ToolCall(call) if call.id.is_empty() || call.name.is_empty() => {
                    return Some("a tool call needs an id and a name".to_owned());
                }
                Part::ToolCall(call) if !call.input.is_object() => {
                    return Some(format!("the arguments of the tool call {:?} must be an object", call.name));
                }
                Part::ToolResult(_) => return Some("a model cannot answer with a tool's result".to_owned()),
                Part::Refusal(refusal) if refusal.text.is_empty() => {
                    return Some("a refusal needs a text".to_owned());
                }
                _ => {}
            }
        }
        None
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_true(value: &bool) -> bool {
    *value
}
