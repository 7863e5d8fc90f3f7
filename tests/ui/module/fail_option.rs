//! Options of the macro.

use dspex::dspy_module;

#[dspy_module("dspy.Predict", signature = "q -> a", execute = "forwad")]
struct Execute;

#[dspy_module("dspy.Predict", signature = "q -> a", execute = "get_criteria")]
struct ExecuteNeeds;

#[dspy_module("dspy.Predict", signature = "q -> a", execute = forward)]
struct ExecuteBare;

#[dspy_module("dspy.Predict", signature = "q -> a", methods(rest, banana, reset, reset, call))]
struct Methods;

#[dspy_module("dspy.Predict", signature = "q -> a", methods = "reset")]
struct MethodsValue;

#[dspy_module("dspy.Predict", signature = "q -> a", methods())]
struct MethodsEmpty;

#[dspy_module("dspy.Predict", signature = "q -> a", methods("reset"))]
struct MethodsText;

#[dspy_module("dspy.Predict", signature = "q -> a", transform = to_label)]
struct TransformUntyped;

#[dspy_module("dspy.Predict", signature = "q -> a", transform = "to_label" -> u8)]
struct TransformText;

#[dspy_module("dspy.Predict", signature = "q -> a", transform = to_label ->)]
struct TransformNoType;

#[dspy_module("dspy.Predict", signature = "q -> a", unchecked = true)]
struct UncheckedValue;

#[dspy_module("my team", signature = "q -> a", unchecked)]
struct UncheckedClass;

#[dspy_module("dspy.Predict", signature = "q -> a", unchecked, unchecked, execute = "a", execute = "b")]
struct Twice;

#[dspy_module("dspy.Predict", signature = )]
struct SignatureNoValue;

#[dspy_module("dspy.Predict", signature = "q -> a", transform)]
struct TransformNoValue;

#[dspy_module("dspy.Predict", signature = "q -> a", transform = a -> u8, transform = b -> u8)]
struct TransformTwice;

fn main() {}
