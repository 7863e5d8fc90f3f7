//! Tools of dspex as a server.

mod handler;
mod http;

use std::sync::Arc;

use dspex_runtime::CallStream;
use dspex_runtime::Session;
use dspex_runtime::tool::{ToolContext, ToolSet, ToolSpec};
use dspex_runtime::wire;
use rmcp::ServiceExt;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub(crate) use handler::RETRYABLE;
pub use http::HttpServer;

use crate::McpError;

/// Serves tools of dspex to clients of the Model Context Protocol. Cheap to clone.
///
/// A tool runs as it does for a model of DSPy: its arguments are validated, it has its limits of time and of runs at once, a
/// panic in it is contained. What it fails with is an answer with `isError` and the words for the model. The items of a tool that
/// streams are progress notifications for clients that ask for them. What a client cancels, or stops waiting for, is dropped.
///
/// ```no_run
/// use dspex_mcp::ToolServer;
/// # use dspex_runtime::tool::ToolSet;
///
/// # async fn run(tools: ToolSet) -> Result<(), dspex_mcp::McpError> {
/// // The whole main of a server that others start and talk to over stdin and stdout.
/// ToolServer::new(tools).named("crm", "1.0.0").serve_stdio().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ToolServer {
    tools: Source,
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    name: String,
    version: String,
    instructions: Option<String>,
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
}

/// Where the tools are.
#[derive(Clone, Debug)]
enum Source {
    Set(ToolSet),
    Session(Session),
}

impl ToolServer {
    /// Serves these tools. They run outside of any session: those that take a `Session` belong to
    /// [`of_session`](Self::of_session), and the states that they take must be the set's own. A server of others does not start.
    #[must_use]
    pub fn new(tools: ToolSet) -> Self {
        Self::of(Source::Set(tools))
    }

    /// Serves the tools that are registered with a session when a client asks, those of Python among them.
    #[must_use]
    pub fn of_session(session: &Session) -> Self {
        Self::of(Source::Session(session.clone()))
    }

    fn of(tools: Source) -> Self {
        let settings = Settings {
            name: "dspex".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instructions: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
        };
        Self { tools, settings: Arc::new(settings) }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// What the server is called, and its version.
    #[must_use]
    pub fn named(self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.set(|settings| (settings.name, settings.version) = (name.into(), version.into()))
    }

    /// What clients are told of the tools as a whole; they may show it to their model.
    #[must_use]
    pub fn instructions(self, instructions: impl Into<String>) -> Self {
        self.set(|settings| settings.instructions = Some(instructions.into()))
    }

    /// The hosts, perhaps with ports, that requests over HTTP may be addressed to. Without them those of the loopback
    /// interface are, so that no page of the web reaches the tools by a name that it makes point here.
    #[must_use]
    pub fn allowed_hosts(self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.set(|settings| settings.allowed_hosts = hosts.into_iter().map(Into::into).collect())
    }

    /// The origins, as in `https://app.example.org:443`, whose pages may call the tools over HTTP. Without them no page may;
    /// clients that are no browsers tell no origin.
    #[must_use]
    pub fn allowed_origins(self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.set(|settings| settings.allowed_origins = origins.into_iter().map(Into::into).collect())
    }

    /// Serves whoever started this program, over its standard input and output, until they close it. The program must write nothing
    /// else to its standard output.
    ///
    /// # Errors
    ///
    /// [`McpError::Stdio`] if what comes is not the protocol.
    pub async fn serve_stdio(self) -> Result<(), McpError> {
        let (input, output) = rmcp::transport::stdio();
        self.serve(input, output).await
    }

    /// The same over any pair of streams.
    ///
    /// # Errors
    ///
    /// As [`serve_stdio`](Self::serve_stdio).
    pub async fn serve<R, W>(self, input: R, output: W) -> Result<(), McpError>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        self.check()?;
        let running = ServiceExt::serve(self, (input, output)).await;
        running
            .map_err(|error| McpError::Stdio(error.into()))?
            .waiting()
            .await
            .map_err(|error| McpError::Stdio(error.into()))?;
        Ok(())
    }

    /// That the tools can run where they are served from. Those of a session were held against it when they were registered.
    fn check(&self) -> Result<(), McpError> {
        match &self.tools {
            Source::Set(tools) => Ok(tools.check()?),
            Source::Session(_) => Ok(()),
        }
    }

    fn specs(&self) -> Vec<ToolSpec> {
        match &self.tools {
            Source::Set(tools) => tools.specs().cloned().collect(),
            Source::Session(session) => session.tools().list().into_iter().map(|info| info.spec).collect(),
        }
    }

    /// A run of a tool; dropping it cancels the tool.
    fn run(
        &self,
        tool: &str,
        arguments: Value,
        cancelled: &CancellationToken,
    ) -> dspex_runtime::Result<CallStream<Value>> {
        match &self.tools {
            Source::Set(tools) => {
                let context = ToolContext::detached(tool).cancelled_by(cancelled.clone());
                Ok(tools.stream(tool, wire::escape(arguments), &context))
            }
            // What is serialised is escaped there.
            Source::Session(session) => session.tools().stream(tool, arguments),
        }
    }
}
