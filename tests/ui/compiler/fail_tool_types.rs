//! Types that a tool cannot have.

#![allow(unused_variables, dead_code)]

use dspex::{State, ToolError, dspex_tool};

struct Foreign;

/// An argument.
#[dspex_tool]
fn argument(value: Foreign) {}

/// A default of another type.
#[dspex_tool]
fn default(#[tool(default = "three")] value: u8) {}

/// A range of another type.
#[dspex_tool]
fn range(#[tool(range(0..=50))] value: String) {}

/// A range that the type does not have.
#[dspex_tool]
fn negative(#[tool(range(-1..=50))] value: u8) {}

/// A context.
#[dspex_tool]
fn context(#[ctx] value: String) {}

/// An answer.
#[dspex_tool]
fn answer() -> Foreign {
    Foreign
}

/// An answer in a result.
#[dspex_tool]
fn answer_in_result() -> Result<Foreign, ToolError> {
    Ok(Foreign)
}

/// An error.
#[dspex_tool]
async fn error() -> Result<u8, Foreign> {
    Err(Foreign)
}

/// No stream.
#[dspex_tool(stream)]
fn no_stream() -> Vec<u8> {
    Vec::new()
}

/// A stream that is not said to be one.
#[dspex_tool]
fn unsaid() -> futures::stream::Empty<u8> {
    futures::stream::empty()
}

/// Bound to a thread.
#[dspex_tool]
async fn bound() {
    let shared = std::rc::Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
}

/// A state that cannot be shared.
#[dspex_tool]
fn state(#[ctx] value: State<std::rc::Rc<u8>>) {}

fn main() {}
