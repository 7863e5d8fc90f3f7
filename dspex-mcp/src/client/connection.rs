//! A connection to a server.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation, Tool,
};
use rmcp::service::{NotificationContext, Peer, RunningService, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{IntoTransport, StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, RoleClient, Service, ServiceExt};
use tokio::process::Command;

use crate::McpError;

/// A connection to a server, for as long as this lives.
pub(super) struct Connection {
    server: Peer<RoleClient>,
    name: String,
    changed: Arc<AtomicBool>,
    /// Closes the connection, and ends the server's process, when it is dropped.
    _running: Box<dyn Any + Send + Sync>,
}

/// What a client does beside asking: it notices that the list of tools has changed.
struct Listener {
    changed: Arc<AtomicBool>,
}

impl ClientHandler for Listener {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.store(true, Ordering::Release);
    }

    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("dspex", env!("CARGO_PKG_VERSION")),
        )
    }
}

impl Connection {
    pub(super) async fn stdio(command: Command) -> Result<Self, McpError> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let transport = TokioChildProcess::new(command)
            .map_err(|source| McpError::Start { command: name.clone(), source })?;
        Self::over(transport, name).await
    }

    pub(super) async fn http(config: StreamableHttpClientTransportConfig) -> Result<Self, McpError> {
        let url = config.uri.to_string();
        let refused = |source| McpError::Client { url: url.clone(), source };
        let parsed = reqwest::Url::parse(&url).map_err(|error| refused(error.into()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(refused("its scheme must be `http` or `https`".into()));
        }
        let client = client_for(&parsed).map_err(|error| refused(error.into()))?;
        Self::over(StreamableHttpClientTransport::with_client(client, config), url).await
    }

    async fn over<T, E, A>(transport: T, address: String) -> Result<Self, McpError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let changed = Arc::new(AtomicBool::new(false));
        let running = Listener { changed: changed.clone() }.serve(transport).await;
        let running =
            running.map_err(|error| McpError::Handshake { server: address, source: error.into() })?;
        Ok(Self { changed, ..Self::of_client(running) })
    }

    pub(super) fn of_client<S: Service<RoleClient>>(running: RunningService<RoleClient, S>) -> Self {
        let server = running.peer().clone();
        let told =
            server.peer_info().and_then(|info| info.server_info.as_ref().map(|server| server.name.clone()));
        let name = told.unwrap_or_else(|| "of an unknown name".to_owned());
        Self { server, name, changed: Arc::default(), _running: Box::new(running) }
    }

    /// What the server calls itself.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    pub(super) async fn list(&self) -> Result<Vec<Tool>, McpError> {
        // Before the list: a change while it is on its way is one since.
        self.changed.store(false, Ordering::Release);
        self.server.list_all_tools().await.map_err(|error| {
            self.changed.store(true, Ordering::Release);
            McpError::List { server: self.name.clone(), source: Box::new(error) }
        })
    }

    /// Dropping the future cancels the request at the server.
    pub(super) async fn call(&self, request: CallToolRequestParams) -> Result<CallToolResult, ServiceError> {
        self.server.call_tool(request).await
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.name).finish_non_exhaustive()
    }
}

fn client_for(url: &reqwest::Url) -> reqwest::Result<reqwest::Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever was faster has set one just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        // As the SDK does: a connection whose last answer was not read to its end stalls the next request.
        .pool_max_idle_per_host(0)
        // A token must not follow to another server.
        .redirect(reqwest::redirect::Policy::none());
    let local = match url.host_str() {
        Some(host) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    };
    if local {
        builder = builder.no_proxy();
    }
    builder.build()
}
