//! Writes to variables.

use crate::record::{ChangeKind, Revision};
use crate::spec::Spec;
use crate::value::Value;

/// Writes that happen together: all, with one revision, or none.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// The writes, in order. A later one sees what an earlier one did.
    pub writes: Vec<Write>,
    /// Who writes, for the history.
    pub author: Option<String>,
}

impl Batch {
    /// A batch of these writes.
    #[must_use]
    pub fn new(writes: Vec<Write>) -> Self {
        Self { writes, author: None }
    }
}

/// A write to one variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The variable.
    pub name: String,
    /// What has to be there.
    pub expect: Expect,
    /// What is to be there.
    pub action: Action,
}

/// What a write finds, or else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Whatever it is.
    Anything,
    /// No variable of the name.
    Absent,
    /// A variable of the name, and where they are given, this version and the spec of this version.
    Present {
        /// The version of its value.
        version: Option<Revision>,
        /// The version of its spec.
        spec: Option<Revision>,
    },
}

/// What a write does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Sets the value, and with it the spec where one is given. A variable that is new needs one.
    Set {
        /// The value, which is known to fit the spec.
        value: Value,
        /// The spec.
        spec: Option<Box<Spec>>,
    },
    /// Removes the variable.
    Delete,
}

/// A batch that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The batch's revision, which is the version of every variable that it set. An empty batch has the session's.
    pub revision: Revision,
    /// What became of each write, in order.
    pub kinds: Vec<ChangeKind>,
}

impl Committed {
    /// For stores: a batch that was written.
    #[must_use]
    pub fn new(revision: Revision, kinds: Vec<ChangeKind>) -> Self {
        Self { revision, kinds }
    }
}
