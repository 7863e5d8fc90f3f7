//! One run of a tool: validated, limited, contained.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use serde_json::Value;

use super::context::Scope;
use super::set::Entry;
use super::{ToolArguments, ToolContext, ToolError, ToolErrorKind, ToolOutput};
use crate::panics::panic_text;

impl Entry {
    /// Runs the tool. Whatever goes wrong in it is an error for the model.
    pub(crate) async fn run(&self, arguments: Value, scope: Scope) -> Result<ToolOutput, ToolError> {
        let spec = self.tool.spec();
        let arguments = ToolArguments::validate(arguments, spec)?;
        let context = ToolContext::new(spec.name(), scope);
        let _permit = match &self.limit {
            Some(limit) => limit.acquire().await.ok(),
            None => None,
        };
        let call = AssertUnwindSafe(async { self.tool.call(context, arguments).await }).catch_unwind();
        let ended = match spec.timeout() {
            None => call.await,
            Some(limit) => tokio::time::timeout(limit, call).await.map_err(|_| {
                let message = format!("the tool `{}` did not end within {limit:?}", spec.name());
                ToolError::of(ToolErrorKind::TimedOut, message).retryable()
            })?,
        };
        ended.unwrap_or_else(|panic| {
            tracing::error!(target: "dspex::tool", tool = spec.name(), panic = panic_text(&*panic), "a tool panicked");
            let message = format!("the tool `{}` failed unexpectedly", spec.name());
            Err(ToolError::of(ToolErrorKind::Panicked, message))
        })
    }
}
