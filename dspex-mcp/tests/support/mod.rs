//! Tools to serve, and the SDK's own client.

#![allow(dead_code, reason = "each test uses its part")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dspex_runtime::tool::{
    Tool, ToolArguments, ToolContext, ToolError, ToolOutput, ToolParameter, ToolSet, ToolSpec,
};
use futures::future::{BoxFuture, FutureExt};
use futures::{StreamExt, stream};
use rmcp::model::{CallToolRequestParams, CallToolResult, ProgressNotificationParam};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientHandler, RoleClient, ServiceError, ServiceExt};
use serde_json::{Value, json};

type Run =
    dyn Fn(ToolContext, ToolArguments) -> BoxFuture<'static, Result<ToolOutput, ToolError>> + Send + Sync;

/// A tool of a closure.
struct Closure {
    spec: ToolSpec,
    run: Box<Run>,
}

impl Tool for Closure {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(
        &self,
        context: ToolContext,
        arguments: ToolArguments,
    ) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        (self.run)(context, arguments)
    }
}

fn tool<F>(spec: ToolSpec, run: impl Fn(ToolContext, ToolArguments) -> F + Send + Sync + 'static) -> Closure
where
    F: Future<Output = Result<ToolOutput, ToolError>> + Send + 'static,
{
    Closure { spec, run: Box::new(move |context, arguments| run(context, arguments).boxed()) }
}

fn number(name: &str) -> ToolParameter {
    ToolParameter::required(name, json!({"type": "integer"}))
}

/// What the tools have done.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub waiting: Arc<AtomicUsize>,
    pub cancelled: Arc<AtomicUsize>,
}

/// Counts that it was dropped before its end.
struct Dropped(Seen);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}

/// Tools of every kind: of each answer, and of each way to fail.
pub fn tools(seen: &Seen) -> ToolSet {
    let plan = ToolSpec::builder("plan_of", "Plan of a customer, by e-mail.")
        .parameter(ToolParameter::required("email", json!({"type": "string"})).description("Her address."))
        .parameter(ToolParameter::optional(
            "invoices",
            json!({"type": "integer", "minimum": 0, "maximum": 50}),
            json!(3),
        ))
        .returns_schema(json!({
            "type": "object",
            "properties": {"email": {"type": "string"}, "invoices": {"type": "integer"}},
            "required": ["email", "invoices"],
        }))
        .read_only(true)
        .build();
    let plain = |name: &str, description: &str| ToolSpec::builder(name, description);
    let add = plain("add", "Adds two numbers.").parameter(number("a")).parameter(number("b")).build();
    let hang = plain("hang", "Never ends.").timeout(Duration::from_millis(50)).build();
    let count = plain("count", "Counts in words.").parameter(number("to")).streams(true).build();
    let seen = seen.clone();
    let all = [
        tool(plan, |_, arguments| async move { ToolOutput::document(&arguments.into_value()) }),
        tool(add, |_, arguments| async move {
            let sum = |name| arguments.get(name).and_then(Value::as_i64).unwrap_or_default();
            ToolOutput::new(&(sum("a") + sum("b")))
        }),
        tool(plain("nothing", "Does nothing.").build(), |_, _| async { ToolOutput::new(&()) }),
        tool(plain("not_a_number", "Answers what JSON cannot hold.").build(), |_, _| async {
            ToolOutput::new(&f64::NAN)
        }),
        tool(plain("busy", "Is busy.").build(), |_, _| async {
            Err(ToolError::new("the CRM is busy").retryable())
        }),
        tool(plain("explode", "Panics.").build(), |_, _| async { panic!("a secret of the host") }),
        tool(hang, |_, _| async { std::future::pending().await }),
        tool(count, |_, arguments| async move {
            let to = arguments.get("to").and_then(Value::as_u64).unwrap_or_default();
            Ok(ToolOutput::stream(stream::iter(1..=to).map(|at| Ok(format!("{at} ")))))
        }),
        tool(plain("wait", "Waits for its cancellation.").build(), move |context, _| {
            let (seen, cancellation) = (seen.clone(), context.cancellation().clone());
            seen.waiting.fetch_add(1, Ordering::SeqCst);
            let dropped = Dropped(seen.clone());
            tokio::spawn(async move {
                cancellation.cancelled().await;
                seen.cancelled.fetch_add(1, Ordering::SeqCst);
            });
            async move {
                let _dropped = dropped;
                std::future::pending().await
            }
        }),
    ];
    all.into_iter().try_fold(ToolSet::new(), ToolSet::with).unwrap()
}

/// The SDK's client, which keeps what it is told of progress.
#[derive(Clone, Default)]
pub struct Client {
    pub progress: Arc<Mutex<Vec<ProgressNotificationParam>>>,
}

impl ClientHandler for Client {
    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().unwrap().push(progress);
    }
}

pub type Running = RunningService<RoleClient, Client>;

/// A client of a server in the same process.
pub async fn connect(server: dspex_mcp::ToolServer) -> Running {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (input, output) = tokio::io::split(ours);
    tokio::spawn(server.serve(input, output));
    Client::default().serve(theirs).await.unwrap()
}

/// The SDK's own client of a server over HTTP.
pub async fn connect_http(url: String) -> Running {
    // The SDK leaves the choice to programs.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::default().serve(StreamableHttpClientTransport::from_uri(url)).await.unwrap()
}

pub async fn call(
    client: &Running,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let mut request = CallToolRequestParams::new(tool);
    if let Value::Object(arguments) = arguments {
        request = request.with_arguments(arguments);
    }
    client.call_tool(request).await
}

/// The only text of an answer.
pub fn text(result: &CallToolResult) -> &str {
    assert_eq!(result.content.len(), 1, "{result:?}");
    &result.content[0].as_text().unwrap().text
}

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come to be");
}
