//! What serves the callbacks of one call.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Functions, HostFunction};
use crate::api::{CallEvents, SessionTools};
use crate::bridge::{HostFunctions, errors};
use crate::proto::callback::Kind;
use crate::proto::{self, Payload};
use crate::tool::{Answered, Entry, Scope};
use crate::wire;

/// Why a function that is no tool failed. What is in it becomes the text of a Python exception.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

/// Reads what a function is asked.
pub(super) fn read<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T, Failure> {
    wire::from_slice(json).map_err(|error| Failure(format!("{what} is of another type in Rust: {error}")))
}

/// The functions that one call can reach: those of its instance, and the session's tools.
pub(crate) struct CallHost {
    pub(crate) functions: Arc<Functions>,
    pub(crate) tools: Option<Arc<SessionTools>>,
    pub(crate) scope: Scope,
    pub(crate) events: CallEvents,
}

impl CallHost {
    fn tool(&self, key: &str) -> Option<Arc<Entry>> {
        match self.functions.get(key) {
            Some(HostFunction::Tool(entry)) => Some(entry.clone()),
            Some(_) => None,
            None => self.tools.as_ref()?.reach(key),
        }
    }

    async fn run_tool(&self, key: &str, arguments: &[u8]) -> Result<Bytes, proto::Error> {
        let Some(entry) = self.tool(key) else { return Err(errors::no_function(key)) };
        let limit = self.tools.as_ref().and_then(|tools| tools.limit());
        let answered = entry.answer(arguments, self.scope.clone(), limit, &self.events).await;
        answered.map(Answered::into_json).map_err(|error| errors::tool_failure(&error))
    }

    async fn dispatch(&self, kind: Kind, key: &str, payload: Payload) -> Result<Payload, proto::Error> {
        let of_json = |json: Bytes| Payload { json, attachments: Vec::new() };
        let failed = |failure: Failure| errors::callback_failure(failure.0);
        match (kind, self.functions.get(key)) {
            (Kind::Tool, _) => self.run_tool(key, &payload.json).await.map(of_json),
            (Kind::Reward, Some(HostFunction::Reward(reward))) => {
                let score = reward.0.ask(&payload.json).await.map_err(failed)?;
                written(&score).map(of_json).map_err(failed)
            }
            (Kind::Metric, Some(HostFunction::Metric(metric))) => {
                let score = metric.0.ask(&payload.json).await.map_err(failed)?;
                written(&score).map(of_json).map_err(failed)
            }
            (Kind::Retriever, Some(HostFunction::Embedder(embedder))) => {
                embedder.embed(&payload.json).await.map_err(failed)
            }
            _ => {
                let problem = format!(
                    "the instance's function `{key}` is not in this program; after a restart, make the instance again instead \
                     of opening the one that was kept"
                );
                Err(errors::callback_failure(problem))
            }
        }
    }
}

fn written<T: Serialize>(score: &T) -> Result<Bytes, Failure> {
    wire::to_vec(score).map(Bytes::from).map_err(|error| Failure(error.to_string()))
}

impl HostFunctions for CallHost {
    fn call(
        self: Arc<Self>,
        kind: Kind,
        key: String,
        payload: Payload,
    ) -> BoxFuture<'static, Result<Payload, proto::Error>> {
        async move { self.dispatch(kind, &key, payload).await }.boxed()
    }

    fn event(&self, event: proto::Event) -> BoxFuture<'_, ()> {
        self.events.of_worker(event).boxed()
    }
}
