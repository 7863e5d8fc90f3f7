//! Values against JSON Schemas: a small validator over what [`schema`](super::schema) writes.
//!
//! A schema is compiled once into a [`Check`]; holding a value against it allocates nothing unless it does not fit. Then
//! every problem is told, in words for a model.
//!
//! Enforced are `type`, `enum`, `const`, `anyOf`, `oneOf`, `allOf`, `not`, the bounds of numbers, `multipleOf`, lengths in
//! characters, `pattern`, `items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems`, `properties`, `required`,
//! `additionalProperties`, `patternProperties`, `minProperties`, `maxProperties` and `dependentRequired`. Other keywords,
//! `format` among them, inform the model and are not enforced; neither is a pattern that the `regex` crate cannot
//! compile, such as one with look-around.
//!
//! As JSON Schema has it, 1.0 is an integer; [`Check::settle`] writes it as one, for serde does not take it. Values on the wire may
//! be [tags](crate::wire): an `int` is an integer, a `float` a number, `bytes` are a list of integers, and what only Python can hold
//! fits nothing but a schema that takes anything.

mod arguments;
mod compile;
mod describe;
mod report;
mod rules;
mod value;
mod walk;

pub(super) use arguments::ArgumentsCheck;
pub(super) use describe::cut;
