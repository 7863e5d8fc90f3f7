//! DSPy's text form of a signature, `question, k: int -> answer: float`, read at compile time.
//!
//! [`parse`] gives a [`Signature`] whose every part knows the bytes it was written with, and everything that is wrong
//! with the text at once. The grammar is DSPy's, and stricter: what DSPy loses without a word (a repeated field, a
//! default, an empty side) is an error, and types are a closed list, where DSPy imports whatever module a name
//! begins with. `docs/signatures.md` lists the differences.
//!
//! ```
//! use dspex_schema::signature;
//!
//! let signature = signature::parse("question, k: int -> label: Literal['a', -1]").unwrap();
//! assert_eq!(signature.inputs[1].ty.to_string(), "int");
//! assert_eq!(signature.outputs[0].ty.json_schema()["enum"], serde_json::json!(["a", -1]));
//!
//! let errors = signature::parse("question -> answer: flaot").unwrap_err();
//! assert_eq!(errors[0].to_string(), "the type `flaot` is unknown; did you mean `float`?");
//! assert_eq!(errors[0].range, 20..25);
//! ```

mod annotations;
mod cursor;
mod error;
mod fields;
mod lexer;
mod names;
mod schema;
mod types;
mod values;

use std::fmt;
use std::ops::Range;

pub use error::{Rule, SignatureError};
pub use types::{Kind, Native, Type, Value};

use crate::Class;

/// The longest text that is read, in bytes.
pub const MAX_TEXT: usize = 16 * 1024;
/// How deep types may be nested.
pub const MAX_NESTING: usize = 16;

/// A signature: what goes in, and what comes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The inputs, in order.
    pub inputs: Vec<Field>,
    /// The outputs, in order.
    pub outputs: Vec<Field>,
}

/// A field of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in DSPy.
    pub name: String,
    /// The bytes of the name.
    pub name_range: Range<usize>,
    /// Its type. A field without one is a `str`, whose bytes are those of the name.
    pub ty: Type,
    /// The bytes of the whole field.
    pub range: Range<usize>,
}

/// What a text is read with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The class that the signature is for: its names are reserved too.
    pub class: Option<&'a Class>,
    /// Whether a name with `::` in it, or one that begins with a capital letter and is none of Python's types, is a
    /// type of Rust.
    pub rust_types: bool,
}

/// Everything that could be read, and everything that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The fields that could be read. With errors it lacks some, or their types.
    pub signature: Signature,
    /// What is wrong, in the order of the text.
    pub errors: Vec<SignatureError>,
}

/// Reads a signature on its own terms: for any class, with types of Python only.
///
/// # Errors
/// Everything that is wrong with the text; at least one error.
pub fn parse(text: &str) -> Result<Signature, Vec<SignatureError>> {
    parse_with(text, &Options::default()).finish()
}

/// Reads a signature. Never fails: what could be read is there even with errors.
pub fn parse_with(text: &str, options: &Options<'_>) -> Parsed {
    fields::parse(text, options)
}

impl Parsed {
    /// The signature if nothing is wrong with it.
    ///
    /// # Errors
    /// Everything that is wrong with the text.
    pub fn finish(self) -> Result<Signature, Vec<SignatureError>> {
        if self.errors.is_empty() { Ok(self.signature) } else { Err(self.errors) }
    }
}

impl Signature {
    /// All fields, inputs first.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.inputs.iter().chain(&self.outputs)
    }

    /// The same without the places, for comparing signatures that were written differently.
    #[must_use]
    pub fn without_ranges(&self) -> Self {
        let strip = |field: &Field| Field {
            name: field.name.clone(),
            name_range: 0..0,
            ty: field.ty.without_ranges(),
            range: 0..0,
        };
        Self {
            inputs: self.inputs.iter().map(strip).collect(),
            outputs: self.outputs.iter().map(strip).collect(),
        }
    }
}

impl fmt::Display for Signature {
    /// The signature as text that reads back as the same signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |f: &mut fmt::Formatter<'_>, fields: &[Field]| {
            for (position, field) in fields.iter().enumerate() {
                if position > 0 {
                    f.write_str(", ")?;
                }
                field.fmt(f)?;
            }
            Ok(())
        };
        side(f, &self.inputs)?;
        f.write_str(" -> ")?;
        side(f, &self.outputs)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ty.kind {
            Kind::Str => f.write_str(&self.name),
            _ => write!(f, "{}: {}", self.name, self.ty),
        }
    }
}
