//! What `#[derive(Signature)]` refuses.

use dspex::Signature;

#[derive(Signature)]
enum NotAStruct {
    A,
}

#[derive(Signature)]
struct NoFields;

#[derive(Signature)]
struct NoOutput {
    #[input]
    question: String,
}

#[derive(Signature)]
#[signature(derve(Debug))]
struct Unmarked {
    #[input]
    lm: String,
    answer: String,
    #[output]
    fields: &'static str,
}

fn main() {}
