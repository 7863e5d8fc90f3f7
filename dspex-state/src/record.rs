//! What stores keep: sessions, variables, changes and instances.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use ulid::Ulid;

use crate::spec::Spec;
use crate::value::Value;

/// What a session is known by inside stores. A session that is made again under an id that was deleted has another one,
/// so nobody reaches it with what belonged to the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(pub Ulid);

impl SessionKey {
    /// A key that nobody had before and nobody can guess.
    #[must_use]
    pub fn generate() -> Self {
        Self(Ulid::generate())
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the writes to a session's variables; each batch is one. It is also the version of every variable that the
/// batch wrote, so versions of a variable grow, and are never given twice, not even to one that was deleted and made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long a session lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Lifetime {
    /// Until it is deleted.
    #[default]
    Unlimited,
    /// So long after its last use; up to a sixteenth longer, since not every use is written down.
    Sliding(Duration),
    /// So long after it was made, or after it was extended.
    Fixed(Duration),
}

impl Lifetime {
    /// How long from now, for a session that is made or used now.
    #[must_use]
    pub fn from_now(self) -> Option<Duration> {
        match self {
            Self::Unlimited => None,
            Self::Sliding(ttl) => Some(ttl + ttl / 16),
            Self::Fixed(ttl) => Some(ttl),
        }
    }
}

/// How much a session may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// The most variables.
    pub variables: Option<u64>,
    /// The most bytes of all values together; earlier values do not count.
    pub bytes: Option<u64>,
}

/// A session that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSession {
    /// What it will be known by inside stores.
    pub key: SessionKey,
    /// The id that programs use.
    pub id: String,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// Whether it ends with the process that made it.
    pub temporary: bool,
    /// What the program keeps with it.
    pub metadata: Map<String, Json>,
    /// What the runtime keeps with it, such as its language model. Stores do not look into it.
    pub settings: Map<String, Json>,
    /// How much it may hold.
    pub quotas: Quotas,
}

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// What it began as. Metadata, settings, lifetime and quotas may have changed since.
    pub session: NewSession,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it ends, if it does.
    pub expires_at: Option<SystemTime>,
    /// The last write to its variables.
    pub revision: Revision,
    /// How many variables it has.
    pub variables: u64,
    /// How many bytes their values take.
    pub bytes: u64,
}

/// A variable.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableRecord {
    /// Its name.
    pub name: String,
    /// What it may hold.
    pub spec: Spec,
    /// The write that set the spec.
    pub spec_version: Revision,
    /// What it holds; none where only descriptions were asked for.
    pub value: Option<Value>,
    /// The write that set the value.
    pub version: Revision,
    /// How many bytes the value takes.
    pub bytes: u64,
    /// When it was made.
    pub created_at: SystemTime,
    /// When its value was set.
    pub updated_at: SystemTime,
}

/// What happened to a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// It was made.
    Created,
    /// It has another value, or another spec.
    Updated,
    /// It is gone.
    Deleted,
}

/// A write to one variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The write; those of one batch share it.
    pub revision: Revision,
    /// Its place in the batch, from 0.
    pub place: u32,
    /// The variable.
    pub name: String,
    /// What happened.
    pub kind: ChangeKind,
    /// What the variable holds since then; none if it was deleted.
    pub value: Option<Value>,
    /// When.
    pub at: SystemTime,
    /// Who wrote it, where that was said.
    pub author: Option<String>,
}

/// An instance of a DSPy module in a session, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// Its id, unique in the session.
    pub id: String,
    /// The dotted path of the class.
    pub class: String,
    /// The hash of the class's API that the program was compiled with.
    pub fingerprint: Option<String>,
    /// The spec that workers build it from, as JSON text, byte for byte.
    pub spec: String,
    /// The variables that steer it.
    pub bindings: Json,
}
