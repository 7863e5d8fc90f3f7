//! Paths that lead to no tool.

use dspex::{dspex_tool, dspy_module, tools};

/// Looks things up.
#[dspex_tool]
fn lookup() {}

fn unmarked() {}

struct Unmarked {}

#[dspy_module("dspy.ReAct", signature = "q -> a", tools(lookup, lokup))]
struct Unknown;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools(unmarked))]
struct NotATool;

fn main() {
    let _ = tools![lookup, lookop];
    let _ = tools![unmarked];
    let _ = tools![Unmarked];
}
