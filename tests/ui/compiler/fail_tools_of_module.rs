//! Names of tools in a module, which only the compiler knows.

use dspex::{dspex_tool, dspy_module};

/// Looks things up.
#[dspex_tool]
fn lookup() {}

/// Ends.
#[dspex_tool(name = "finish")]
fn end() {}

/// Does not end.
#[dspex_tool(name = "other")]
fn finish() {}

mod billing {
    /// Looks bills up.
    #[dspex::dspex_tool]
    pub(crate) fn lookup() {}
}

fn unmarked() {}

#[dspy_module("dspy.ReAct", signature = "q -> a", tools(finish, lookup, end))]
struct Reserved;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools(lookup, finish, billing::lookup))]
struct SameName;

fn main() {}
