//! The functions of the host that one call may reach, as the bridge sees them.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::proto::callback::Kind;
use crate::proto::{self, Payload};

/// What serves the callbacks of one call that are for functions of the program, and takes its events.
pub(crate) trait HostFunctions: Send + Sync {
    /// Calls a function of this kind by its key. Dropping the future abandons the function.
    fn call(
        self: Arc<Self>,
        kind: Kind,
        key: String,
        payload: Payload,
    ) -> BoxFuture<'static, Result<Payload, proto::Error>>;

    /// Takes an event of Python's; completes when there was room for it.
    fn event(&self, event: proto::Event) -> BoxFuture<'_, ()>;
}

/// The tools of a session as a worker is told of them: content-addressed.
#[derive(Debug)]
pub(crate) struct ToolDocument {
    /// Lower-case hex SHA-256 of `json`.
    pub(crate) hash: String,
    /// The document that `worker.proto` describes at `ToolSet`.
    pub(crate) json: Vec<u8>,
}
