//! The keys of functions where they stand in documents.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::TOOL_PREFIX;

/// What stands between a key and its number.
const NUMBER: char = '~';

/// The keys that a function may have in place of the wanted one, which comes first: `reward_fn`, `reward_fn~2`, ..
pub(super) fn variants(wanted: &str) -> impl Iterator<Item = String> {
    let name = unnumbered(wanted);
    std::iter::once(wanted.to_owned()).chain((2_usize..).map(move |number| format!("{name}{NUMBER}{number}")))
}

/// The key before it got a number.
fn unnumbered(key: &str) -> &str {
    match key.rsplit_once(NUMBER) {
        Some((name, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            name
        }
        _ => key,
    }
}

/// What keys become, all at once. Only declarations of functions are changed, where a spec has them; data of the program is not,
/// though it should look like one.
#[derive(Debug, Default)]
pub(super) struct Renames(BTreeMap<String, String>);

impl Renames {
    pub(super) fn insert(&mut self, from: &str, to: String) {
        if from != to {
            self.0.insert(from.to_owned(), to);
        }
    }

    /// In the spec of an instance.
    pub(super) fn in_spec(&self, spec: &mut Value) {
        if !self.0.is_empty()
            && let Some(Value::Object(arguments)) = spec.get_mut("args")
        {
            self.in_arguments(arguments);
        }
    }

    /// In arguments by their names.
    pub(super) fn in_arguments(&self, arguments: &mut Map<String, Value>) {
        if !self.0.is_empty() {
            arguments.iter_mut().for_each(|(name, value)| self.in_argument(name, value));
        }
    }

    fn in_argument(&self, name: &str, value: &mut Value) {
        match value {
            // A metric, a reward or an embedder has its key of the argument's name.
            Value::Object(object) if object.contains_key("host") => {
                self.in_declaration(object, |key| key == name);
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.in_element(value)),
            module => self.in_module(module),
        }
    }

    fn in_element(&self, value: &mut Value) {
        match value {
            // A tool has its key of its own name.
            Value::Object(object) if object.contains_key("host") => {
                let tool = object.get("name").and_then(Value::as_str).map(str::to_owned);
                let is_tools = |key: &str| {
                    tool.as_deref().is_some_and(|tool| key.strip_prefix(TOOL_PREFIX) == Some(tool))
                };
                self.in_declaration(object, is_tools);
            }
            // A module with the inputs of one call.
            Value::Array(pair) => pair.iter_mut().take(1).for_each(|module| self.in_module(module)),
            module => self.in_module(module),
        }
    }

    fn in_module(&self, value: &mut Value) {
        if value.get("class").is_some_and(Value::is_string) {
            self.in_spec(value);
        }
    }

    fn in_declaration(&self, object: &mut Map<String, Value>, is_wanted: impl Fn(&str) -> bool) {
        if let Some(Value::String(key)) = object.get_mut("host")
            && is_wanted(unnumbered(key))
            && let Some(to) = self.0.get(key.as_str())
        {
            to.clone_into(key);
        }
    }
}
