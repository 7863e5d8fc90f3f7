//! The class has to be a module of DSPy.

use dspex::dspy_module;

#[dspy_module("dspy.Predct")]
struct Misspelt {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("Chain_of_thought")]
struct WithoutModule {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("numpy.zeros")]
struct Elsewhere {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.majority")]
struct Function {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.ProgramOfThought")]
struct Unsupported {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.majorty")]
struct MisspeltFunction {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Image")]
struct NoModule {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.MIPROv2")]
struct Optimizer {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.evaluate.SemanticF1")]
struct WithoutSignature {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.BestOfN")]
struct NeedsModule {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.MultiChainComparison")]
struct NeedsMoreThanInputs {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.ReAct")]
struct NeedsTools {
    #[input]
    question: String,
    #[output]
    answer: String,
}

// Uses of what the misspelt class would have given are not reported.
fn reasoning(inputs: WithoutModuleInputs, outputs: WithoutModuleOutputs) -> (String, String) {
    (inputs.question, outputs.reasoning)
}

fn main() {}
