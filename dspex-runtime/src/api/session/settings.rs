//! What calls of a session use, and how its store keeps that.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Adapter, SessionConfig};
use crate::error::Result;
use crate::lm::{Lm, StoredLm};

/// The language model, the adapter and the limits of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(super) lm: SessionLm,
    pub(super) adapter: Option<Adapter>,
    /// The pool that calls run in.
    pub(super) pool: Option<Arc<str>>,
    /// How many tools may run at once.
    pub(super) tool_concurrency: Option<usize>,
}

/// The language model of a session.
#[derive(Clone, Debug, Default)]
pub(super) enum SessionLm {
    /// That of the [`Dspex`](crate::Dspex).
    #[default]
    Inherited,
    /// Its own.
    Own(Lm),
    /// Its own, as a store had it, which may not be all of it.
    Stored(StoredLm),
}

impl Settings {
    pub(super) fn new(config: SessionConfig) -> Self {
        let SessionConfig { lm, adapter, pool, tool_concurrency, .. } = config;
        Self { lm: lm.map_or(SessionLm::Inherited, SessionLm::Own), adapter, pool, tool_concurrency }
    }

    /// What was written down; what this dspex cannot read is as if it had not been.
    pub(super) fn read(stored: &Map<String, Value>) -> Self {
        let lm = stored.get("lm").and_then(|lm| serde_json::from_value::<StoredLm>(lm.clone()).ok());
        let lm = match lm.map(|stored| (stored.restore(), stored)) {
            None => SessionLm::Inherited,
            Some((Ok(lm), _)) => SessionLm::Own(lm),
            Some((Err(_), stored)) => SessionLm::Stored(stored),
        };
        let adapter = stored.get("adapter").and_then(Value::as_str).and_then(Adapter::of_name);
        let tool_concurrency = stored
            .get("tool_concurrency")
            .and_then(Value::as_u64)
            .and_then(|tools| usize::try_from(tools).ok());
        let pool = stored.get("pool").and_then(Value::as_str).map(Arc::from);
        Self { lm, adapter, pool, tool_concurrency }
    }

    /// What can be written down.
    pub(super) fn write(&self) -> Map<String, Value> {
        let lm = match &self.lm {
            SessionLm::Inherited => None,
            SessionLm::Own(lm) => Some(StoredLm::of(lm)),
            SessionLm::Stored(stored) => Some(stored.clone()),
        };
        let mut written = Map::new();
        written.extend(lm.map(|lm| ("lm".to_owned(), json!(lm))));
        written.extend(self.adapter.map(|adapter| ("adapter".to_owned(), json!(adapter.name()))));
        written.extend(self.pool.as_ref().map(|pool| ("pool".to_owned(), json!(&**pool))));
        written.extend(self.tool_concurrency.map(|tools| ("tool_concurrency".to_owned(), json!(tools))));
        written
    }

    /// The session's own language model.
    pub(super) fn own_lm(&self) -> Result<Option<Lm>> {
        match &self.lm {
            SessionLm::Inherited => Ok(None),
            SessionLm::Own(lm) => Ok(Some(lm.clone())),
            SessionLm::Stored(stored) => Ok(Some(stored.restore()?)),
        }
    }
}
