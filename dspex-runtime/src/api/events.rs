//! What happens while a call runs, for those who want to see it.

use std::convert::Infallible;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::error::{Error, Result};
use crate::proto;
use crate::tool::{Answered, CallId, Standing, ToolError};
use crate::wire;

/// So many events wait for a reader before the call waits for it too.
const BACKLOG: usize = 256;

/// So many bytes of items wait for a reader before the call waits for it too; one that is larger waits alone.
const BACKLOG_BYTES: u32 = 1 << 20;

/// What happens while a call runs, in order, and its answer last.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CallEvent<T> {
    /// A tool of Rust begins.
    ToolStart {
        /// This run of the tool.
        call: CallId,
        /// Its name.
        tool: String,
        /// The arguments as they were given, before they are validated.
        arguments: Value,
    },
    /// A tool of Rust that streams gave an item.
    ToolItem {
        /// This run of the tool.
        call: CallId,
        /// Its name.
        tool: String,
        /// 0, 1, 2, ..
        index: usize,
        /// The item.
        value: Value,
    },
    /// A tool of Rust ended.
    ToolEnd {
        /// This run of the tool.
        call: CallId,
        /// Its name.
        tool: String,
        /// What the model is told.
        result: Result<Value, ToolError>,
    },
    /// A tool of Python that streams gave an item.
    Item {
        /// 0, 1, 2, ..
        index: usize,
        /// The item.
        value: Value,
    },
    /// The call ended with its answer. Nothing comes after it.
    Done(T),
}

impl CallEvent<Infallible> {
    fn of<T>(self) -> CallEvent<T> {
        match self {
            Self::ToolStart { call, tool, arguments } => CallEvent::ToolStart { call, tool, arguments },
            Self::ToolItem { call, tool, index, value } => CallEvent::ToolItem { call, tool, index, value },
            Self::ToolEnd { call, tool, result } => CallEvent::ToolEnd { call, tool, result },
            Self::Item { index, value } => CallEvent::Item { index, value },
            Self::Done(never) => match never {},
        }
    }
}

/// Where the events of a call go; nowhere, unless somebody reads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallEvents(Option<Reader>);

#[derive(Clone, Debug)]
struct Reader {
    sender: mpsc::Sender<Waiting>,
    /// For the bytes of items.
    room: Arc<Semaphore>,
}

/// An event on its way to the reader.
#[derive(Debug)]
struct Waiting {
    event: CallEvent<Infallible>,
    /// The size of an item as JSON; 0 for what is none.
    bytes: u64,
    _room: Option<OwnedSemaphorePermit>,
}

impl CallEvents {
    pub(crate) fn is_read(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) async fn tool_started(&self, call: CallId, tool: &str, arguments: &Value) {
        if self.is_read() {
            let (tool, arguments) = (tool.to_owned(), arguments.clone());
            self.send(CallEvent::ToolStart { call, tool, arguments }).await;
        }
    }

    pub(crate) async fn tool_item(&self, call: CallId, tool: &str, index: usize, json: &[u8]) {
        if self.is_read() {
            let value = wire::document_from_slice(json).unwrap_or_default();
            let event = CallEvent::ToolItem { call, tool: tool.to_owned(), index, value };
            self.send_item(event, json.len()).await;
        }
    }

    pub(crate) async fn tool_ended(&self, call: CallId, tool: &str, answered: &Result<Answered, ToolError>) {
        if self.is_read() {
            let result = match answered {
                Ok(answered) => answered.to_value(),
                Err(error) => Err(error.clone()),
            };
            self.send(CallEvent::ToolEnd { call, tool: tool.to_owned(), result }).await;
        }
    }

