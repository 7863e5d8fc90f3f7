//! A type without `FieldType`: the first message says what to do.

use dspex::dspy_module;

enum Urgency {
    High,
}

#[dspy_module("dspy.Predict")]
struct Triage {
    #[input]
    ticket: String,
    #[output]
    urgency: Urgency,
}

fn main() {}
