//! What a tool is given beside its arguments.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Standing, ToolError, ToolErrorKind};
use crate::api::{Dspex, Session};
use crate::pool::{Pool, PoolConfig};

/// What a tool is given beside its arguments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ToolContext {
    tool: Arc<str>,
    call: CallId,
    scope: Scope,
}

/// Where tools run: the session and program behind a call, and what cancels it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) dspex: Option<Dspex>,
    pub(crate) session: Option<Session>,
    pub(crate) cancelled: CancellationToken,
    pub(crate) states: States,
    /// Where the calls of the tool stand.
    pub(crate) standing: Standing,
}

impl Scope {
    /// The same for a tool whose calls stand there.
    pub(super) fn standing_at(mut self, standing: &Standing) -> Self {
        self.standing = standing.clone();
        if let Some(dspex) = &mut self.dspex {
            dspex.standing = standing.clone();
        }
        let (dspex, session) = (self.dspex.clone(), self.session.take());
        self.session = session.map(|session| match dspex {
            Some(dspex) => session.on(dspex),
            None => session,
        });
        self
    }

    /// The largest answer of a tool, as JSON: what the program's workers take as one message.
    pub(super) fn max_answer_bytes(&self) -> u64 {
        let pool = self.dspex.as_ref().map(|dspex| dspex.runtime.bridge.pool());
        // Outside of every program the usual limit holds.
        pool.map_or_else(|| PoolConfig::default().max_message_bytes, Pool::max_message_bytes)
    }
}

/// Identifies one run of a tool, unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

impl CallId {
    pub(super) fn next() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ToolContext {
    pub(super) fn new(tool: &str, call: CallId, scope: Scope) -> Self {
        Self { tool: tool.into(), call, scope }
    }

    /// A context without session, program and states, for tests of a tool and for servers of their own.
    #[must_use]
    pub fn detached(tool: &str) -> Self {
        Self::new(tool, CallId::next(), Scope::default())
    }

    /// The same, whose [`cancellation`](Self::cancellation) is this token: for servers that cancel what they run.
    #[must_use]
    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.scope.cancelled = token;
        self
    }

    /// The tool's name.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// This run of the tool.
    #[must_use]
    pub fn call_id(&self) -> CallId {
        self.call
    }

    /// The session of the call, if it has one. What the tool calls on it stands below the call that the tool is part of, so that it
    /// never waits for a place that this one holds. Keep it no longer than the tool runs.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.scope.session.as_ref()
    }

    /// The running dspex, unless the tool runs outside of one.
    #[must_use]
    pub fn dspex(&self) -> Option<&Dspex> {
        self.scope.dspex.as_ref()
    }

    /// Cancelled when the call is: dropped, past its deadline, or its session ended. The tool's own future is dropped then;
    /// this is for what it started elsewhere, and for functions that are not async.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.scope.cancelled
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// A state of this type, if it was given: see [`State`].
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<State<T>> {
        self.scope.states.get()
    }
}

/// Values by their types.
#[derive(Clone, Default)]
pub(crate) struct States(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl States {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<State<T>> {
        let value = self.0.get(&TypeId::of::<T>())?.clone();
        value.downcast().ok().map(State)
    }

    pub(crate) fn has(&self, type_id: TypeId) -> bool {
        self.0.contains_key(&type_id)
    }

    /// Whether both are the very same values.
    pub(crate) fn are(&self, others: &Self) -> bool {
        let address = |value: &Arc<dyn Any + Send + Sync>| Arc::as_ptr(value).cast::<()>();
        self.0.len() == others.0.len()
            && self.0.iter().all(|(id, one)| others.0.get(id).is_some_and(|two| address(one) == address(two)))
    }

    /// These, and in place of those of the same type the others.
    pub(crate) fn with(&self, others: &Self) -> Self {
        if others.0.is_empty() {
            return self.clone();
        }
        let mut all = (*self.0).clone();
        all.extend(others.0.iter().map(|(id, value)| (*id, value.clone())));
        Self(Arc::new(all))
    }
}

impl std::fmt::Debug for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}

/// A value of the program that tools share, by its type: `#[ctx] db: State<Db>`.
///
/// Given with [`DspexBuilder::state`](crate::DspexBuilder::state) for all tools, or with [`ToolSet::state`](super::ToolSet::state) for those
/// of one set, which comes first. A tool whose state was not given is refused when it is registered.
pub struct State<T>(Arc<T>);

impl<T> State<T> {
    /// A state, for calling a tool's function directly.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::fmt::Debug for State<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State<{}>", type_name::<T>())
    }
}

/// What a tool needs of its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// A state of this type.
    State {
        /// The type.
        type_id: TypeId,
        /// Its name, for messages.
        type_name: &'static str,
    },
    /// A session.
    Session,
}

/// Types of parameters marked `#[ctx]`: what the runtime gives to a tool, and the model knows nothing of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a tool's context holds",
    label = "not a type of a `#[ctx]` parameter",
    note = "there are `ToolContext`, `Session`, `Dspex`, `CancellationToken`, `CallId` and `State<T>` for a `T` of your own"
)]
pub trait FromToolContext: Sized {
    /// What has to be there.
    fn requirement() -> Option<Requirement> {
        None
    }

    /// Takes it out of the context.
    ///
    /// # Errors
    ///
    /// [`ToolErrorKind::Context`] if it is not there.
    fn from_context(context: &ToolContext) -> Result<Self, ToolError>;
}

impl FromToolContext for ToolContext {
    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        Ok(context.clone())
    }
}

impl FromToolContext for CallId {
    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        Ok(context.call_id())
    }
}

impl FromToolContext for CancellationToken {
    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        Ok(context.cancellation().clone())
    }
}

impl FromToolContext for Session {
    fn requirement() -> Option<Requirement> {
        Some(Requirement::Session)
    }

    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        context.session().cloned().ok_or_else(|| missing(context, "a session"))
    }
}

impl FromToolContext for Option<Session> {
    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        Ok(context.session().cloned())
    }
}

impl FromToolContext for Dspex {
    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        context.dspex().cloned().ok_or_else(|| missing(context, "a running dspex"))
    }
}

impl<T: Send + Sync + 'static> FromToolContext for State<T> {
    fn requirement() -> Option<Requirement> {
        Some(Requirement::State { type_id: TypeId::of::<T>(), type_name: type_name::<T>() })
    }

    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        context.state().ok_or_else(|| missing(context, type_name::<T>()))
    }
}

fn missing(context: &ToolContext, what: &str) -> ToolError {
    tracing::error!(target: "dspex::tool", tool = context.tool(), what, "a tool's context lacks what it needs");
    ToolError::of(ToolErrorKind::Context, format!("the tool `{}` cannot run here", context.tool()))
}
