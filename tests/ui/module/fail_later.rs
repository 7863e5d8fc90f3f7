//! Arguments that a later release brings say what to do until then.

use dspex::dspy_module;

#[dspy_module("dspy.Predict", tools(lookup, billing::refund))]
struct Later {
    #[input]
    question: String,
    #[output]
    answer: String,
}

fn main() {}
