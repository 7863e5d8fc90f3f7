//! Streamable HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ToolServer;
use crate::McpError;

/// Where the tools are, below the server's address.
const PATH: &str = "/mcp";

/// More clients than this wait.
const MOST_CONNECTIONS: usize = 1_024;

/// So long connections may take to end.
const GRACE: Duration = Duration::from_secs(5);

type Service = StreamableHttpService<ToolServer, LocalSessionManager>;

/// A server of tools over HTTP, until it is dropped or [shut down](Self::shutdown).
#[derive(Debug)]
#[must_use = "the server ends when this is dropped"]
pub struct HttpServer {
    address: SocketAddr,
    stop: DropGuard,
    running: JoinHandle<()>,
}

impl HttpServer {
    /// The address that it listens at.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The address of the tools, for clients on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Takes no more requests, cancels those that run, and ends when all connections have, after five seconds at most.
    pub async fn shutdown(self) {
        drop(self.stop);
        if let Err(error) = self.running.await {
            tracing::error!(target: "dspex::mcp", %error, "the server of tools ended unexpectedly");
        }
    }
}

impl ToolServer {
    /// Serves clients over streamable HTTP, at the path `/mcp` of this address; port 0 takes a free one.
    ///
    /// There is no authentication: put a proxy before it that has, unless only this machine reaches it.
    ///
    /// # Errors
    ///
    /// [`McpError::Tools`] for tools that cannot run by themselves; [`McpError::Bind`] if the address is taken; [`McpError::Open`] for one beyond the loopback interface without
    /// [`allowed_hosts`](Self::allowed_hosts).
    pub async fn serve_http(
        self,
        address: impl ToSocketAddrs + std::fmt::Debug,
    ) -> Result<HttpServer, McpError> {
        self.check()?;
        let bind = |source| McpError::Bind { address: format!("{address:?}"), source };
        let listener = TcpListener::bind(&address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        if !address.ip().is_loopback() && self.settings.allowed_hosts.is_empty() {
            return Err(McpError::Open(address));
        }
        let stop = CancellationToken::new();
        let mut config = StreamableHttpServerConfig::default()
            .with_cancellation_token(stop.child_token())
            .with_allowed_origins(self.settings.allowed_origins.clone())
            .enforce_origin_validation();
        if !self.settings.allowed_hosts.is_empty() {
            config = config.with_allowed_hosts(self.settings.allowed_hosts.clone());
        }
        let service = StreamableHttpService::new(move || Ok(self.clone()), Arc::default(), config);
        let running = tokio::spawn(accept(listener, service, stop.clone()));
        Ok(HttpServer { address, stop: stop.drop_guard(), running })
    }
}

async fn accept(listener: TcpListener, service: Service, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (stream, place) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            (accepted, place) = accepted => match accepted {
                Ok((stream, _)) => (stream, place),
                Err(error) => {
                    // Of too many open files, say: they end.
                    tracing::warn!(target: "dspex::mcp", %error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let connection = graceful.watch(connection(stream, service.clone()));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(target: "dspex::mcp", %error, "a connection broke");
            }
        });
    }
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!(target: "dspex::mcp", "connections of clients did not end in time");
    }
}

fn connection(
    stream: TcpStream,
    service: Service,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(route(&service, request).await) }
    });
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer)
}

async fn route(service: &Service, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
    if request.uri().path() == PATH {
        return service.handle(request).await;
    }
    let mut elsewhere = Response::new(Full::new(Bytes::from_static(b"the tools are at /mcp\n")).boxed());
    *elsewhere.status_mut() = StatusCode::NOT_FOUND;
    elsewhere
}
