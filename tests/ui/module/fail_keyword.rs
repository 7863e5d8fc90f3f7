//! Keywords are those of the class's constructor, with values of their types.

use dspex::dspy_module;

#[dspy_module("dspy.ReAct", max_iter = 5, banana = 1)]
struct Unknown {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.ReAct", max_iters = "five")]
struct WrongType {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.ReAct", max_iters = true)]
struct BooleanIsNoInteger {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.ChainOfThought", rationale_field_type = "str")]
struct OnlyInPython {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict", temprature = 0.2)]
struct MisspeltSetting {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict", temperature = "hot")]
struct SettingOfAnotherType {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict", api_key = "sk-...")]
struct KeysAreNotCompiledIn {
    #[input]
    question: String,
    #[output]
    answer: String,
}

fn main() {}
