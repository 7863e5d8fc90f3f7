//! Types that no value from Python can have.

use dspex::dspy_module;

#[dspy_module("dspy.Predict")]
struct Types {
    #[input]
    text: &'static str,
    #[input]
    list: Vec<&'static [u8]>,
    #[input]
    reference: Option<&'static String>,
    #[input]
    pointer: *const u8,
    #[output]
    function: fn() -> u8,
    #[output]
    object: Box<dyn std::fmt::Debug>,
}

fn main() {}
