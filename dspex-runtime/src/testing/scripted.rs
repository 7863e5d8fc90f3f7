//! [`ScriptedLm`]: answers what a test wrote.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use super::{render, simple};
use crate::lm::{Capabilities, LanguageModel, LmError, LmRequest, LmResponse, Part};

/// One step of a script.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ScriptedAnswer {
    /// Values by output field, written in the format that the adapter in use asks for. Where the request offers
    /// native tools, `"tool_calls": [{"name": .., "args": {..}}]` becomes native calls.
    Fields(Map<String, Value>),
    /// A text as it is, such as garbage.
    Text(String),
    /// A whole answer.
    Response(Box<LmResponse>),
    /// No answer.
    Error(LmError),
}

impl From<Value> for ScriptedAnswer {
    /// An object holds fields; a text is a text; anything else is its JSON.
    fn from(value: Value) -> Self {
        match value {
            Value::Object(fields) => ScriptedAnswer::Fields(fields),
            Value::String(text) => ScriptedAnswer::Text(text),
            other => ScriptedAnswer::Text(other.to_string()),
        }
    }
}

impl From<&str> for ScriptedAnswer {
    fn from(text: &str) -> Self {
        ScriptedAnswer::Text(text.to_owned())
    }
}

impl From<String> for ScriptedAnswer {
    fn from(text: String) -> Self {
        ScriptedAnswer::Text(text)
    }
}

impl From<LmResponse> for ScriptedAnswer {
    fn from(response: LmResponse) -> Self {
        ScriptedAnswer::Response(Box::new(response))
    }
}

impl From<LmError> for ScriptedAnswer {
    fn from(error: LmError) -> Self {
        ScriptedAnswer::Error(error)
    }
}

/// Answers what the test wrote: by rule where one holds, else in order. Clones share the script and the record.
///
/// DSPy asks again when it cannot read an answer: `ChatAdapter` falls back to JSON once. That is one more step of the
/// script.
///
/// ```
/// use dspex_runtime::lm::{Lm, LmError};
/// use dspex_runtime::testing::ScriptedLm;
/// use serde_json::json;
///
/// let script = ScriptedLm::new([json!({"reasoning": "an outage", "urgency": "High"})])
///     .then_error(LmError::rate_limit("slow down"))
///     .when_contains("refund", json!({"reasoning": "money", "urgency": "Low"}));
/// let lm = Lm::host(script.clone());
/// // .. run the program with `lm` ..
/// assert_eq!(script.requests().len(), 0);
/// # let _ = lm;
/// ```
#[derive(Clone)]
pub struct ScriptedLm {
    name: String,
    capabilities: Capabilities,
    latency: Duration,
    repeats: bool,
    rules: Vec<Rule>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Clone)]
struct Rule {
    holds: Arc<dyn Fn(&LmRequest) -> bool + Send + Sync>,
    answer: ScriptedAnswer,
}

#[derive(Default)]
struct Shared {
    script: VecDeque<ScriptedAnswer>,
    given: usize,
    requests: Vec<LmRequest>,
}

impl Default for ScriptedLm {
    fn default() -> Self {
        Self::new::<ScriptedAnswer>([])
    }
}

impl ScriptedLm {
    /// These answers, in order.
    #[must_use]
    pub fn new<A: Into<ScriptedAnswer>>(answers: impl IntoIterator<Item = A>) -> Self {
        let script = answers.into_iter().map(Into::into).collect();
        Self {
            name: "dspex/scripted".to_owned(),
            capabilities: Capabilities::default().function_calling(true).response_schema(true),
            latency: Duration::ZERO,
            repeats: false,
            rules: Vec::new(),
            shared: Arc::new(Mutex::new(Shared { script, ..Shared::default() })),
        }
    }

    /// One more answer at the end of the script.
    #[must_use]
    pub fn then(self, answer: impl Into<ScriptedAnswer>) -> Self {
        self.shared().script.push_back(answer.into());
        self
    }

    /// An error at the end of the script.
    #[must_use]
    pub fn then_error(self, error: LmError) -> Self {
        self.then(error)
    }

