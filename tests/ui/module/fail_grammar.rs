//! The grammar of signatures as text, rule by rule.

use dspex::dspy_module;

#[dspy_module("dspy.Predict", signature = "a:, b: () -> c: (int, d: *int")]
struct Types;

#[dspy_module(
    "dspy.Predict",
    signature = "a: 'int', b: 'yes', c: 3 -> d: conint(3), e: Field(desc='x'), f: int[str]"
)]
struct NoTypes;

#[dspy_module(
    "dspy.Predict",
    signature = "a: complex, b: Callable, c: Annotated[int, 3], d: pydantic.BaseModel -> e: dspy.Type, f: dspy.Example"
)]
struct Unsupported;

#[dspy_module(
    "dspy.Predict",
    signature = "a: list[int, str], b: dict[str], c: tuple[()], d: Union[int] -> e: Optional[int, str], f: tuple[]"
)]
struct Counts;

#[dspy_module(
    "dspy.Predict",
    signature = "a: Literal[1.5], b: Literal[0x10, 99999999999999999999], c: Literal['x' 'y'] -> d: Literal['x, e"
)]
struct Values;

#[dspy_module(
    "dspy.Predict",
    signature = "a: Literal['''x'''], b: Literal['\\x41'], c: Literal[true, null] -> d: Literal[-'x'], e: Literal[], f: list[int"
)]
struct Texts;

#[dspy_module("dspy.Predict", signature = ", a, 'b', 3, 1st, (c) -> d e, ௰a, b௰, _f")]
struct Names;

#[dspy_module(
    "dspy.Predict",
    signature = "a: list[list[list[list[list[list[list[list[list[list[list[list[list[list[list[list[list[list[int]]]]]]]]]]]]]]]]]] -> b"
)]
struct Deep;

fn main() {}
