//! What the compiler says about a transform that does not fit, and about a type that is not there.

use dspex::dspy_module;

fn takes_another(_: String) -> u8 {
    0
}

fn returns_another(_: OtherOutputs) -> String {
    String::new()
}

#[dspy_module("dspy.Predict", signature = "q -> a", transform = takes_another -> u8)]
struct Takes;

#[dspy_module("dspy.Predict", signature = "q -> a", transform = returns_another -> u8)]
struct Other;

#[dspy_module("dspy.Predict", signature = "q -> a", transform = missing -> u8)]
struct Missing;

#[dspy_module("dspy.Predict", signature = "q -> a: Person, b: crate::NotAField")]
struct MissingType;

struct NotAField;

fn main() {}
