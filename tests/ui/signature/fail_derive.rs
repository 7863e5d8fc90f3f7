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

#[derive(Signature)]
#[signature(derive = Debug, crate = dspex)]
struct Values {
    #[input]
    question: String,
    #[output]
    answer: String,
}

#[derive(Signature)]
#[signature(crate = ::dspex)]
#[signature(crate = ::dspex, derive("Debug"))]
struct Twice {
    #[input]
    question: String,
    #[output]
    answer: String,
}

fn main() {}
