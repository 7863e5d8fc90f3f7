//! Tools: what the grammar and the class allow, and that there are none yet.

use dspex::dspy_module;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools(lookup, billing::refund))]
struct NotYet;

#[dspy_module("dspy.Predict", signature = "q -> a", tools(lookup))]
struct TakesNone;

#[dspy_module("dspy.ReAct", signature = "q -> a", tools(lookup, lookup, billing::lookup, r#finish))]
struct Names;

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
