//! One run of a tool: validated, limited, contained.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::context::{CallId, Scope};
use super::output::{self, Answer};
use super::set::Entry;
use super::{ToolArguments, ToolContext, ToolError, ToolErrorKind, ToolOutput, ToolSet, ToolSpec};
use crate::api::{CallEvents, CallStream};
use crate::error::Error;
use crate::panics::panic_text;
use crate::wire;

tokio::task_local! {
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

/// What a tool answered, as it goes over the wire.
#[derive(Debug)]
pub(crate) struct Answered(Bytes);

impl Answered {
    pub(crate) fn into_json(self) -> Bytes {
        self.0
    }

    /// As a value, in which tags stand for what JSON cannot hold.
    pub(crate) fn to_value(&self) -> Result<Value, ToolError> {
        output::decode(&self.0)
    }
}

impl Entry {
    /// Runs the tool to its end, with its events. Whatever goes wrong in it is an error for the model.
    pub(crate) async fn answer(
        &self,
        arguments: &[u8],
        scope: Scope,
        session: Option<&Arc<Semaphore>>,
        events: &CallEvents,
    ) -> Result<Answered, ToolError> {
        let given = match arguments {
            [] => Value::Null,
            json => wire::document_from_slice(json).map_err(|error| unreadable(&error))?,
        };
        let (call, name) = (CallId::next(), self.name());
        events.tool_started(call, name, &given).await;
        // On the heap: a tool may run another one, which runs another one.
        let answered = Box::pin(self.run(call, given, scope, session, events)).await;
        events.tool_ended(call, name, &answered).await;
        answered
    }

    async fn run(
        &self,
        call: CallId,
        given: Value,
        mut scope: Scope,
        session: Option<&Arc<Semaphore>>,
        events: &CallEvents,
    ) -> Result<Answered, ToolError> {
        let spec = self.tool.spec();
        let arguments = ToolArguments::validate(given, spec)?;
        // First the tool's own limit: who waits for that keeps no other tool of the session from running.
        let mut standing = scope.standing.clone().in_trace_of_task();
        let tool = standing.place(self.limit.as_ref()).await;
        let session = standing.place(session).await;
        let places = Arc::new(Places { _tool: tool, _session: session });
        let limit = scope.max_answer_bytes();
        // What the tool started elsewhere is told when it is given up, and not when it ended by itself.
        scope.cancelled = scope.cancelled.child_token();
        let given_up = scope.cancelled.clone().drop_guard();
        scope.states = scope.states.with(&self.states);
        let context = ToolContext::new(spec.name(), call, scope.standing_at(&standing));
        let answer = async {
            let mut left = TimeLeft(spec.timeout());
            let output =
                left.run(self.tool.call(context, arguments)).await.ok_or_else(|| timed_out(spec))??;
            collect(output, call, (spec, left, limit), events).await
        };
        let contained = AssertUnwindSafe(standing.scope(PLACES.scope(places, answer))).catch_unwind();
        let ended = contained.await.unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            tracing::error!(target: "dspex::tool", tool = spec.name(), panic = text, "a tool panicked");
            let message = "the tool failed unexpectedly";
            Err(ToolError::of(ToolErrorKind::Panicked, message))
        });
        if !matches!(&ended, Err(error) if error.kind() == ToolErrorKind::TimedOut) {
            given_up.disarm();
        }
        ended
    }
}

/// What is left of a tool's time limit. Whoever reads its items may take their time; that is not the tool's.
struct TimeLeft(Option<Duration>);

impl TimeLeft {
    /// What the future ends with; none if the time was over before.
    async fn run<F: Future>(&mut self, future: F) -> Option<F::Output> {
        // A stream that always has an item must not keep others from running.
        tokio::task::coop::consume_budget().await;
        let Some(left) = self.0 else { return Some(future.await) };
        if left.is_zero() {
            return None;
        }
        let begun = Instant::now();
        let ended = tokio::time::timeout(left, future).await.ok();
        self.0 = Some(left.saturating_sub(begun.elapsed()));
        ended
    }
}

fn timed_out(spec: &ToolSpec) -> ToolError {
    let limit = spec.timeout().unwrap_or_default();
    let message = format!("the tool did not end within {limit:?}");
    ToolError::of(ToolErrorKind::TimedOut, message).retryable()
}

/// The whole answer. The items of a stream are events as they come; together they are one text, or a list.
async fn collect(
    output: ToolOutput,
    call: CallId,
    (spec, mut left, limit): (&ToolSpec, TimeLeft, u64),
    events: &CallEvents,
) -> Result<Answered, ToolError> {
    let mut stream = match output.0 {
        Answer::Value(json) if json.len() as u64 > limit => {
            return Err(output::too_large(limit));
        }
        Answer::Value(json) => return Ok(Answered(json)),
        Answer::Stream(stream) => stream,
    };
    let (mut items, mut size) = (Vec::new(), 0);
    while let Some(item) = left.run(stream.next()).await.ok_or_else(|| timed_out(spec))? {
        let item = item?;
        size += item.len() as u64 + 1;
        if size > limit {
            return Err(output::too_large(limit));
        }
        events.tool_item(call, spec.name(), items.len(), &item).await;
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
        let json = wire::document_to_vec(&arguments).map_err(|error| unreadable(&error))?;
        entry.answer(&json, scope, None, events).await?.to_value()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use futures::stream::{self, BoxStream};
    use serde_json::json;

    use super::*;
    use crate::CallEvent;
    use crate::tool::Tool;

    /// A tool that streams.
    struct Streams(ToolSpec, fn() -> BoxStream<'static, Value>);

    impl Tool for Streams {
        fn spec(&self) -> &ToolSpec {
            &self.0
        }

        fn call(
            &self,
            _: ToolContext,
            _: ToolArguments,
        ) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
            let items = (self.1)().map(Ok);
            Box::pin(async { Ok(ToolOutput::stream(items)) })
        }
    }

    fn streaming(timeout: Duration, items: fn() -> BoxStream<'static, Value>) -> ToolSet {
        let spec = ToolSpec::builder("count", "Counts.").streams(true).timeout(timeout).build();
        ToolSet::new().with(Streams(spec, items)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_takes_their_time_does_not_spend_the_tools() {
        let tools = streaming(Duration::from_secs(1), || stream::iter(0..1_000).map(Value::from).boxed());
        let mut events = tools.stream("count", json!({}), &ToolContext::detached("count"));
        assert!(matches!(events.try_next().await, Ok(Some(CallEvent::ToolStart { .. }))));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(events.finish().await.unwrap().as_array().map(Vec::len), Some(1_000));
    }

    #[tokio::test]
    async fn a_stream_that_always_has_an_item_ends_with_its_time_limit_and_lets_others_run() {
        let tools = streaming(Duration::from_millis(20), || stream::iter(0_u64..).map(Value::from).boxed());
        let others = tokio::spawn(async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        });
        let counted = tools.execute("count", json!({})).await;
        assert_eq!(counted.unwrap_err().kind(), ToolErrorKind::TimedOut);
        assert!(others.is_finished(), "on one thread it had to give way");
    }

    #[tokio::test]
    async fn a_stream_that_is_more_than_a_message_may_hold_ends_with_an_error() {
        let megabytes = || stream::repeat_with(|| Value::from("x".repeat(4 << 20))).boxed();
        let counted = streaming(Duration::from_secs(600), megabytes).execute("count", json!({})).await;
        assert_eq!(counted.unwrap_err().kind(), ToolErrorKind::Output);
    }
}
