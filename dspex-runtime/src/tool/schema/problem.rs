//! Why a tool cannot be used.

use super::super::{ToolParameter, ToolSpec};
use super::arguments::settled;
use crate::wire;

/// The longest name that providers of models take.
const LONGEST_NAME: usize = 64;

/// Why a tool cannot be used; what is told at its registration, and says what to do.
pub(in super::super) fn problem_of(spec: &ToolSpec) -> Option<String> {
    if let Some(problem) = problem_of_name(&spec.name) {
        return Some(problem);
    }
    if spec.description.trim().is_empty() {
        return Some(
            "it has no description, which is all that a model knows of it; write what it does".to_owned(),
        );
    }
    if spec.concurrency == Some(0) {
        return Some("its concurrency is 0, so it would never run; take 1 or more, or no limit".to_owned());
    }
    if spec.timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Some(
            "its timeout is zero, so it would never end in time; take a longer one, or none".to_owned(),
        );
    }
    let parameters = &spec.arguments.parameters;
    for (index, parameter) in parameters.iter().enumerate() {
        let name = parameter.name();
        if name.is_empty() || name == wire::TAG {
            return Some(format!("`{name}` cannot be the name of a parameter; give it another"));
        }
        if parameters[..index].iter().any(|earlier| earlier.name() == name) {
            return Some(format!("two of its parameters are called `{name}`; rename one"));
        }
    }
    None
}

fn problem_of_name(name: &str) -> Option<String> {
    let first = name.bytes().next();
    let begins = first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let goes_on = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (!begins || !goes_on || name.len() > LONGEST_NAME).then(|| {
        format!(
            "models take no tool of the name {:?}; a name is a letter or underscore and up to 63 letters, digits, underscores and \
             hyphens, none of them outside of ASCII",
            crate::tool::check::cut(name, LONGEST_NAME)
        )
    })
}

/// The parameters as models are told of them, or why one of them cannot be.
pub(in super::super) fn settle(parameters: &[ToolParameter]) -> Result<Vec<ToolParameter>, String> {
    parameters
        .iter()
        .map(|parameter| {
            settled(parameter).map_err(|problem| format!("its parameter `{}`: {problem}", parameter.name()))
        })
        .collect()
}
