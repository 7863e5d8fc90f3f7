//! What sessions are, as data.

use std::time::{Duration, SystemTime};

use dspex_state::{Lifetime, Quotas, SessionRecord};
use serde_json::{Map, Value};

/// What a session is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its id.
    pub id: String,
    /// What the program keeps with it.
    pub metadata: Map<String, Value>,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it ends, if it is not used or extended until then.
    pub expires_at: Option<SystemTime>,
    /// Whether it ends with its last handle.
    pub temporary: bool,
    /// How much it may hold.
    pub quotas: Quotas,
    /// How many variables it has.
    pub variables: u64,
    /// How many bytes their values take.
    pub bytes: u64,
}

impl From<SessionRecord> for SessionInfo {
    fn from(record: SessionRecord) -> Self {
        let session = record.session;
        Self {
            id: session.id,
            metadata: session.metadata,
            lifetime: session.lifetime,
            created_at: record.created_at,
            expires_at: record.expires_at,
            temporary: session.temporary,
            quotas: session.quotas,
            variables: record.variables,
            bytes: record.bytes,
        }
    }
}

/// How much there is in all sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Sessions that live. Temporary ones count once they have something in the store.
    pub sessions: u64,
    /// Of these, temporary ones.
    pub temporary: u64,
    /// Variables.
    pub variables: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Instances that are kept.
    pub instances: u64,
    /// Calls of sessions that Python has not ended, in this process.
    pub calls: usize,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// Calls that ran, and were cancelled.
    pub cancelled: usize,
    /// Of these, calls that Python had not ended when [`Sessions::DELETE_DEADLINE`](super::Sessions::DELETE_DEADLINE) passed; the
    /// pool goes on to end them, and kills their workers if they do not.
    pub unacknowledged: usize,
}

/// Which sessions are listed.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct SessionFilter {
    pub(super) prefix: String,
    pub(super) metadata: Map<String, Value>,
    pub(super) after: Option<String>,
    pub(super) limit: Option<u32>,
    pub(super) temporary: bool,
}

impl SessionFilter {
    /// All but temporary ones, a hundred at most.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those whose ids begin with this.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Only those whose metadata has this entry.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Only those after this id, which is the last one of the page before.
    pub fn after(mut self, id: impl Into<String>) -> Self {
        self.after = Some(id.into());
        self
    }

    /// At most so many.
    pub fn limit(mut self, sessions: u32) -> Self {
        self.limit = Some(sessions);
        self
    }

    /// Temporary ones as well.
    pub fn with_temporary(mut self) -> Self {
        self.temporary = true;
        self
    }
}

/// What [`Sessions`](super::Sessions) allows and how it cleans up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLimits {
    pub(crate) sessions: Option<u64>,
    pub(crate) quotas: Quotas,
    /// About how often sessions whose time is over are removed.
    pub(crate) sweep: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { sessions: None, quotas: Quotas::default(), sweep: Duration::from_secs(20) }
    }
}
