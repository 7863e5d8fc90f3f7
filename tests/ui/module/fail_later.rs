//! Arguments that a later release brings say what to do until then.

use dspex::dspy_module;

#[dspy_module(
    "dspy.Predict",
    signature = "question -> answer",
    tools(lookup, billing::refund),
    methods(reset),
    transform = path::to::function,
    execute = "forward",
    unchecked
)]
struct Later {
    #[input]
    question: String,
    #[output]
    answer: String,
}

fn main() {}
