//! Options of the macro.

#![allow(unused_variables, dead_code)]

use dspex::dspex_tool;

/// A name.
#[dspex_tool(name = "get weather")]
fn name() {}

/// Another.
#[dspex_tool(name = "")]
fn no_name() {}

/// Another.
#[dspex_tool(name = weather)]
fn bare_name() {}

/// Another.
#[dspex_tool(name = "a", name = "b")]
fn twice() {}

/// Unknown.
#[dspex_tool(timout = "3s")]
fn unknown() {}

/// Time.
#[dspex_tool(timeout = "3")]
fn unitless() {}

/// Time.
#[dspex_tool(timeout = 3)]
fn bare_time() {}

/// Time.
#[dspex_tool(timeout = "0s")]
fn no_time() {}

/// Concurrency.
#[dspex_tool(concurrency = 0)]
fn none_at_once() {}

/// Concurrency.
#[dspex_tool(concurrency = "3", read_only = "yes")]
fn text_at_once() {}

/// Examples.
#[dspex_tool(examples())]
fn no_examples() {}

/// Examples.
#[dspex_tool(examples(3))]
fn no_call() {}

/// Examples.
#[dspex_tool(examples(call(1) -> 2))]
fn unnamed_arguments(x: u8) {}

/// Examples.
#[dspex_tool(examples(
    misnamed(first = 1),
    example(frist = 1),
    example(first = 1, first = 2),
    example(),
    example(first = 1, context = 3, colour = 4),
))]
fn example(first: u8, second: Option<u8>, #[ctx] context: dspex::ToolContext) {}

/// Elsewhere.
#[dspex_tool(crate = dspex)]
fn elsewhere() {}

/// Not in parentheses.
#[dspex_tool("a")]
fn literal() {}

fn main() {}
