//! The requests that a server of tools answers.

use std::sync::Arc;

use dspex_runtime::tool::{ToolError, ToolErrorKind, ToolSpec};
use dspex_runtime::{CallEvent, Error};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation,
    JsonObject, ListToolsResult, MetaObject, PaginatedRequestParams, ProgressNotificationParam,
    ProgressToken, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer, ServerHandler};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::ToolServer;
use crate::plain::plain;

/// The key of `_meta` that says whether the same call may succeed later.
pub(crate) const RETRYABLE: &str = "dspex/retryable";

impl ServerHandler for ToolServer {
    fn get_info(&self) -> ServerConfig {
        let settings = &self.settings;
        let mut config = ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(&settings.name, &settings.version));
        config.instructions.clone_from(&settings.instructions);
        config
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.specs().iter().map(described).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.as_ref();
        let specs = self.specs();
        if !specs.iter().any(|spec| spec.name() == name) {
            let names: Vec<&str> = specs.iter().map(ToolSpec::name).collect();
            let message = format!("there is no tool `{name}`; there are {}", names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        }
        let arguments = request.arguments.map(Value::Object).unwrap_or_default();
        // Whatever ends this request, the tool's token is cancelled with it.
        let cancelled = CancellationToken::new();
        let _cancel = cancelled.clone().drop_guard();
        let token = context.meta.get_progress_token();
        tokio::select! {
            biased;
            () = context.ct.cancelled() => Err(ErrorData::internal_error("the request was cancelled", None)),
            answered = self.answer(name, arguments, &cancelled, token, &context.peer) => Ok(match answered {
                Ok(value) => success(plain(value)),
                Err(error) => failure(&error),
            }.into()),
        }
    }
}

impl ToolServer {
    /// Runs the tool to its end. What it gives before is told as progress to clients that asked for it.
    async fn answer(
        &self,
        name: &str,
        arguments: Value,
        cancelled: &CancellationToken,
        token: Option<ProgressToken>,
        client: &Peer<RoleServer>,
    ) -> Result<Value, ToolError> {
        let mut events = self.run(name, arguments, cancelled).map_err(told)?;
        while let Some(event) = events.try_next().await.map_err(told)? {
            match (event, &token) {
                (CallEvent::Done(value), _) => return Ok(value),
                (
                    CallEvent::ToolItem { index, value, .. } | CallEvent::Item { index, value },
                    Some(token),
                ) => {
                    let progress = ProgressNotificationParam::new(token.clone(), (index + 1) as f64)
                        .with_message(text(&plain(value)));
                    // A client that is gone is noticed by the request itself.
                    let _ = client.notify_progress(progress).await;
                }
                _ => {}
            }
        }
        Err(ToolError::of(ToolErrorKind::Output, format!("the tool `{name}` gave no answer")))
    }
}

/// What a client may know of an error: what the tool said, and of the program around it nothing.
fn told(error: Error) -> ToolError {
    match error {
        Error::Tool { error, .. } => error,
        Error::Python(error) => {
            let class = error.class.rsplit('.').next().unwrap_or_default();
            ToolError::new(format!("{class}: {}", error.message))
        }
        Error::Cancelled(why) => ToolError::new(format!("the tool was stopped: {why}")),
        other => {
            tracing::error!(target: "dspex::mcp", error = %other, "a tool could not be run for a client");
            let failed = ToolError::new("the tool could not be run");
            if other.is_retryable() { failed.retryable() } else { failed }
        }
    }
}

fn described(spec: &ToolSpec) -> Tool {
    let tool =
        Tool::new(spec.name().to_owned(), spec.description().to_owned(), object(spec.arguments_schema()))
            .with_annotations(ToolAnnotations::new().read_only(spec.is_read_only()));
    match spec.returns() {
        // Clients hold the structured answer against it, and only objects are structured for all of them.
        Some(returns) if returns.get("type") == Some(&"object".into()) && !spec.streams() => {
            tool.with_raw_output_schema(object(returns.clone()))
        }
        _ => tool,
    }
}

fn object(value: Value) -> Arc<JsonObject> {
    match value {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}

fn success(value: Value) -> CallToolResult {
    match value {
        Value::Null => CallToolResult::success(Vec::new()),
        Value::Object(_) => CallToolResult::structured(value),
        other => CallToolResult::success(vec![ContentBlock::text(text(&other))]),
    }
}

fn failure(error: &ToolError) -> CallToolResult {
    let meta = error
        .is_retryable()
        .then(|| MetaObject(JsonObject::from_iter([(RETRYABLE.to_owned(), true.into())])));
    CallToolResult::error(vec![ContentBlock::text(error.message())]).with_meta(meta)
}

/// A text as it is, everything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
