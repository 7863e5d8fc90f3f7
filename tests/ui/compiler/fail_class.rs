//! Without arguments there is only the attribute to point at.

use dspex::dspy_module;

#[dspy_module]
struct NoClass {
    #[input]
    question: String,
    #[output]
    answer: String,
}

fn main() {}
