//! What is wrong with a text, where, and what to write instead.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong with a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureError {
    /// Which rule is broken.
    pub rule: Rule,
    /// What is wrong, in half a sentence.
    pub message: String,
    /// What to do instead.
    pub suggestion: Option<String>,
    /// The bytes of the text that it is about. Never empty, except at the end of the text.
    pub range: Range<usize>,
}

/// The rules that a signature can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// The text is not in the grammar.
    Syntax,
    /// The text is too long, or its types are nested too deep.
    Limit,
    /// A side has no fields.
    EmptySide,
    /// There is no arrow, or more than one.
    Arrow,
    /// Two fields of one name.
    DuplicateField,
    /// A name that is a keyword of Python, private, or no identifier.
    Name,
    /// A name that DSPy, or the class, uses itself.
    ReservedName,
    /// `name: type = value`.
    Default,
    /// `*args`, `**kwargs`, a lone `*` or `/`.
    Star,
    /// A type that does not exist.
    UnknownType,
    /// A type of Python or DSPy that has no form in Rust or JSON.
    UnsupportedType,
    /// A wrong number of types in brackets, or brackets after a type that takes none.
    Parameters,
    /// Keys of a `dict` that JSON cannot have.
    DictKey,
    /// `None` where nothing else is possible.
    NoneAlone,
    /// A value in `Literal` that is none of string, integer, boolean and `None`.
    LiteralValue,
    /// The same value or type twice among alternatives.
    Repeated,
}

impl SignatureError {
    /// The line of the text that the error is about, with carets under the fragment.
    ///
    /// ```
    /// let errors = dspex_schema::signature::parse("a -> b: flaot").unwrap_err();
    /// assert_eq!(errors[0].excerpt("a -> b: flaot"), "a -> b: flaot\n        ^^^^^");
    /// ```
    pub fn excerpt(&self, text: &str) -> String {
        let start = floor(text, self.range.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, self.range.end).clamp(start, line_end);
        // A tab is as wide as the terminal likes; a space is as wide as a caret.
        let line = text[line_start..line_end].replace(['\t', '\r'], " ");
        let carets = text[start..end].chars().count().max(1);
        let indent = text[line_start..start].chars().count();
        format!("{line}\n{}{}", " ".repeat(indent), "^".repeat(carets))
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SignatureError {}
