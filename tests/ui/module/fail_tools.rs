//! Tools: what the grammar and the class allow.

use dspex::{dspex_tool, dspy_module};

/// Looks things up.
#[dspex_tool]
fn lookup() {}

#[dspy_module("dspy.Predict", signature = "q -> a", tools(lookup))]
struct TakesNone;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools(lookup, self::lookup, lookup))]
struct SamePath;

#[dspy_module("dspy.ReAct", signature = "q -> a")]
struct NeedsSome;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools())]
struct Empty;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools = [lookup])]
struct Value;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools("lookup"))]
struct Text;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools(lookup), tools(refund))]
struct Twice;

#[dspy_module("dspy.ReAct", signature = "q -> a", tool(lookup))]
struct Misspelt;

#[dspy_module("dspy.CodeAct", signature = "q -> a", tools(lookup))]
struct RunsTheirSource;

fn main() {}
