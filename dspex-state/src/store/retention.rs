//! How long earlier values are kept.

use std::time::Duration;

/// How much of the writes to a session's variables is kept, for watches that resume and for histories.
///
/// A change is kept while it is recent by all three: count, age and bytes. Of each variable that lives, the latest changes are
/// kept in any case, as many as `history` says, as long as they take no more than `bytes` together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// The latest so many revisions of a session.
    pub revisions: u64,
    /// Those of the last so long.
    pub age: Duration,
    /// As many as fit into so many bytes of values.
    pub bytes: u64,
    /// Of each variable, so many changes.
    pub history: u32,
}

impl Default for Retention {
    /// 1,000 revisions, a day, 64 MiB, and 20 changes of each variable.
    fn default() -> Self {
        Self { revisions: 1000, age: Duration::from_secs(24 * 3600), bytes: 64 << 20, history: 20 }
    }
}

impl Retention {
    /// The latest so many revisions of a session.
    #[must_use]
    pub fn revisions(mut self, revisions: u64) -> Self {
        self.revisions = revisions;
        self
    }

    /// Those of the last so long.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// As many as fit into so many bytes of values.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Of each variable, so many changes.
    #[must_use]
    pub fn history(mut self, changes: u32) -> Self {
        self.history = changes;
        self
    }
}
