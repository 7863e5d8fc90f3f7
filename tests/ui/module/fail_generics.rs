//! A signature is one, so its types are concrete.

use dspex::dspy_module;

#[dspy_module("dspy.Predict")]
struct Generic<T> {
    #[input]
    question: T,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict")]
struct Borrowed<'a> {
    #[input]
    question: &'a str,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict")]
struct Constant<const N: usize> {
    #[input]
    question: [u8; N],
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict")]
struct Where
where
    String: Clone,
{
    #[input]
    question: String,
    #[output]
    answer: String,
}

// What does not depend on the parameters can still be used.
fn answer(outputs: GenericOutputs) -> String {
    outputs.answer
}

fn main() {}
