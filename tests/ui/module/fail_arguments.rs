//! The arguments of the attribute: one class, then `keyword = literal`.

use dspex::dspy_module;

#[dspy_module(dspy.Predict)]
struct ClassWithoutQuotes {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module(temperature = 0.5, "dspy.Predict")]
struct ClassNotFirst {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict", "dspy.ChainOfThought", temperature = 0.1, temperature = 0.2, n =, verbose, 3, , top_p = 1 2)]
struct Grammar {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict", crate = dspex)]
struct RelativeCrate {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[dspy_module("dspy.Predict", crate = ::dspex, crate = "::dspex")]
struct CrateTwice {
    #[input]
    question: String,
    #[output]
    answer: String,
}

macro_rules! module {
    ($name:ident) => {
        #[dspy_module("dspy.Predict", signature = "q -> a", crate = $crate)]
        struct $name;
    };
}

module!(DollarCrate);

fn main() {}
