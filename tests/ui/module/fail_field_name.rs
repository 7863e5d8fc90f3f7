//! Names that DSPy, pydantic or Python would trip over.

use dspex::dspy_module;

#[dspy_module("dspy.ChainOfThought")]
struct Names {
    #[input]
    lambda: String,
    #[input]
    r#async: String,
    #[input]
    _private: String,
    #[input]
    signature: String,
    #[input]
    demos: String,
    #[output]
    model_config: String,
    #[output]
    reasoning: String,
}

#[dspy_module("dspy.ReAct")]
struct NamesOfTheClass {
    #[input]
    max_iters: i64,
    #[output]
    trajectory: String,
}

// The declared field is there, once.
fn reasoning(outputs: NamesOutputs) -> String {
    outputs.reasoning
}

fn main() {}
