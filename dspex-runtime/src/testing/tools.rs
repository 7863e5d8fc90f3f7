//! Tools in a prompt: which there are, which were called, and which to call next.

use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use super::python;
use super::value::Values;
use super::words::Words;
use crate::lm::{LmRequest, ToolSpec};

/// A tool that the model may call.
#[derive(Debug, Clone)]
pub(super) struct OfferedTool {
    pub name: String,
    description: String,
    /// JSON Schema of the arguments: an object.
    parameters: Value,
}

/// The tools of a request: native ones, those of `ReActV2`'s input field, or those of `ReAct`'s instructions.
pub(super) fn offered(request: &LmRequest, prompt: &Prompt) -> Vec<OfferedTool> {
    if !request.tools.is_empty() {
        let native = request.tools.iter().filter_map(|tool| match tool {
            ToolSpec::Function(tool) => Some(OfferedTool {
                name: tool.name.clone(),
                description: tool.description.clone().unwrap_or_default(),
                parameters: tool.parameters.clone(),
            }),
            ToolSpec::Builtin(_) => None,
        });
        return native.collect();
    }
    if let Some(Ok(described)) = prompt.input("tools").map(serde_json::from_str::<Vec<String>>) {
        return described.iter().filter_map(|text| described_tool(text)).collect();
    }
    let numbered = prompt.objective.lines().filter_map(|line| {
        let (number, text) = line.trim().strip_prefix('(')?.split_once(") ")?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
    });
    numbered.filter_map(described_tool).collect()
}

/// `name, whose description is <desc>..</desc>. It takes arguments {..}.`
fn described_tool(text: &str) -> Option<OfferedTool> {
    let (head, arguments) = text.rsplit_once(" It takes arguments ")?;
    let (Value::Object(properties), _) = python::literal(arguments)? else { return None };
    let (name, description) = match head.split_once(", whose description is <desc>") {
        Some((name, description)) => (name, description.trim_end_matches('.').trim_end_matches("</desc>")),
        None => (head.trim_end_matches('.'), ""),
    };
    let required: Vec<&String> = properties
        .iter()
        .filter(|(_, schema)| schema.get("default").is_none())
        .map(|(name, _)| name)
        .collect();
    let parameters = json!({"type": "object", "properties": properties, "required": required});
    Some(OfferedTool { name: name.trim().to_owned(), description: description.to_owned(), parameters })
}

/// The names of the tools called so far.
pub(super) fn called(request: &LmRequest, prompt: &Prompt) -> Vec<String> {
    let mut names: Vec<String> = request
        .messages
        .iter()
        .flat_map(|message| message.tool_calls())
        .map(|call| call.name.clone())
        .collect();
    // `ReAct` keeps its trajectory in an input field, in the format of the adapter.
    let trajectory = prompt.input("trajectory").unwrap_or_default();
    let sections = prompt.inputs.iter().filter(|(name, _)| name.starts_with("tool_name_"));
    names.extend(sections.map(|(_, name)| name.clone()));
    for (open, close) in [("[[ ## tool_name_", " ## ]]\n"), ("<tool_name_", ">\n")] {
        for part in trajectory.split(open).skip(1) {
            if let Some(name) = part.split_once(close).and_then(|(_, rest)| rest.lines().next()) {
                names.push(name.trim().to_owned());
            }
        }
    }
    // `ReActV2` without native tools keeps the calls in the conversation.
    for message in &request.messages {
        let text = message.text();
        for part in text.split("\"tool_calls\"").skip(1) {
            for call in part.split("\"name\"").skip(1) {
                let name = call
                    .trim_start_matches([':', ' '])
                    .strip_prefix('"')
                    .and_then(|rest| rest.split_once('"'));
                names.extend(name.map(|(name, _)| name.to_owned()));
            }
        }
    }
    names
}

/// The names of the tools that end an agent's work: `ReAct`'s and `ReActV2`'s.
const LAST: [&str; 2] = ["finish", "submit"];

/// The next tool: once the one that the input speaks of most, then the one that ends the work.
pub(super) fn next<'a>(
    tools: &'a [OfferedTool],
    called: &[String],
    forced: &[String],
    words: &Words,
) -> Option<&'a OfferedTool> {
    if let Some(tool) = tools.iter().find(|tool| forced.contains(&tool.name)) {
        return Some(tool);
    }
    let last = tools.iter().find(|tool| LAST.contains(&tool.name.as_str()));
    let used = called.iter().any(|name| tools.iter().any(|tool| tool.name == *name));
    if used {
        return last;
    }
    let score = |tool: &OfferedTool| words.overlap(&tool.name) * 2 + words.overlap(&tool.description);
    tools
        .iter()
        .enumerate()
        .filter(|(_, tool)| !LAST.contains(&tool.name.as_str()))
        .max_by_key(|(index, tool)| (score(tool), std::cmp::Reverse(*index)))
        .map(|(_, tool)| tool)
        .or(last)
}

/// Arguments for a call.
pub(super) fn arguments(tool: &OfferedTool, words: &Words) -> Map<String, Value> {
    let values = Values::new(words, &tool.parameters);
    match values.of(&tool.name, &tool.parameters) {
        Value::Object(arguments) => arguments,
        _ => Map::new(),
    }
}
