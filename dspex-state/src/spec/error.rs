//! What is wrong with a spec, and what is wrong with a value.

use std::fmt;

use serde_json::Value as Json;

use super::json::List;
use crate::value::Type;

/// A spec that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// There is no such type.
    #[error("there is no type `{0}`; the types are {types}", types = List(&TYPES))]
    UnknownType(String),
    /// A constraint of another type, or of none.
    #[error("{}", foreign(*.kind, .constraint, .belongs_to, .known))]
    ForeignConstraint {
        /// The type of the variable.
        kind: Type,
        /// The constraint.
        constraint: String,
        /// The types that have it.
        belongs_to: Vec<Type>,
        /// The constraints that the variable's type has.
        known: &'static [&'static str],
    },
    /// No type is given.
    #[error("the spec has no `type`; the types are {types}", types = List(&TYPES))]
    NoType,
    /// A key that specs do not have.
    #[error("a spec has no `{0}`; it has `type`, `constraints`, `description` and `metadata`")]
    UnknownKey(String),
    /// A part of the wrong form.
    #[error("{what}: {reason}")]
    Malformed {
        /// Which part.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Constraints that no value meets, or that are no constraints.
    #[error("the constraint `{constraint}` of {kind}: {reason}")]
    Senseless {
        /// The type.
        kind: Type,
        /// The constraint.
        constraint: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

const TYPES: [&str; 10] =
    ["string", "integer", "float", "boolean", "list", "dict", "tensor", "embedding", "choice", "module"];

impl SpecError {
    pub(crate) fn malformed(what: &str, expected: &str, found: &Json) -> Self {
        let found = crate::value::describe(found);
        Self::Malformed { what: what.to_owned(), reason: format!("expected {expected}, found {found}") }
    }
}

fn foreign(kind: Type, constraint: &str, belongs_to: &[Type], known: &[&str]) -> String {
    let owners: Vec<_> = belongs_to.iter().map(|kind| kind.name()).collect();
    let what = if owners.is_empty() {
        format!("there is no constraint `{constraint}`")
    } else {
        format!("`{constraint}` is a constraint of {}, not of {kind}", owners.join(", "))
    };
    match known {
        [] => format!("{what}; {kind} has no constraints"),
        known => format!("{what}; {kind} has {}", List(known)),
    }
}

/// A value that its variable does not take.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct Invalid {
    /// The variable.
    pub variable: String,
    /// The rules that the value breaks, at most [`Invalid::MOST`] of them.
    pub violations: Vec<Violation>,
}

impl Invalid {
    /// So many violations are told.
    pub const MOST: usize = 8;
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variable `{}` does not take this value: ", self.variable)?;
        self.violations
            .iter()
            .enumerate()
            .try_for_each(|(index, violation)| write!(f, "{}{violation}", if index == 0 { "" } else { "; " }))
    }
}

/// A rule that a value breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule: `type`, or the name of a constraint.
    pub rule: String,
    /// Where in the value, as `[1].name`; empty for the value itself.
    pub path: String,
    /// The offending part, shortened.
    pub found: String,
    /// What the rule asks for.
    pub expected: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, found, expected } = self;
        let at = if path.is_empty() { String::new() } else { format!(" at {path}") };
        write!(f, "{found}{at} breaks `{rule}`: expected {expected}")
    }
}