    /// An event of the worker's.
    pub(crate) async fn of_worker(&self, event: proto::Event) {
        #[derive(Deserialize)]
        struct Item {
            index: usize,
            value: Value,
        }
        if !self.is_read() {
            return;
        }
        match event.r#type.as_str() {
            "item" => match serde_json::from_slice::<Item>(&event.json) {
                Ok(Item { index, value }) => {
                    self.send_item(CallEvent::Item { index, value }, event.json.len()).await;
                }
                Err(error) => tracing::warn!(target: "dspex::bridge", %error, "an item cannot be read"),
            },
            other => tracing::debug!(target: "dspex::bridge", seq = event.seq, kind = other, "event"),
        }
    }

    /// An item of a tool of Python, of so many bytes as JSON.
    pub(crate) async fn item(&self, index: usize, value: Value, bytes: u64) {
        self.send_item(CallEvent::Item { index, value }, usize::try_from(bytes).unwrap_or(usize::MAX)).await;
    }

    async fn send(&self, event: CallEvent<Infallible>) {
        if let Some(Reader { sender, .. }) = &self.0 {
            // Whoever stopped reading wants no more of them.
            let _ = sender.send(Waiting { event, bytes: 0, _room: None }).await;
        }
    }

    /// Waits for room by the item's size as well.
    async fn send_item(&self, event: CallEvent<Infallible>, bytes: usize) {
        if let Some(Reader { sender, room }) = &self.0 {
            let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(BACKLOG_BYTES);
            // A semaphore of ours is never closed.
            let room = room.clone().acquire_many_owned(wanted).await.ok();
            let _ = sender.send(Waiting { event, bytes: bytes as u64, _room: room }).await;
        }
    }
}

/// A call and what happens while it runs: a [`Stream`] of events. Dropping it cancels the call in Python.
///
/// It starts when it is read for the first time, on the tokio runtime of the reader. Who stops reading stops the call, once 256 events
/// or 1 MiB of items wait; its deadline goes on.
#[must_use = "a call starts when its stream is read"]
pub struct CallStream<T> {
    events: mpsc::Receiver<Waiting>,
    item_bytes: u64,
    call: Running<T>,
}

enum Running<T> {
    NotYet(Pin<Box<dyn Future<Output = Result<T>> + Send>>),
    /// Apart from its reader, so that a tool's time limit is not spent while nobody reads.
    Task(AbortOnDropHandle<Result<T>>),
    Ended,
}

impl<T: Send + 'static> Running<T> {
    fn start(&mut self) {
        if let Self::NotYet(_) = self
            && let Self::NotYet(call) = std::mem::replace(self, Self::Ended)
        {
            let call = Standing::here().scope(call).in_current_span();
            *self = Self::Task(AbortOnDropHandle::new(tokio::spawn(call)));
        }
    }
}

impl<T> CallStream<T> {
    /// A call whose events go to `CallEvents`.
    pub(crate) fn new<F>(call: impl FnOnce(CallEvents) -> F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(BACKLOG);
        let reader = Reader { sender, room: Arc::new(Semaphore::new(BACKLOG_BYTES as usize)) };
        let call = Running::NotYet(Box::pin(call(CallEvents(Some(reader)))));
        Self { events, item_bytes: 0, call }
    }

    /// The size of all items so far, as JSON.
    pub(crate) fn item_bytes(&self) -> u64 {
        self.item_bytes
    }

    /// The next event; none after [`CallEvent::Done`] or an error.
    ///
    /// # Errors
    ///
    /// What the call ended with.
    pub async fn try_next(&mut self) -> Result<Option<CallEvent<T>>>
    where
        T: Unpin + Send + 'static,
    {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await.transpose()
    }

    /// Reads on to the answer.
    ///
    /// # Errors
    ///
    /// What the call ended with.
    pub async fn finish(mut self) -> Result<T>
    where
        T: Unpin + Send + 'static,
    {
        while let Some(event) = self.try_next().await? {
            if let CallEvent::Done(answer) = event {
                return Ok(answer);
            }
        }
        Err(Error::Cancelled("its stream was read to the end before".to_owned()))
    }
}

impl<T: Unpin + Send + 'static> Stream for CallStream<T> {
    type Item = Result<CallEvent<T>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.call.start();
        if let Some(Waiting { event, bytes, .. }) = ready!(self.events.poll_recv(context)) {
            self.item_bytes += bytes;
            return Poll::Ready(Some(Ok(event.of())));
        }
        // Nobody is left who could tell of an event.
        let Running::Task(task) = &mut self.call else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(task).poll(context));
        self.call = Running::Ended;
        let answer = ended.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Error::Cancelled("the runtime is shutting down".to_owned())),
        });
        Poll::Ready(Some(answer.map(CallEvent::Done)))
    }
}

impl<T> std::fmt::Debug for CallStream<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallStream").finish_non_exhaustive()
    }
}
