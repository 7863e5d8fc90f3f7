//! One run of a tool: validated, limited, contained.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::context::{CallId, Scope};
use super::output::{self, Answer};
use super::set::Entry;
use super::{ToolArguments, ToolContext, ToolError, ToolErrorKind, ToolOutput, ToolSet};
use crate::api::{CallEvents, CallStream};
use crate::error::Error;
use crate::panics::panic_text;
use crate::wire;

tokio::task_local! {
    /// How deep a call is that is made from here: the calls of a tool, a reward or a model of the program stand below the one
    /// that it serves.
    static NESTING: u32;
    /// What the running tool holds of limits, for a thread that may outlive its call.
    static PLACES: Arc<Places>;
}

/// What one run holds of the limits of its tool and its session, until all that runs of it has ended.
#[derive(Debug)]
pub(crate) struct Places {
    _tool: Option<OwnedSemaphorePermit>,
    _session: Option<OwnedSemaphorePermit>,
}

/// The places of the tool that is running here.
pub(super) fn places() -> Option<Arc<Places>> {
    PLACES.try_with(Arc::clone).ok()
}

/// What a call of this depth asks of the program.
pub(crate) fn below<F: Future>(depth: u32, asked: F) -> impl Future<Output = F::Output> {
    NESTING.scope(depth + 1, asked)
}

/// How many calls stand above one that is made here.
pub(crate) fn nesting() -> u32 {
    NESTING.try_with(|depth| *depth).unwrap_or(0)
}

/// What a tool answered, as it goes over the wire.
#[derive(Debug)]
pub(crate) struct Answered(Bytes);

impl Answered {
    pub(crate) fn into_json(self) -> Bytes {
        self.0
    }

    /// As a value, in which tags stand for what JSON cannot hold.
    pub(crate) fn to_value(&self) -> Result<Value, ToolError> {
        wire::document_from_slice(&self.0).map_err(|error| unreadable(&error))
    }
}

impl Entry {
    /// Runs the tool to its end, with its events. Whatever goes wrong in it is an error for the model.
    pub(crate) async fn answer(
        &self,
        arguments: &[u8],
        scope: Scope,
        session: Option<OwnedSemaphorePermit>,
        events: &CallEvents,
    ) -> Result<Answered, ToolError> {
        let given = match arguments {
            [] => Value::Null,
            json => wire::document_from_slice(json).map_err(|error| unreadable(&error))?,
        };
        let (call, name) = (CallId::next(), self.name());
        events.tool_started(call, name, &given).await;
        let answered = self.run(call, given, scope, session, events).await;
        events.tool_ended(call, name, &answered).await;
        answered
    }

    async fn run(
        &self,
        call: CallId,
        given: Value,
        mut scope: Scope,
        session: Option<OwnedSemaphorePermit>,
        events: &CallEvents,
    ) -> Result<Answered, ToolError> {
        let spec = self.tool.spec();
        let arguments = ToolArguments::validate(given, spec)?;
        let depth = scope.depth;
        let limit = scope.max_answer_bytes();
        // What the tool started elsewhere is told when it is given up, and not when it ended by itself.
        scope.cancelled = scope.cancelled.child_token();
        let given_up = scope.cancelled.clone().drop_guard();
        let context = ToolContext::new(spec.name(), call, scope);
        // A semaphore of ours is never closed, so there is always a permit at last.
        let tool = match &self.limit {
            Some(limit) => limit.clone().acquire_owned().await.ok(),
            None => None,
        };
        let places = Arc::new(Places { _tool: tool, _session: session });
        let answer = async {
            let output = self.tool.call(context, arguments).await?;
            collect(output, call, spec.name(), limit, events).await
        };
        let contained = AssertUnwindSafe(below(depth, PLACES.scope(places, answer))).catch_unwind();
        let ended = match spec.timeout() {
            None => contained.await,
            Some(limit) => tokio::time::timeout(limit, contained).await.map_err(|_| {
                let message = format!("the tool `{}` did not end within {limit:?}", spec.name());
                ToolError::of(ToolErrorKind::TimedOut, message).retryable()
            })?,
        };
        given_up.disarm();
        ended.unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            tracing::error!(target: "dspex::tool", tool = spec.name(), panic = text, "a tool panicked");
            let message = format!("the tool `{}` failed unexpectedly", spec.name());
            Err(ToolError::of(ToolErrorKind::Panicked, message))
        })
    }
}

/// The whole answer. The items of a stream are events as they come; together they are one text, or a list.
async fn collect(
    output: ToolOutput,
    call: CallId,
    tool: &str,
    limit: u64,
    events: &CallEvents,
) -> Result<Answered, ToolError> {
    let mut stream = match output.0 {
        Answer::Value(json) => return Ok(Answered(json)),
        Answer::Stream(stream) => stream,
    };
    let (mut items, mut size) = (Vec::new(), 0);
    while let Some(item) = stream.next().await {
        let item = item?;
        size += item.len() as u64 + 1;
        if size > limit {
            return Err(output::too_large(tool, limit));
        }
        events.tool_item(call, tool, items.len(), &item).await;
        items.push(item);
    }
    Ok(Answered(output::join(&items)))
}

fn unreadable(error: &wire::WireError) -> ToolError {
    ToolError::of(ToolErrorKind::InvalidArguments, format!("the arguments are no JSON: {error}"))
}

impl ToolSet {
    /// Runs one of the tools, outside of any session: validated, within its limits, its panics contained.
    ///
    /// ```
    /// use dspex_runtime::tool::{ToolErrorKind, ToolSet};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let refused = ToolSet::new().execute("plan_of", serde_json::json!({})).await;
    /// assert_eq!(refused.unwrap_err().kind(), ToolErrorKind::NotRegistered);
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// What the tool ended with; [`ToolErrorKind::NotRegistered`] if there is none of this name.
    pub async fn execute(&self, name: &str, arguments: Value) -> Result<Value, ToolError> {
        self.execute_in(name, arguments, &ToolContext::detached(name)).await
    }

    /// The same with the session, states and cancellation of another context, for servers of their own.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_in(
        &self,
        name: &str,
        arguments: Value,
        context: &ToolContext,
    ) -> Result<Value, ToolError> {
        let events = CallEvents::default();
        self.execute_with(name, arguments, context.scope().clone(), &events).await
    }

    /// The same, with the items of a tool that streams as they come: events of the type
    /// [`CallEvent::ToolItem`](crate::CallEvent::ToolItem).
    ///
    /// What the tool ends with comes last, a failure as [`Error::Tool`](crate::Error::Tool). Dropping the stream drops the tool.
    pub fn stream(&self, name: &str, arguments: Value, context: &ToolContext) -> CallStream<Value> {
        let (tools, tool, scope) = (self.clone(), name.to_owned(), context.scope().clone());
        CallStream::new(move |events| async move {
            let answered = tools.execute_with(&tool, arguments, scope, &events).await;
            answered.map_err(|error| Error::Tool { tool, error })
        })
    }

    pub(crate) async fn execute_with(
        &self,
        name: &str,
        arguments: Value,
        scope: Scope,
        events: &CallEvents,
    ) -> Result<Value, ToolError> {
        let Some(entry) = self.entry(name) else {
            let message = format!("there is no tool `{name}`");
            return Err(ToolError::of(ToolErrorKind::NotRegistered, message));
        };
        let scope = Scope { states: scope.states.with(self.states()), ..scope };
        let json = wire::document_to_vec(&arguments).map_err(|error| unreadable(&error))?;
        entry.answer(&json, scope, None, events).await?.to_value()
    }
}
