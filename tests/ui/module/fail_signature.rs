//! A signature as text: every error at once, each with the fragment.

use dspex::dspy_module;

#[dspy_module("dspy.Predict", signature = "question, question, class: int -> answer: flaot, question: Optional")]
struct Several;

#[dspy_module("dspy.ChainOfThought", signature = "question, lm -> reasoning, answer")]
struct Reserved;

#[dspy_module("dspy.Predict", signature = "-> answer")]
struct NoInputs;

#[dspy_module("dspy.Predict", signature = "question ->")]
struct NoOutputs;

#[dspy_module("dspy.Predict", signature = "question, answer")]
struct NoArrow;

#[dspy_module("dspy.Predict", signature = "a -> b -> c")]
struct TwoArrows;

#[dspy_module("dspy.Predict", signature = "a: int = 3, *rest -> b: None, c: int | int, d: Literal[yes]")]
struct Lax;

#[dspy_module("dspy.Predict", signature = "a: bytes, b: dict[float, int], c: person -> d: list[int, e: Vec[int]")]
struct Types;

#[dspy_module("dspy.Predict", signature = "a: Strng, b: Image, c: Datetime, d: Flaot -> e: String, f: list[Optionl], g: crate::Strng, h: Images")]
struct Capitals;

#[dspy_module("dspy.Predict", signature = "a: date, b: uuid.UUID, c: decimal.Decimal -> d: datetime.datetime")]
struct Unsupported;

#[dspy_module("dspy.Predict", signature = "ﬁeld -> b²")]
struct NotNormal;

#[dspy_module("dspy.Predict", signature = "größe: itn -> b")]
struct Unicode;

#[dspy_module("dspy.Predict", signature = "
    question,
    k: itn
    -> answer
")]
struct Lines;

#[dspy_module("dspy.Predict", signature = "a: crate::fn::Person, b: crate::Person[int] -> c")]
struct Paths;

#[dspy_module("dspy.Predict", signature = "question -> answer")]
struct Fields {
    #[input]
    question: String,
}

#[dspy_module("dspy.Predict", signature = 3)]
struct NotText;

#[dspy_module("dspy.Predict", signature)]
struct NoValue;

#[dspy_module("dspy.Predict", signature = "a -> b", signature = "c -> d")]
struct Twice;

#[dspy_module("dspy.ReAct", signatur = "a -> b")]
struct Misspelt {
    #[input]
    a: String,
    #[output]
    b: String,
}

#[derive(dspex::FieldType)]
struct Strng {
    value: u8,
}
type Images = String;

// What is generated is there all the same, so that only the errors above are reported.
async fn uses(session: &dspex::Session) {
    let _ = Several::create(session).await;
    let _ = Unicode::call(session, UnicodeInputs {}).await;
}

fn main() {}
