//! Tools of a server as tools of dspex.

mod connection;
mod content;
mod tool;

use std::sync::Arc;
use std::time::Duration;

use dspex_runtime::tool::{IntoToolSet, ToolSet, ToolSetError};
use rmcp::service::RunningService;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, Service};
use tokio::process::Command;

use crate::McpError;
use connection::Connection;
use tool::McpTool;

/// The tools of a server of the Model Context Protocol, as tools of dspex: what can be registered with a session, given to an
/// agent, or put together with others.
///
/// ```no_run
/// use dspex_mcp::McpTools;
/// use tokio::process::Command;
///
/// # async fn run(session: dspex_runtime::Session) -> Result<(), Box<dyn std::error::Error>> {
/// let crm = McpTools::connect_http("https://crm.example.org/mcp").await?.prefixed("crm_");
/// session.tools().register(&crm).await?.keep();
/// # Ok(()) }
/// ```
///
/// * **Schemas** are normalised as those of Rust's types are, and arguments are validated before they are sent. A tool that cannot
///   be told to models, such as one with recursive arguments, is left out: [`left_out`](Self::left_out) says which and why.
/// * **Names** that models do not take have `_` for what they must not hold: `files/read` is `files_read`. Of servers whose
///   tools have equal names, [`prefixed`](Self::prefixed) tells them apart.
/// * **Answers** are the structured content where there is one. Otherwise they are the text, or a list of texts; what is no text
///   is described in one.
/// * **Failures** are [`ToolError`](dspex_runtime::tool::ToolError)s: what the server says of an `isError`, and a lost connection as
///   one that may be tried again. There is no reconnecting: connect anew, and register anew.
/// * **Changes** of the server's list are not followed by themselves, since the tools of a running agent should stay what they
///   are: [`has_changed`](Self::has_changed) tells of them, [`refresh`](Self::refresh) lists anew.
///
/// The connection, and the server's process, last as long as this or any of its tools.
#[derive(Clone, Debug)]
pub struct McpTools {
    connection: Arc<Connection>,
    listed: Arc<[rmcp::model::Tool]>,
    prefix: String,
    timeout: Option<Duration>,
    tools: ToolSet,
    left_out: Vec<LeftOut>,
}

/// A tool of a server that is not among the tools of dspex.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its name at the server.
    pub tool: String,
    /// Why.
    pub problem: String,
}

impl McpTools {
    /// Starts a server and talks to it over its standard input and output.
    ///
    /// # Errors
    ///
    /// [`McpError::Start`], [`McpError::Handshake`] and [`McpError::List`].
    pub async fn connect_stdio(command: Command) -> Result<Self, McpError> {
        Self::of(Connection::stdio(command).await?).await
    }

    /// Connects to a server over streamable HTTP.
    ///
    /// # Errors
    ///
    /// [`McpError::Client`] for an address that is none, [`McpError::Handshake`] and [`McpError::List`].
    pub async fn connect_http(url: &str) -> Result<Self, McpError> {
        Self::connect_http_with(StreamableHttpClientTransportConfig::with_uri(url)).await
    }

    /// The same with a token, headers and limits.
    ///
    /// ```no_run
    /// use dspex_mcp::McpTools;
    /// use dspex_mcp::rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
    ///
    /// # async fn run(token: String) -> Result<(), dspex_mcp::McpError> {
    /// let config = StreamableHttpClientTransportConfig::with_uri("https://crm.example.org/mcp").auth_header(token);
    /// let crm = McpTools::connect_http_with(config).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect_http`](Self::connect_http).
    pub async fn connect_http_with(config: StreamableHttpClientTransportConfig) -> Result<Self, McpError> {
        Self::of(Connection::http(config).await?).await
    }

    /// Takes the tools of a client of the SDK, for other transports and for clients that answer a server's questions. Changes of the
    /// list are that client's to notice.
    ///
    /// # Errors
    ///
    /// [`McpError::List`].
    pub async fn of_client<S: Service<RoleClient>>(
        client: RunningService<RoleClient, S>,
    ) -> Result<Self, McpError> {
        Self::of(Connection::of_client(client)).await
    }

    async fn of(connection: Connection) -> Result<Self, McpError> {
        let connection = Arc::new(connection);
        let listed = connection.list().await?;
        Ok(Self::build(connection, listed.into(), String::new(), None))
    }

    /// Puts this before the name of each tool.
    #[must_use]
    pub fn prefixed(self, prefix: impl Into<String>) -> Self {
        Self::build(self.connection, self.listed, prefix.into(), self.timeout)
    }

    /// How long one run of a tool may take.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self::build(self.connection, self.listed, self.prefix, Some(timeout))
    }

    /// Lists the server's tools anew, over the same connection.
    ///
    /// # Errors
    ///
    /// [`McpError::List`].
    pub async fn refresh(&self) -> Result<Self, McpError> {
        let listed = self.connection.list().await?;
        Ok(Self::build(self.connection.clone(), listed.into(), self.prefix.clone(), self.timeout))
    }

    /// Whether the server said that its tools have changed since they were last listed.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.connection.has_changed()
    }

    /// The tools.
    #[must_use]
    pub fn tools(&self) -> &ToolSet {
        &self.tools
    }

    /// The tools that dspex cannot have, and why.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn build(
        connection: Arc<Connection>,
        listed: Arc<[rmcp::model::Tool]>,
        prefix: String,
        timeout: Option<Duration>,
    ) -> Self {
        let (mut tools, mut left_out) = (ToolSet::new(), Vec::new());
        for tool in listed.iter() {
            match tools.clone().with(McpTool::new(connection.clone(), tool, &prefix, timeout)) {
                Ok(more) => tools = more,
                Err(problem) => left_out.push(LeftOut { tool: tool.name.to_string(), problem: why(problem) }),
            }
        }
        for LeftOut { tool, problem } in &left_out {
            let server = connection.name();
            tracing::warn!(target: "dspex::mcp", server, tool, problem, "a tool of a server is left out");
        }
        Self { connection, listed, prefix, timeout, tools, left_out }
    }
}

fn why(problem: ToolSetError) -> String {
    match problem {
        ToolSetError::Unusable { problem, .. } => problem,
        ToolSetError::Duplicate(name) => format!("another tool of the server is called `{name}`, too"),
        other => other.to_string(),
    }
}

impl IntoToolSet for McpTools {
    fn into_tool_set(self) -> Result<ToolSet, ToolSetError> {
        Ok(self.tools)
    }
}

impl IntoToolSet for &McpTools {
    fn into_tool_set(self) -> Result<ToolSet, ToolSetError> {
        Ok(self.tools.clone())
    }
}
