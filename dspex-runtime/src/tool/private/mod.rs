//! What the code of `#[dspex_tool]`, `#[dspex_tools]` and `tools![]` calls. Not part of the public API.
//!
//! A macro sees the words of a return type, and an alias such as `anyhow::Result<T>` has none that it knows. What becomes
//! of an answer is therefore chosen by types: [`Returned`] stands for one, and the method of it that the compiler finds
//! first, by adding as few references as it must, is the one for that type.

mod answer;
mod example;
mod names;
mod schema;

pub use answer::{
    Argument, AsResult, AsValue, ResultKind, Returned, ToolFailure, ToolReturn, ToolStream, ValueKind,
    blocking, fail, forward, items_of, owned_stream, returned, stream,
};
pub use example::{check_examples, example_arguments, value};
pub use names::{Named, name_is_distinct, name_is_free, name_of};
pub use schema::{AnySchema, ResultSchema, ValueSchema};

use super::{Requirement, ToolSet};

/// Adds a tool whose name was compared with the others' while compiling.
#[must_use]
pub fn with(set: ToolSet, tool: impl Named) -> ToolSet {
    set.with_declared(tool)
}

/// What the parameters of a tool need.
#[must_use]
pub fn requirements<const N: usize>(each: [Option<Requirement>; N]) -> Vec<Requirement> {
    each.into_iter().flatten().collect()
}
