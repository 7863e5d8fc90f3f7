//! What sessions are called, and what they begin with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dspex_state::{Lifetime, Quotas, SessionKey};
use serde_json::{Map, Value};

use super::Adapter;
use crate::error::{Error, Result};
use crate::lm::Lm;

/// The id of a session: 1 to 256 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// An id that nobody had before and nobody can guess: a ULID, so that later ones come later in order.
    #[must_use]
    pub fn generate() -> Self {
        Self(SessionKey::generate().to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn checked(self) -> Result<String> {
        let length = self.0.chars().count();
        if (1..=256).contains(&length) && !self.0.chars().any(char::is_control) {
            Ok(self.0)
        } else {
            Err(Error::SessionName(self.0))
        }
    }
}

impl From<&str> for SessionId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl From<String> for SessionId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a session begins with.
///
/// ```
/// use std::time::Duration;
/// use dspex_runtime::{Lm, SessionConfig};
///
/// let config = SessionConfig::new()
///     .lm(Lm::new("openai/gpt-4o-mini"))
///     .ttl(Duration::from_secs(2 * 3600))
///     .metadata("project", "triage");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SessionConfig {
    pub(super) lm: Option<Lm>,
    pub(super) adapter: Option<Adapter>,
    pub(super) pool: Option<Arc<str>>,
    pub(super) lifetime: Lifetime,
    pub(super) metadata: Map<String, Value>,
    pub(super) quotas: Option<Quotas>,
    pub(super) tool_concurrency: Option<usize>,
}

impl SessionConfig {
    /// The language model and adapter of the [`Dspex`](crate::Dspex), no end, no metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// The session's own language model.
    pub fn lm(mut self, lm: impl Into<Lm>) -> Self {
        self.lm = Some(lm.into());
        self
    }

    /// The session's own adapter.
    pub fn adapter(mut self, adapter: Adapter) -> Self {
        self.adapter = Some(adapter);
        self
    }

    /// The pool that the session's calls run in, unless they choose another one: one that was given to
    /// [`DspexBuilder::pool`](crate::DspexBuilder::pool). Calls of a session whose pool this program does not have end with
    /// [`Error::PoolNotFound`].
    pub fn pool(mut self, name: impl Into<Arc<str>>) -> Self {
        self.pool = Some(name.into());
        self
    }

    /// The session ends so long after its last use, up to a sixteenth later. Calls and variables are uses; watching is none.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.lifetime = Lifetime::Sliding(ttl);
        self
    }

    /// The session ends so long after it was made, used or not.
    pub fn fixed_ttl(mut self, ttl: Duration) -> Self {
        self.lifetime = Lifetime::Fixed(ttl);
        self
    }

    /// Something to keep with the session.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// How many Rust tools may run at once in the session, instead of what the [`Dspex`](crate::Dspex) says; at least 1.
    pub fn tool_concurrency(mut self, tools: usize) -> Self {
        self.tool_concurrency = Some(tools.max(1));
        self
    }

    /// How much the session may hold, instead of what the [`Dspex`](crate::Dspex) allows.
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = Some(quotas);
        self
    }
}
