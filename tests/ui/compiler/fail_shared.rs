//! A shared signature that the class of a module cannot have, and a type that is none.

use dspex::{Signature, dspy_module};

#[derive(Signature)]
struct WithReasoning {
    #[input]
    question: String,
    #[output]
    reasoning: String,
}

#[dspy_module("dspy.Predict", signature = WithReasoning)]
struct Fits;

#[dspy_module("dspy.ChainOfThought", signature = WithReasoning)]
struct Added;

#[dspy_module("dspy.Predict", signature = WithReasoning, execute = "get_criteria")]
struct Execute;

struct Plain;

#[dspy_module("dspy.Predict", signature = Plain)]
struct NoSignature;

fn main() {}
