//! Settings of the language model, and options that a class with any keyword would swallow.

use dspex::dspy_module;

#[dspy_module("dspy.Predict", signatur = "a -> b")]
struct MisspeltOption {
    #[input]
    a: String,
    #[output]
    b: String,
}

#[dspy_module("dspy.Predict", signature = "a -> b", excute = "forward", method = "reset", transfrom = 1)]
struct Options;

#[dspy_module("dspy.Predict", signature = "a -> b", banana = 1, temprature = 0.5)]
struct Unknown;

// The way out.
#[dspy_module("dspy.Predict", signature = "a -> b", config(banana = 1, temprature = 0.5))]
struct Providers;

#[dspy_module(
    "dspy.Predict",
    signature = "a -> b",
    n = 2,
    config(n = 3, top_k = "many", top_k = 1, api_key = "sk-...", callbacks = [], x = 1 + 1)
)]
struct Config;

#[dspy_module("dspy.RLM", signature = "a -> b", config(temperature = 0.5))]
struct PassesNothingOn;

#[dspy_module("my_team.Program", unchecked, signature = "a -> b", config(depth = 3))]
struct Unchecked;

#[dspy_module("dspy.Predict", signature = "a -> b", config)]
struct Bare;

#[dspy_module("dspy.Predict", signature = "a -> b", config())]
struct Empty;

#[dspy_module("dspy.Predict", signature = "a -> b", config(3))]
struct NoName;

#[dspy_module("dspy.Predict", signature = "a -> b", config = 3)]
struct Value;

fn main() {}
