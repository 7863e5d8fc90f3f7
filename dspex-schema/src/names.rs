//! Which names a field of a signature may have.
//!
//! DSPy makes a pydantic model of a signature and passes inputs as keyword arguments; some names therefore break
//! it, a few of them silently. They are refused before anything runs.

mod normal_form;

use normal_form::is_replaced;

use crate::{Class, closest};

/// Whether a field goes in or comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// An input.
    Input,
    /// An output.
    Output,
}

impl Side {
    /// `input` or `output`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// Why a name cannot be that of a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldNameProblem {
    /// A keyword of Python.
    #[error("`{name}` is a keyword of Python and cannot name a field; rename it, for example to `{name}_`")]
    Keyword {
        /// The name.
        name: String,
    },
    /// A name that begins with an underscore, which pydantic treats as private.
    #[error("`{name}` begins with an underscore, which DSPy takes as private; rename it to `{rest}`")]
    Underscore {
        /// The name.
        name: String,
        /// A name that would do.
        rest: String,
    },
    /// Not an identifier of Python.
    #[error("`{name}` is not an identifier in Python; use letters, digits and underscores")]
    NotAnIdentifier {
        /// The name.
        name: String,
    },
    /// A name with a character that Python takes for another one.
    #[error(
        "`{name}` has the character `{character}`, for which Python writes another; rename it with plain letters"
    )]
    NotNormal {
        /// The name.
        name: String,
        /// The first such character.
        character: char,
    },
    /// A name that DSPy, or the class, uses itself.
    #[error(
        "`{name}` is reserved by {owner} and cannot name an {}; rename it, for example to `{name}_text`",
        side.as_str()
    )]
    Reserved {
        /// The name.
        name: String,
        /// Who uses it: `DSPy` or a class.
        owner: String,
        /// Which fields cannot have it.
        side: Side,
    },
    /// An output that the class adds by itself.
    #[error("`{class}` adds the output `{name}` itself; remove the field, `{name}` is there without it")]
    Added {
        /// The name.
        name: String,
        /// The class.
        class: String,
    },
}

/// Checks the name of a field for a class; without one, only against what holds for every class.
///
/// # Errors
/// The first [`FieldNameProblem`] that applies.
///
/// ```
/// use dspex_schema::{Side, check_field_name};
///
/// assert!(check_field_name("question", Side::Input, None).is_ok());
/// assert!(check_field_name("lambda", Side::Input, None).is_err());
/// assert!(check_field_name("demos", Side::Input, None).is_err());
/// assert!(check_field_name("demos", Side::Output, None).is_ok());
/// ```
pub fn check_field_name(name: &str, side: Side, class: Option<&Class>) -> Result<(), FieldNameProblem> {
    let owned = || name.to_owned();
    if PYTHON_KEYWORDS.contains(&name) {
        return Err(FieldNameProblem::Keyword { name: owned() });
    }
    let rest = name.trim_start_matches('_');
    if rest.len() != name.len() {
        let rest = if rest.is_empty() { "value" } else { rest };
        return Err(FieldNameProblem::Underscore { name: owned(), rest: rest.to_owned() });
    }
    if !is_identifier(name) {
        return Err(FieldNameProblem::NotAnIdentifier { name: owned() });
    }
    if let Some(character) = name.chars().find(|character| is_replaced(*character)) {
        return Err(FieldNameProblem::NotNormal { name: owned(), character });
    }
    let general = match side {
        Side::Input => RESERVED_INPUTS,
        Side::Output => &[],
    };
    if RESERVED.contains(&name) || general.contains(&name) {
        return Err(FieldNameProblem::Reserved { name: owned(), owner: "DSPy".to_owned(), side });
    }
    let Some(class) = class else { return Ok(()) };
    if side == Side::Output && class.outputs.extra.iter().any(|extra| extra.name == name) {
        return Err(FieldNameProblem::Added { name: owned(), class: class.name.clone() });
    }
    let reserved = match side {
        Side::Input => &class.reserved.inputs,
        Side::Output => &class.reserved.outputs,
    };
    if reserved.iter().any(|taken| taken == name) {
        return Err(FieldNameProblem::Reserved { name: owned(), owner: format!("`{}`", class.name), side });
    }
    Ok(())
}

/// Names that break a signature wherever they stand: attributes of the signature's class, and pydantic's own.
const RESERVED: &[&str] = &[
    "fields",
    "input_fields",
    "instructions",
    "model_config",
    "model_dump",
    "model_dump_json",
    "model_validate",
    "model_validate_json",
    "model_validate_strings",
    "output_fields",
    "signature",
];

/// Names that a call takes for itself before the inputs of the signature are looked at.
const RESERVED_INPUTS: &[&str] =
    &["completions", "config", "demos", "instance", "lm", "new_signature", "prediction", "self"];

/// The keywords of Python. Words that are keywords only in places, such as `match` and `type`, are not among them.
pub const PYTHON_KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.all(|char| char.is_alphanumeric() || char == '_')
}

impl Class {
    /// The keyword of the constructor that comes closest to `name`, among those that Rust code can give.
    pub fn closest_keyword(&self, name: &str) -> Option<&str> {
        let values = self.init.iter().filter(|parameter| parameter.role == crate::Role::Value);
        closest(name, values.map(|parameter| parameter.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class() -> Class {
        let document = json!({
            "format": 1, "name": "dspy.ReAct", "kind": "module",
            "outputs": {"from_signature": true, "extra": [{"name": "reasoning", "type": {"k": "str"}}]},
            "reserved": {"inputs": ["max_iters"], "outputs": ["trajectory"], "tools": []},
        });
        Class::parse(&document.to_string(), "test").unwrap()
    }

    #[test]
    fn ordinary_names_are_accepted_on_both_sides() {
        for name in ["question", "r2", "größe", "match", "type", "copy", "max_tokens"] {
            assert_eq!(check_field_name(name, Side::Input, Some(&class())), Ok(()));
            assert_eq!(check_field_name(name, Side::Output, Some(&class())), Ok(()));
        }
    }

    #[test]
    fn a_problem_says_what_to_write_instead() {
        let text = |name, side| check_field_name(name, side, Some(&class())).unwrap_err().to_string();
        assert!(text("lambda", Side::Input).contains("rename it, for example to `lambda_`"));
        assert!(text("_private", Side::Output).contains("rename it to `private`"));
        assert!(text("signature", Side::Output).contains("reserved by DSPy"));
        assert!(text("demos", Side::Input).contains("cannot name an input"));
        assert!(text("max_iters", Side::Input).contains("reserved by `dspy.ReAct`"));
        assert!(text("trajectory", Side::Output).contains("cannot name an output"));
        assert!(text("reasoning", Side::Output).contains("adds the output `reasoning` itself"));
        assert!(text("2nd", Side::Input).contains("not an identifier"));
        assert!(text("ﬁeld", Side::Input).contains("has the character `ﬁ`"));
    }

    #[test]
    fn what_breaks_only_inputs_may_name_an_output() {
        assert_eq!(check_field_name("lm", Side::Output, None), Ok(()));
        assert_eq!(check_field_name("max_iters", Side::Output, Some(&class())), Ok(()));
        assert_eq!(check_field_name("reasoning", Side::Input, Some(&class())), Ok(()));
    }
}
