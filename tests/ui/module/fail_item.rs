//! Only a struct with named fields can be a module.

use dspex::dspy_module;

#[dspy_module("dspy.Predict")]
enum Choice {
    A,
}

#[dspy_module("dspy.Predict")]
struct Tuple(#[input] String, #[output] String);

#[dspy_module("dspy.Predict")]
struct Unit;

#[dspy_module("dspy.Predict")]
union Either {
    a: u8,
    b: i8,
}

#[dspy_module("dspy.Predict")]
fn function() {}

#[dspy_module("dspy.Predict")]
trait Trait {}

#[dspy_module("dspy.Predict")]
impl Unit {}

#[dspy_module("dspy.Predict")]
type Alias = Unit;

// The items themselves are still there.
fn uses(_: Choice, _: Tuple, _: Unit, _: Either, _: TupleInputs, _: ChoiceOutputs) {
    function();
}

fn main() {}
