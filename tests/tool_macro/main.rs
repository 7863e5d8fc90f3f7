//! What `#[dspex_tool]`, `#[dspex_tools]` and `tools![]` make of functions and methods. No Python runs here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod answers;
mod arguments;
mod contexts;
mod services;
mod sets;
mod streams;

use dspex::ToolError;
use dspex::prelude::*;
use dspex::tool::ToolArguments;
use serde_json::Value;

/// Calls a tool as the runtime does: its arguments are validated first. The answer is what the model sees.
async fn call(tool: &dyn Tool, arguments: Value) -> Result<Value, ToolError> {
    call_in(ToolContext::detached(tool.spec().name()), tool, arguments).await
}

/// The same with a context.
async fn call_in(context: ToolContext, tool: &dyn Tool, arguments: Value) -> Result<Value, ToolError> {
    let arguments = ToolArguments::validate(arguments, tool.spec())?;
    tool.call(context, arguments).await?.into_value().await
}
