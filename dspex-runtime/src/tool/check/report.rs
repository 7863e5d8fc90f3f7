//! What is wrong with a value.

use std::fmt;

use super::describe::cut;

/// Of more problems than this, the first ones tell enough.
const MOST: usize = 12;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Problem {
    Unfit { expected: String, found: String },
    Missing { name: String, expected: String },
    Unknown { name: String, suggestion: Option<String> },
}

/// What takes problems as they are found.
pub(super) trait Sink {
    fn add(&mut self, path: &Path<'_>, problem: impl FnOnce() -> Problem);

    /// Nothing more has to be looked for.
    fn is_full(&self) -> bool;

    /// A float that is a whole number stood for an integer.
    fn whole_float(&mut self) {}

    /// Whether to look for what is wrong in alternatives.
    fn explains(&self) -> bool;
}

/// Only whether there are problems.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) unfit: bool,
    pub(super) whole_floats: bool,
}

impl Sink for Verdict {
    fn add(&mut self, _: &Path<'_>, _: impl FnOnce() -> Problem) {
        self.unfit = true;
    }

    fn is_full(&self) -> bool {
        self.unfit
    }

    fn whole_float(&mut self) {
        self.whole_floats = true;
    }

    fn explains(&self) -> bool {
        false
    }
}

/// All problems, as far as they are told.
#[derive(Default)]
pub(super) struct Report {
    problems: Vec<String>,
}

impl Sink for Report {
    fn add(&mut self, path: &Path<'_>, problem: impl FnOnce() -> Problem) {
        let line = path.to_line(&problem());
        // Alternatives may find the same twice.
        if !self.problems.contains(&line) {
            self.problems.push(line);
        }
    }

    fn is_full(&self) -> bool {
        self.problems.len() > MOST
    }

    fn explains(&self) -> bool {
        true
    }
}

impl Report {
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().take(MOST).map(String::as_str)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_full()
    }
}

/// Where in the arguments a value is.
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn to_line(&self, problem: &Problem) -> String {
        let place = self.to_string();
        let named = |name: &str| match self {
            Self::Root => cut(name, 64),
            _ => format!("{place}.{}", cut(name, 64)),
        };
        match problem {
            Problem::Unfit { expected, found } if place.is_empty() => {
                format!("expected {expected}, got {found}")
            }
            Problem::Unfit { expected, found } => format!("`{place}`: expected {expected}, got {found}"),
            Problem::Missing { name, expected } => {
                format!("`{}` is missing: expected {expected}", named(name))
            }
            Problem::Unknown { name, suggestion: Some(suggestion) } => {
                format!("`{}` is not known; did you mean `{suggestion}`?", named(name))
            }
            Problem::Unknown { name, suggestion: None } => {
                format!("`{}` is not known; leave it out", named(name))
            }
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(&cut(key, 64)),
            Self::Key(outer, key) => write!(f, "{outer}.{}", cut(key, 64)),
            Self::Index(outer, index) => write!(f, "{outer}[{index}]"),
        }
    }
}
