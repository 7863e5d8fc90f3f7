//! [`StandInLm`]: answers any signature plausibly, without a key.

use serde_json::{Map, Value, json};

use super::prompt::{Format, Prompt};
use super::tools::{self, OfferedTool};
use super::value::Values;
use super::words::Words;
use super::{render, simple};
use crate::lm::{Capabilities, LanguageModel, LmError, LmRequest, LmResponse, Part};

/// A deterministic stand-in for a language model, labelled as such: its name is `dspex/stand-in`.
///
/// It reads DSPy's own prompt for the output fields and their types, and makes values that fit them out of the words
/// of the input: the member of an enumeration that the text mentions, key words for a list, a number in the range
/// that is allowed. Every adapter, structured outputs, native tools, `ReAct` and `ReActV2` are understood.
///
/// What it answers shows that a program runs and that its types hold. It says nothing about the quality of prompts,
/// and its scores are no scores of a model.
///
/// ```
/// use dspex_runtime::lm::Lm;
/// use dspex_runtime::testing::StandInLm;
///
/// let lm = Lm::host(StandInLm::new());
/// assert_eq!(lm.model(), "dspex/stand-in");
/// ```
#[derive(Debug, Clone)]
pub struct StandInLm {
    capabilities: Capabilities,
}

impl Default for StandInLm {
    fn default() -> Self {
        Self::new()
    }
}

impl StandInLm {
    /// The name under which DSPy and its usage figures know the stand-in.
    pub const NAME: &'static str = "dspex/stand-in";

    /// A stand-in that calls tools natively and takes structured outputs.
    #[must_use]
    pub fn new() -> Self {
        Self { capabilities: Capabilities::default().function_calling(true).response_schema(true) }
    }

    /// The same stand-in with other capabilities, such as those of a model that knows text alone.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The answer to a request.
    #[must_use]
    pub fn answer(&self, request: &LmRequest) -> LmResponse {
        let prompt = Prompt::read(request);
        let words = Words::of(&prompt.inputs);
        let offered = tools::offered(request, &prompt);
        let called = tools::called(request, &prompt);
        let choice = request.config.tool_choice.as_ref();
        let forced =
            choice.filter(|choice| choice.mode == "required").map(|choice| choice.allowed.as_slice());
        let next = tools::next(&offered, &called, forced.unwrap_or_default(), &words);
        let values = fields(&prompt, &words, next);
        let native = !request.tools.is_empty() && choice.is_none_or(|choice| choice.mode != "none");
        let parts = match next.filter(|_| native) {
            Some(tool) => {
                let mut parts = Vec::new();
                if prompt.format != Format::Free && !prompt.fields.is_empty() {
                    parts.push(Part::text(render::answer(&prompt, &values)));
                }
                let arguments = tools::arguments(tool, &words);
                parts.push(Part::tool_call(
                    format!("call_{}", called.len()),
                    &tool.name,
                    Value::Object(arguments),
                ));
                parts
            }
            None if prompt.fields.is_empty() => vec![Part::text(free_text(&words))],
            None => vec![Part::text(render::answer(&prompt, &values))],
        };
        simple::counted(LmResponse::parts(parts), request).model(Self::NAME)
    }
}

impl LanguageModel for StandInLm {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        Ok(self.answer(&request))
    }
}

/// A value for each field that the prompt asks for.
fn fields(prompt: &Prompt, words: &Words, next: Option<&OfferedTool>) -> Map<String, Value> {
    let acts = prompt.asks("next_tool_name") && prompt.asks("next_tool_args");
    let mut values = Map::new();
    for field in &prompt.fields {
        let value = match (field.name.as_str(), next) {
            ("next_tool_name", Some(tool)) if acts => json!(tool.name),
            ("next_tool_args", Some(tool)) if acts => Value::Object(tools::arguments(tool, words)),
            ("next_thought", Some(tool)) => {
                json_or_text(&field.schema, format!("I should call {} now.", tool.name))
            }
            (_, tool) if calls_tools(&field.schema) => {
                let calls: Vec<Value> = tool
                    .map(|tool| json!({"name": tool.name, "args": tools::arguments(tool, words)}))
                    .into_iter()
                    .collect();
                json!({"tool_calls": calls})
            }
            (name, _) => Values::new(words, &field.schema).of(name, &field.schema),
        };
        values.insert(field.name.clone(), value);
    }
    values
}

/// DSPy's `ToolCalls`.
fn calls_tools(schema: &Value) -> bool {
    schema.get("title").and_then(Value::as_str) == Some("ToolCalls")
        && schema.pointer("/properties/tool_calls").is_some()
}

/// DSPy's `Reasoning` is a text in prompts, and an object in structured outputs.
fn json_or_text(schema: &Value, text: String) -> Value {
    let target = schema.get("$ref").and_then(Value::as_str);
    let resolved = target.and_then(|target| schema.pointer(target.trim_start_matches('#'))).unwrap_or(schema);
    let is_object = resolved.pointer("/properties/content").is_some();
    if is_object { json!({"content": text}) } else { json!(text) }
}

fn free_text(words: &Words) -> String {
    let about = words.sentence(100);
    if about.is_empty() { "A stand-in has nothing to say to that.".to_owned() } else { about }
}
