//! Each field is an input or an output.

use dspex::dspy_module;

#[dspy_module("dspy.Predict")]
struct Markers {
    #[input(desc = "The question.")]
    question: String,
    #[input]
    #[output]
    both: String,
    #[output]
    #[output]
    twice: String,
    neither: String,
}

#[dspy_module("dspy.Predict")]
struct NoInput {
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict")]
struct NoOutput {
    #[input]
    question: String,
}

#[dspy_module("dspy.Predict")]
struct NoFields {}

fn main() {}
