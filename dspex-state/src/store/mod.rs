//! The seam to stores: what keeps sessions, variables and instances.
//!
//! A store checks what only it can know, existence, versions and quotas, and keeps the order of writes. Whether a value fits
//! its variable is decided above it. The conformance suite holds a store against this contract.

mod error;
mod patch;
mod retention;
mod write;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Map, Value as Json};
use tokio::sync::broadcast;

pub use error::{Refusal, StoreError};
pub use patch::merge_patch;
pub use retention::Retention;
pub use write::{Action, Batch, Committed, Expect, Write};

use crate::record::{
    Change, InstanceRecord, Lifetime, NewSession, Quotas, Revision, SessionKey, SessionRecord, VariableRecord,
};
use crate::value::Value;

/// A future of a store's answer.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What keeps sessions, their variables and their instances.
///
/// # Contract
///
/// * A write that was answered is kept, even if the process is killed right after. One that was not answered is there whole
///   or not at all.
/// * Each [`commit`](Self::commit) has the session's next [`Revision`]. Whoever reads a revision reads all before it.
/// * A session whose time is over is not there, whether it was swept or not. Its key is never given again.
/// * Every method but the sessions' own answers [`StoreError::SessionNotFound`] for a session that is not there.
/// * Texts are ordered by code points. A limit of 0 lists nothing.
/// * A dropped future leaves a write whole: done or not begun.
pub trait StateStore: fmt::Debug + Send + Sync + 'static {
    /// Makes a session. `limit` is the most sessions that there may be, temporary ones included; an id that lives is told before
    /// it. An earlier session of the id whose time is over may be removed at once.
    fn create_session(&self, session: NewSession, limit: Option<u64>) -> Answer<'_, SessionRecord>;

    /// The session that has an id now.
    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Option<SessionRecord>>;

    /// Sessions in the order of their ids.
    fn sessions<'a>(&'a self, query: &'a SessionQuery) -> Answer<'a, Vec<SessionRecord>>;

    /// Changes what a session is.
    fn update_session(&self, key: SessionKey, change: SessionChange) -> Answer<'_, SessionRecord>;

    /// Renews a session with a sliding lifetime; nothing for others. Never takes time away, as from one that was extended.
    fn touch(&self, key: SessionKey) -> Answer<'_, ()>;

    /// Ends a session, with everything in it. False if it was not there.
    fn delete_session(&self, key: SessionKey) -> Answer<'_, bool>;

    /// Removes sessions whose time is over, at most so many; those that it removed.
    fn expire(&self, limit: u32) -> Answer<'_, Vec<(SessionKey, String)>>;

    /// How much there is.
    fn totals(&self) -> Answer<'_, Totals>;

    /// Writes all of a batch, or nothing of it. The version that is expected is looked at before the spec. Quotas are held
    /// against what the whole batch leaves, after everything that may be refused, and never against what shrinks.
    fn commit(&self, key: SessionKey, batch: Batch) -> Answer<'_, Committed>;

    /// What a variable holds, with its version. The way that calls take, so it should be fast.
    fn read<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<(Value, Revision)>>;

    /// What variables hold, with their versions, all at one revision; none for those that are not there. The way of calls that
    /// variables steer, so it should be fast as well.
    fn read_together<'a>(
        &'a self,
        key: SessionKey,
        names: &'a [String],
    ) -> Answer<'a, Vec<Option<(Value, Revision)>>>;

    /// A variable with its spec.
    fn variable<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<VariableRecord>>;

    /// Variables in the order of their names.
    fn variables<'a>(&'a self, key: SessionKey, query: &'a VariableQuery) -> Answer<'a, Vec<VariableRecord>>;

    /// The writes to a variable that are kept, the latest first: those since it was made, and none if it is not there.
    fn history<'a>(&'a self, key: SessionKey, name: &'a str, limit: u32) -> Answer<'a, Vec<Change>>;

    /// All writes after a revision in order, whole batches, at least one of them and else about `limit` changes; and the
    /// session's revision.
    fn changes(&self, key: SessionKey, after: Revision, limit: u32) -> Answer<'_, (Vec<Change>, Revision)>;

    /// Tells of writes and of sessions that ended. Hints may come twice, be merged or be lost.
    fn hints(&self) -> broadcast::Receiver<Hint>;

    /// Keeps an instance, in the place of an earlier one with its id.
    fn put_instance(&self, key: SessionKey, instance: InstanceRecord) -> Answer<'_, ()>;

    /// The instances of a session, by their ids.
    fn instances(&self, key: SessionKey) -> Answer<'_, Vec<InstanceRecord>>;

    /// Forgets an instance. False if it was not there.
    fn delete_instance<'a>(&'a self, key: SessionKey, id: &'a str) -> Answer<'a, bool>;

    /// Writes a copy of everything into a new file, while others go on.
    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, ()>;

    /// Looks for damage; a line for each.
    fn check(&self) -> Answer<'_, Vec<String>>;

    /// Finishes what was begun, and lets go of files and connections. Later calls answer [`StoreError::Closed`].
    fn close(&self) -> Answer<'_, ()>;
}

/// Which sessions are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SessionQuery {
    /// Only ids after this one.
    pub after: Option<String>,
    /// Only ids that begin with this.
    pub prefix: String,
    /// Only sessions whose metadata has these entries.
    pub metadata: Map<String, Json>,
    /// Whether temporary ones count.
    pub temporary: bool,
    /// At most so many.
    pub limit: u32,
}

/// Which variables are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct VariableQuery {
    /// Only names after this one.
    pub after: Option<String>,
    /// Only names that this glob matches: `*` is any text, `?` any character.
    pub glob: Option<String>,
    /// Whether values come along.
    pub values: bool,
    /// At most so many.
    pub limit: u32,
}

/// What is to change about a session.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SessionChange {
    /// A JSON merge patch (RFC 7396) for the metadata, after it was replaced.
    pub merge_metadata: Option<Map<String, Json>>,
    /// The whole metadata.
    pub replace_metadata: Option<Map<String, Json>>,
    /// A JSON merge patch for what the runtime keeps.
    pub merge_settings: Option<Map<String, Json>>,
    /// Another lifetime, which begins now, before it is extended.
    pub lifetime: Option<Lifetime>,
    /// Ends so much later than it would. Nothing for a session without an end.
    pub extend: Option<Duration>,
    /// Other quotas.
    pub quotas: Option<Quotas>,
}

/// Something happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Its variables were written.
    Written(SessionKey, Revision),
    /// It ended.
    Ended(SessionKey),
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Sessions that live.
    pub sessions: u64,
    /// Of these, temporary ones.
    pub temporary: u64,
    /// Variables of all sessions.
    pub variables: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Instances of all sessions.
    pub instances: u64,
}
