//! Values are literals that JSON can hold.

use dspex::dspy_module;

const TEMPERATURE: f64 = 0.5;

#[dspy_module(
    "dspy.Predict",
    a = TEMPERATURE,
    b = 1 + 1,
    c = 5u32,
    d = 0.5f32,
    e = 'x',
    f = b"bytes",
    g = 99999999999999999999,
    h = 1e999,
    i = [1, TEMPERATURE, 'y'],
    j = -TEMPERATURE,
    k = Some(1)
)]
struct Values {
    #[input]
    question: String,
    #[output]
    answer: String,
}

fn main() {}
