//! A store that begins, when it is told to, never to answer what steered calls read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dspex::state::store::{
    Answer, Batch, Committed, Hint, SessionChange, SessionQuery, StateStore, Totals, VariableQuery,
};
use dspex::state::{
    Change, InstanceRecord, NewSession, Revision, SessionKey, SessionRecord, SqliteStore, Value,
    VariableRecord,
};
use tokio::sync::broadcast;

/// A true store, whose reads of several variables hang once `hangs` is set.
#[derive(Clone, Debug)]
pub struct SlowStore {
    pub inner: SqliteStore,
    pub hangs: Arc<AtomicBool>,
}

macro_rules! passed_on {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $name<'a>(&'a self, $($argument: $type),*) -> Answer<'a, $answer> {
            self.inner.$name($($argument),*)
        })*
    };
}

impl StateStore for SlowStore {
    fn read_together<'a>(
        &'a self,
        key: SessionKey,
        names: &'a [String],
    ) -> Answer<'a, Vec<Option<(Value, Revision)>>> {
        match self.hangs.load(Ordering::Acquire) {
            true => Box::pin(std::future::pending()),
            false => self.inner.read_together(key, names),
        }
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.inner.hints()
    }

    passed_on! {
        create_session(session: NewSession, limit: Option<u64>) -> SessionRecord;
        session(id: &'a str) -> Option<SessionRecord>;
        sessions(query: &'a SessionQuery) -> Vec<SessionRecord>;
        update_session(key: SessionKey, change: SessionChange) -> SessionRecord;
        touch(key: SessionKey) -> ();
        delete_session(key: SessionKey) -> bool;
        expire(limit: u32) -> Vec<(SessionKey, String)>;
        totals() -> Totals;
        commit(key: SessionKey, batch: Batch) -> Committed;
        read(key: SessionKey, name: &'a str) -> Option<(Value, Revision)>;
        variable(key: SessionKey, name: &'a str) -> Option<VariableRecord>;
        variables(key: SessionKey, query: &'a VariableQuery) -> Vec<VariableRecord>;
        history(key: SessionKey, name: &'a str, limit: u32) -> Vec<Change>;
        changes(key: SessionKey, after: Revision, limit: u32) -> (Vec<Change>, Revision);
        put_instance(key: SessionKey, instance: InstanceRecord) -> ();
        instances(key: SessionKey) -> Vec<InstanceRecord>;
        delete_instance(key: SessionKey, id: &'a str) -> bool;
        backup(to: &'a Path) -> ();
        check() -> Vec<String>;
        close() -> ();
    }
}
