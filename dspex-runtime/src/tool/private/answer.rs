//! What becomes of the value that a function returns.

use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::pin;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, Stream, StreamExt};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::task::AbortOnDropHandle;
use tracing::Span;

use super::super::Standing;
use super::super::output::encode;
use super::super::run::places;
use super::super::{ToolError, ToolErrorKind, ToolOutput};

/// The type of a parameter that the model gives.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a tool",
    label = "not the type of an argument",
    note = "derive it: `#[derive(FieldType)]`; or implement serde's `Deserialize` and schemars' `JsonSchema`; what the runtime gives is marked `#[ctx]`"
)]
pub trait Argument {}

// The message above is the useful one; without this, rustc lists what serde implements instead.
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Argument for T {}

/// What a tool can answer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of a tool",
    label = "not the type of an answer",
    note = "derive it: `#[derive(FieldType)]`; or implement serde's `Serialize`; or return a `ToolOutput`; for a stream write `#[dspex_tool(stream)]`, and for a future make the function `async`"
)]
pub trait ToolReturn {
    /// The answer.
    fn into_output(self) -> Result<ToolOutput, ToolError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> ToolReturn for T {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        ToolOutput::new(&self)
    }
}

impl ToolReturn for ToolOutput {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(self)
    }
}

/// What a tool can fail with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a tool",
    label = "has no words for the model",
    note = "the model is told an error in its own words: implement `Display`, or return a `ToolError`"
)]
pub trait ToolFailure {
    /// The error.
    fn into_error(self) -> ToolError;
}

#[diagnostic::do_not_recommend]
impl<E: Display + 'static> ToolFailure for E {
    fn into_error(self) -> ToolError {
        // No trait can be implemented for `ToolError` and for all others.
        let mut error = Some(self);
        match (&mut error as &mut dyn Any).downcast_mut::<Option<ToolError>>().and_then(Option::take) {
            Some(error) => error,
            None => ToolError::new(error.map(|error| error.to_string()).unwrap_or_default()),
        }
    }
}

/// What a tool with `stream` can answer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no stream that a tool can answer with",
    label = "not a stream",
    note = "a tool with `stream` returns an `impl Stream<Item = T> + Send`; otherwise remove `stream`"
)]
pub trait ToolStream: Stream + Send {}

#[diagnostic::do_not_recommend]
impl<S: Stream + Send> ToolStream for S {}

/// Stands for the type that a function returns.
pub struct Returned<T>(PhantomData<fn() -> T>);

impl<T> Returned<T> {
    /// For a type that can be named.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only generated code makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// Stands for the type of a value.
pub fn returned<T>(_: &T) -> Returned<T> {
    Returned::new()
}

/// Stands for the type of a stream's items.
pub fn items_of<S: ToolStream>(_: &S) -> Returned<S::Item> {
    Returned::new()
}

/// The value is a `Result`, under whatever name.
#[derive(Clone, Copy)]
pub struct AsResult;

/// The value is anything else.
#[derive(Clone, Copy)]
pub struct AsValue;

/// Found first.
pub trait ResultKind {
    /// What the value is.
    fn kind(&self) -> AsResult {
        AsResult
    }
}

impl<T, E> ResultKind for &Returned<Result<T, E>> {}

/// Found for everything else.
pub trait ValueKind {
    /// What the value is.
    fn kind(&self) -> AsValue {
        AsValue
    }
}

impl<T> ValueKind for Returned<T> {}

impl AsResult {
    /// The tool's answer.
    ///
    /// # Errors
    ///
    /// The function's own, or that the value has no JSON form.
    pub fn output<T: ToolReturn, E: ToolFailure>(self, value: Result<T, E>) -> Result<ToolOutput, ToolError> {
        self.value(value)?.into_output()
    }

    /// The value, or the error for the model.
    ///
    /// # Errors
    ///
    /// The function's own.
    pub fn value<T, E: ToolFailure>(self, value: Result<T, E>) -> Result<T, ToolError> {
        value.map_err(ToolFailure::into_error)
    }
}

impl AsValue {
    /// The tool's answer.
    ///
    /// # Errors
    ///
    /// That the value has no JSON form.
    pub fn output<T: ToolReturn>(self, value: T) -> Result<ToolOutput, ToolError> {
        value.into_output()
    }

    /// The value itself.
    ///
    /// # Errors
    ///
    /// None; a `Result` has some.
    pub fn value<T>(self, value: T) -> Result<T, ToolError> {
        Ok(value)
    }
}

/// The answer of a tool with `stream`.
pub fn stream<S, T, F>(items: S, item: F) -> ToolOutput
where
    S: ToolStream + 'static,
    T: Serialize,
    F: FnMut(S::Item) -> Result<T, ToolError> + Send + 'static,
{
    ToolOutput::stream(items.map(item))
}

/// Where the items of a stream go that borrows from its service: as JSON, so that they borrow no longer.
pub type Door = mpsc::Sender<Result<Bytes, ToolError>>;

/// The answer of a method whose stream may borrow from its service: `run` owns the service, and gives the items away one by
/// one.
pub fn owned_stream<Run>(run: impl FnOnce(Door) -> Run) -> ToolOutput
where
    Run: Future<Output = ()> + Send + 'static,
{
    let (door, items) = mpsc::channel(0);
    // Polled with the items: it goes only as fast as they are taken, and ends where nobody wants them any more.
    let run = futures::stream::once(run(door)).filter_map(async |()| None);
    ToolOutput::stream_of_json(futures::stream::select(items, run))
}

/// Gives the items of a stream away.
pub async fn forward<S, T, F>(items: S, mut item: F, mut door: Door)
where
    S: ToolStream,
    T: Serialize,
    F: FnMut(S::Item) -> Result<T, ToolError> + Send,
{
    let mut items = pin!(items.map(|value| item(value).and_then(|value| encode(&value))));
    while let Some(item) = items.next().await {
        if door.send(item).await.is_err() {
            return;
        }
    }
}

/// Gives away why there is no stream.
pub async fn fail(error: ToolError, mut door: Door) {
    // Nobody listens to a stream that was dropped.
    let _ = door.send(Err(error)).await;
}

/// Runs a function that is not async where it may take its time.
///
/// # Errors
///
/// The function's own. Its panic goes on here.
pub async fn blocking<F>(run: F) -> Result<ToolOutput, ToolError>
where
    F: FnOnce() -> Result<ToolOutput, ToolError> + Send + 'static,
{
    // A thread cannot be stopped, so it keeps its places under the limits for as long as it runs.
    let (span, places, standing) = (Span::current(), places(), Standing::here());
    let run = move || {
        let _places = places;
        standing.sync_scope(run)
    };
    // One that has not begun when the call is dropped never does.
    let task = AbortOnDropHandle::new(tokio::task::spawn_blocking(move || span.in_scope(run)));
    match task.await {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(ToolError::of(ToolErrorKind::Failed, "the program is shutting down")),
        },
    }
}