    /// This answer whenever the rule holds, before any answer in order. The first rule that holds wins.
    #[must_use]
    pub fn when(
        mut self,
        rule: impl Fn(&LmRequest) -> bool + Send + Sync + 'static,
        answer: impl Into<ScriptedAnswer>,
    ) -> Self {
        self.rules.push(Rule { holds: Arc::new(rule), answer: answer.into() });
        self
    }

    /// This answer whenever the newest user message contains the text.
    #[must_use]
    pub fn when_contains(self, text: impl Into<String>, answer: impl Into<ScriptedAnswer>) -> Self {
        let text = text.into();
        self.when(move |request| request.last_user_text().contains(&text), answer)
    }

    /// Begins the script anew when it is through.
    #[must_use]
    pub fn cycle(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// Waits before each answer, an error included.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// The name that DSPy sees, as `provider/name`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Other capabilities than native tools and structured outputs.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Every request so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<LmRequest> {
        self.shared().requests.clone()
    }

    /// How many answers in order are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.shared().script.len()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Nothing in here can be left half done: a panic elsewhere is no reason to fail.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, request: &LmRequest) -> ScriptedAnswer {
        let by_rule = self.rules.iter().find(|rule| (rule.holds)(request)).map(|rule| rule.answer.clone());
        let mut shared = self.shared();
        shared.requests.push(request.clone());
        if let Some(answer) = by_rule {
            return answer;
        }
        match shared.script.pop_front() {
            Some(answer) => {
                shared.given += 1;
                if self.repeats {
                    shared.script.push_back(answer.clone());
                }
                answer
            }
            None => ScriptedAnswer::Error(exhausted(shared.given, self.rules.len(), request)),
        }
    }
}

fn exhausted(given: usize, rules: usize, request: &LmRequest) -> LmError {
    let prompt = request.last_user_text();
    let length = prompt.chars().count();
    let tail: String = prompt.chars().skip(length.saturating_sub(400)).collect();
    let rules = match rules {
        0 => String::new(),
        1 => " and its rule does not hold".to_owned(),
        rules => format!(" and none of its {rules} rules holds"),
    };
    LmError::configuration(format!(
        "the script of the language model is through after {given} answers{rules}; add an answer (DSPy asks \
         once more, in JSON, where an answer does not fit the signature, so look at the one before, too) for the \
         prompt that ends with:\n{tail}"
    ))
}

/// Writes scripted fields for a request.
fn respond(fields: Map<String, Value>, request: &LmRequest) -> LmResponse {
    let prompt = Prompt::read(request);
    let mut parts = Vec::new();
    let mut fields = fields;
    if !request.tools.is_empty() && !prompt.asks("tool_calls") {
        let calls = match fields.shift_remove("tool_calls") {
            Some(Value::Array(calls)) => calls,
            Some(Value::Object(mut calls)) => match calls.remove("tool_calls") {
                Some(Value::Array(calls)) => calls,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        for (index, call) in calls.into_iter().enumerate() {
            let name = call.get("name").and_then(Value::as_str).unwrap_or_default();
            let arguments = call.get("args").cloned().unwrap_or_else(|| json!({}));
            parts.push(Part::tool_call(format!("call_{}_{index}", request.messages.len()), name, arguments));
        }
    }
    if parts.is_empty() || !fields.is_empty() {
        parts.insert(0, Part::text(render::answer(&prompt, &fields)));
    }
    LmResponse::parts(parts)
}

impl LanguageModel for ScriptedLm {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        let answer = self.next(&request);
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let response = match answer {
            ScriptedAnswer::Fields(fields) => respond(fields, &request),
            ScriptedAnswer::Text(text) => LmResponse::text(text),
            ScriptedAnswer::Response(response) => *response,
            ScriptedAnswer::Error(error) => return Err(error),
        };
        Ok(simple::counted(response, &request))
    }
}

impl fmt::Debug for ScriptedLm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared();
        formatter
            .debug_struct("ScriptedLm")
            .field("name", &self.name)
            .field("rules", &self.rules.len())
            .field("script", &shared.script)
            .field("given", &shared.given)
            .finish_non_exhaustive()
    }
}
