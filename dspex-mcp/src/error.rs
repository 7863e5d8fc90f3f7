//! What goes wrong between programs.

use std::net::SocketAddr;

use dspex_runtime::tool::ToolSetError;

/// Why a server cannot be reached, or not be started. What goes wrong in a tool is a
/// [`ToolError`](dspex_runtime::tool::ToolError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// The program of a server could not be started.
    #[error("the server `{command}` could not be started; is the program installed, and in PATH?")]
    Start {
        /// The program.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The client of HTTP could not be made.
    #[error("no client of HTTP could be made for `{url}`")]
    Client {
        /// The server's address.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A server did not come to an understanding with us.
    #[error("the server `{server}` did not start a session; does it speak the Model Context Protocol there?")]
    Handshake {
        /// Its command or address.
        server: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A server did not list its tools.
    #[error("the server `{server}` did not list its tools")]
    List {
        /// Its name.
        server: String,
        /// Why.
        #[source]
        source: Box<rmcp::ServiceError>,
    },
    /// An address could not be bound.
    #[error("no server can listen at `{address}`")]
    Bind {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Whoever reaches this machine could call the tools, under any name.
    #[error(
        "`{0}` is reached from other machines; name the hosts that clients call it by: `.allowed_hosts([\"tools.example.org\"])`"
    )]
    Open(SocketAddr),
    /// The client of our own server's standard input and output went wrong.
    #[error("the session over standard input and output failed")]
    Stdio(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The tools cannot be together, or not run outside of a session.
    #[error(transparent)]
    Tools(#[from] ToolSetError),
}
