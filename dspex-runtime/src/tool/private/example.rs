//! What the generated tests of examples do.

use serde::Serialize;
use serde_json::Value;

use super::super::{Tool, ToolArguments, ToolContext, ToolSpec};
use crate::wire;

/// A value of an example as JSON. What has none becomes a text that says so, which then fits no schema.
pub fn value<T: Serialize + ?Sized>(value: &T) -> Value {
    let document = wire::to_vec(value).and_then(|json| wire::document_from_slice(&json));
    document.unwrap_or_else(|error| Value::String(format!("<no JSON: {error}>")))
}

/// The arguments of an example.
#[must_use]
pub fn example_arguments<const N: usize>(arguments: [(&str, Value); N]) -> Value {
    Value::Object(arguments.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Checks that the arguments of all examples fit, and, where the tool can run alone, that it answers as they say.
///
/// # Panics
///
/// At the first example that does not hold.
pub fn check_examples(spec: &ToolSpec, tool: Option<&dyn Tool>) {
    let name = spec.name();
    if let Some(problem) = spec.problem() {
        panic!("the tool `{name}` cannot be used: {problem}");
    }
    for example in spec.examples() {
        let given = &example.arguments;
        let arguments = ToolArguments::validate(given.clone(), spec).unwrap_or_else(|error| {
            panic!("the example {given} of the tool `{name}` does not fit its parameters: {error}")
        });
        if let (Some(tool), Some(expected)) = (tool, &example.returns) {
            let answer = run(tool, arguments);
            assert_eq!(&answer, expected, "the tool `{name}` answers the example {given} in another way");
        }
    }
}

/// What the model sees of a call.
fn run(tool: &dyn Tool, arguments: ToolArguments) -> Value {
    let name = tool.spec().name();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime for the examples of `{name}`: {error}"));
    runtime.block_on(async {
        let answer = match tool.call(ToolContext::detached(name), arguments).await {
            Ok(output) => output.into_value().await,
            Err(error) => Err(error),
        };
        // An error is what the model sees, and may be what the example shows.
        answer.unwrap_or_else(|error| error.to_value())
    })
}
