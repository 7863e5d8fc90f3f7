//! One tool of a server.

use std::sync::Arc;
use std::time::Duration;

use dspex_runtime::tool::{Tool, ToolArguments, ToolContext, ToolError, ToolErrorKind, ToolOutput, ToolSpec};
use dspex_runtime::wire;
use futures::future::{BoxFuture, FutureExt};
use rmcp::model::{CallToolRequestParams, ErrorCode};
use rmcp::service::ServiceError;
use serde_json::Value;

use super::connection::Connection;
use super::content::answer;
use crate::plain::plain;

/// A tool of a server.
pub(super) struct McpTool {
    connection: Arc<Connection>,
    /// What the server calls it.
    name: String,
    spec: ToolSpec,
}

impl McpTool {
    pub(super) fn new(
        connection: Arc<Connection>,
        tool: &rmcp::model::Tool,
        prefix: &str,
        timeout: Option<Duration>,
    ) -> Self {
        let arguments = Value::Object(tool.input_schema.as_ref().clone());
        let read_only = tool.annotations.as_ref().and_then(|annotations| annotations.read_only_hint);
        let name = told_name(prefix, &tool.name);
        let mut spec = ToolSpec::builder(name, description(tool, connection.name()))
            .arguments_schema(&arguments)
            .read_only(read_only.unwrap_or(false));
        if let Some(returns) = &tool.output_schema {
            spec = spec.returns_schema(Value::Object(returns.as_ref().clone()));
        }
        if let Some(timeout) = timeout {
            spec = spec.timeout(timeout);
        }
        Self { connection, name: tool.name.to_string(), spec: spec.build() }
    }
}

/// The name that models are told: the protocol's may hold dots and slashes, and begin with digits.
fn told_name(prefix: &str, name: &str) -> String {
    let told: String = prefix
        .chars()
        .chain(name.chars())
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' })
        .collect();
    match told.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        true => told,
        false => format!("_{told}"),
    }
}

fn description(tool: &rmcp::model::Tool, server: &str) -> String {
    let told = [tool.description.as_deref(), tool.title.as_deref()];
    match told.into_iter().flatten().find(|text| !text.trim().is_empty()) {
        Some(text) => text.to_owned(),
        None => format!("The tool `{}` of the server `{server}`.", tool.name),
    }
}

impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(
        &self,
        _: ToolContext,
        arguments: ToolArguments,
    ) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        let (connection, name) = (self.connection.clone(), self.name.clone());
        let mut request = CallToolRequestParams::new(name.clone());
        if let Value::Object(arguments) = plain(arguments.into_value()) {
            request = request.with_arguments(arguments);
        }
        async move {
            let result =
                connection.call(request).await.map_err(|error| failed(&connection, &name, &error))?;
            ToolOutput::document(&wire::escape(answer(&name, result)?))
        }
        .boxed()
    }
}

/// What a model is told of a request without an answer.
fn failed(connection: &Connection, tool: &str, error: &ServiceError) -> ToolError {
    let server = connection.name();
    tracing::warn!(target: "dspex::mcp", server, tool, %error, "a tool of a server could not be called");
    match error {
        ServiceError::McpError(error) if error.code == ErrorCode::INVALID_PARAMS => {
            ToolError::of(ToolErrorKind::InvalidArguments, error.message.to_string())
        }
        ServiceError::McpError(error) => ToolError::new(error.message.to_string()),
        ServiceError::TransportClosed | ServiceError::TransportSend(_) => {
            ToolError::new(format!("the connection to the server `{server}` of the tool `{tool}` is lost"))
                .retryable()
        }
        ServiceError::Timeout { .. } => {
            let message = format!("the server `{server}` did not answer in time");
            ToolError::of(ToolErrorKind::TimedOut, message).retryable()
        }
        ServiceError::UnexpectedResponse => ToolError::new(format!(
            "the tool `{tool}` asks for more than arguments, which cannot be given here"
        )),
        _ => ToolError::new(format!("the tool `{tool}` could not be called at the server `{server}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_models_take() {
        assert_eq!(told_name("", "read"), "read");
        assert_eq!(told_name("fs_", "files/read.all"), "fs_files_read_all");
        assert_eq!(told_name("", "7zip-pack"), "_7zip-pack");
        assert_eq!(told_name("", "größe"), "gr__e");
    }
}
