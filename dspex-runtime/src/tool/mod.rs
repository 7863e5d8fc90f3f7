//! Functions of Rust that DSPy programs call.
//!
//! `#[dspex_tool]` makes one of a function; [`Tool`] is what it implements, for tools whose shape is only known at run
//! time. [`ToolSet`] holds several in order. A tool runs with its arguments validated, within its time limit and its
//! concurrency limit, and whatever goes wrong in it is told to the model as a value: see [`ToolError`].

mod arguments;
mod check;
mod context;
mod declaration;
mod error;
mod output;
#[doc(hidden)]
pub mod private;
mod run;
mod schema;
mod set;
mod spec;
mod standing;

use futures::future::BoxFuture;

pub use arguments::ToolArguments;
pub use context::{CallId, FromToolContext, Requirement, State, ToolContext};
pub(crate) use context::{Scope, States};
pub(crate) use declaration::{Declaration, SESSION_PREFIX};
pub use error::{ToolError, ToolErrorKind};
pub use output::ToolOutput;
pub(crate) use run::Answered;
pub(crate) use set::{Entry, check_requirements};
pub use set::{IntoToolSet, ToolSet, ToolSetError};
pub use spec::{ToolExample, ToolParameter, ToolSpec, ToolSpecBuilder};
pub(crate) use standing::Standing;

/// A function that DSPy programs can call: its description, and what runs it.
///
/// `#[dspex_tool]` implements it. Implement it yourself for tools whose shape is only known at run time.
pub trait Tool: Send + Sync + 'static {
    /// What the model is told of the tool, and its limits. The same for the tool's whole life.
    fn spec(&self) -> &ToolSpec;

    /// Runs the tool. The arguments were validated against the spec: those that are missing and have a default are set,
    /// those that were null and optional are absent.
    ///
    /// Dropping the future cancels the tool; [`ToolContext::cancellation`] tells what it has started elsewhere.
    fn call(
        &self,
        context: ToolContext,
        arguments: ToolArguments,
    ) -> BoxFuture<'static, Result<ToolOutput, ToolError>>;

    /// What the tool needs of its context. A tool that is registered where something of it is missing is refused.
    fn requirements(&self) -> Vec<Requirement> {
        Vec::new()
    }

    /// For a method: the address of the object that it is one of. Two tools of one type are the same where it is.
    #[doc(hidden)]
    fn object(&self) -> Option<usize> {
        None
    }
}
