//! The compiler refuses this in the struct as well.

use dspex::dspy_module;

#[dspy_module("dspy.Predict")]
struct Inferred {
    #[input]
    question: Vec<_>,
    #[output]
    answer: String,
}

fn main() {}
