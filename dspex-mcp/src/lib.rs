//! Tools across programs, with the [Model Context Protocol](https://modelcontextprotocol.io) and its official Rust SDK, [`rmcp`].
//!
//! * [`ToolServer`] serves tools of dspex over stdio and streamable HTTP.
//! * [`McpTools`] makes tools of dspex of those that a server has.
//!
//! ```no_run
//! use dspex_mcp::{McpTools, ToolServer};
//! use tokio::process::Command;
//!
//! # async fn run(dspex: dspex_runtime::Dspex, session: dspex_runtime::Session) -> Result<(), Box<dyn std::error::Error>> {
//! // A server's tools in a session, where DSPy's agents call them.
//! let mut command = Command::new("uvx");
//! command.arg("mcp-server-fetch");
//! let web = McpTools::connect_stdio(command).await?.prefixed("web_");
//! session.tools().register(&web).await?.keep();
//!
//! // All tools of the session, of Rust, Python and that server, for any client of the protocol.
//! let server = ToolServer::of_session(&session).serve_http("127.0.0.1:8808").await?;
//! println!("{}", server.url());
//! # server.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # Values
//!
//! The protocol's values are JSON. What JSON cannot hold is written on the way out as people would: floats that are not finite
//! as `"NaN"`, `"inf"`, `"-inf"`, integers beyond 64 bits as their digits, bytes in base64, all of them texts.

mod client;
mod error;
mod plain;
mod server;

pub use client::{LeftOut, McpTools};
pub use error::McpError;
pub use rmcp;
pub use server::{HttpServer, ToolServer};
