//! A store of maps in memory, as simple as can be: what other stores are compared with.

mod state;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use tokio::sync::broadcast;

pub(super) use state::State;

use crate::record::{
    Change, InstanceRecord, NewSession, Revision, SessionKey, SessionRecord, VariableRecord,
};
use crate::store::{
    Answer, Batch, Committed, Hint, Retention, SessionChange, SessionQuery, StateStore, StoreError, Totals,
    VariableQuery,
};
use crate::value::Value;

/// A store of maps in memory that keeps the contract in the simplest way: everything under one lock, and copies of the whole
/// where something may be refused. It is for comparing, not for use.
#[derive(Debug)]
pub struct Reference {
    state: Mutex<Option<State>>,
    hints: broadcast::Sender<Hint>,
}

impl Reference {
    /// An empty one.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        let state = Mutex::new(Some(State::new(retention)));
        Self { state, hints: broadcast::Sender::new(1024) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Answer<'_, T> {
        let answer = match self.lock().as_mut() {
            Some(state) => {
                let answer = answer(state);
                for hint in state.hints.drain(..) {
                    // Nobody may be listening.
                    let _ = self.hints.send(hint);
                }
                answer
            }
            None => Err(StoreError::Closed),
        };
        futures::future::ready(answer).boxed()
    }
}

impl StateStore for Reference {
    fn create_session(&self, session: NewSession, limit: Option<u64>) -> Answer<'_, SessionRecord> {
        self.with(|state| state.create_session(session, limit))
    }

    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Option<SessionRecord>> {
        self.with(|state| Ok(state.session(id)))
    }

    fn sessions<'a>(&'a self, query: &'a SessionQuery) -> Answer<'a, Vec<SessionRecord>> {
        self.with(|state| Ok(state.sessions(query)))
    }

    fn update_session(&self, key: SessionKey, change: SessionChange) -> Answer<'_, SessionRecord> {
        self.with(|state| state.update_session(key, change))
    }

    fn touch(&self, key: SessionKey) -> Answer<'_, ()> {
        self.with(|state| state.touch(key))
    }

    fn delete_session(&self, key: SessionKey) -> Answer<'_, bool> {
        self.with(|state| Ok(state.delete_session(key)))
    }

    fn expire(&self, limit: u32) -> Answer<'_, Vec<(SessionKey, String)>> {
        self.with(|state| Ok(state.expire(limit)))
    }

    fn totals(&self) -> Answer<'_, Totals> {
        self.with(|state| Ok(state.totals()))
    }

    fn commit(&self, key: SessionKey, batch: Batch) -> Answer<'_, Committed> {
        self.with(|state| state.commit(key, batch))
    }

    fn read<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<(Value, Revision)>> {
        self.with(|state| {
            let variable = state.alive(key)?.variables.get(name);
            Ok(variable.and_then(|variable| Some((variable.value.clone()?, variable.version))))
        })
    }

    fn read_together<'a>(
        &'a self,
        key: SessionKey,
        names: &'a [String],
    ) -> Answer<'a, Vec<Option<(Value, Revision)>>> {
        self.with(|state| {
            let variables = &state.alive(key)?.variables;
            let one = |name: &String| {
                let variable = variables.get(name)?;
                Some((variable.value.clone()?, variable.version))
            };
            Ok(names.iter().map(one).collect())
        })
    }

    fn variable<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<VariableRecord>> {
        self.with(|state| Ok(state.alive(key)?.variables.get(name).cloned()))
    }

    fn variables<'a>(&'a self, key: SessionKey, query: &'a VariableQuery) -> Answer<'a, Vec<VariableRecord>> {
        self.with(|state| state.variables(key, query))
    }

    fn history<'a>(&'a self, key: SessionKey, name: &'a str, limit: u32) -> Answer<'a, Vec<Change>> {
        self.with(|state| {
            let mut found = Vec::new();
            for change in state.alive(key)?.log.iter().rev().filter(|change| change.name == name) {
                // What was before belongs to an earlier variable of the name.
                if found.len() == limit as usize || change.kind == crate::record::ChangeKind::Deleted {
                    break;
                }
                found.push(change.clone());
            }
            Ok(found)
        })
    }

    fn changes(&self, key: SessionKey, after: Revision, limit: u32) -> Answer<'_, (Vec<Change>, Revision)> {
        self.with(|state| state.changes(key, after, limit))
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }

    fn put_instance(&self, key: SessionKey, instance: InstanceRecord) -> Answer<'_, ()> {
        self.with(|state| {
            state.alive(key)?.instances.insert(instance.id.clone(), instance);
            Ok(())
        })
    }

    fn instances(&self, key: SessionKey) -> Answer<'_, Vec<InstanceRecord>> {
        self.with(|state| Ok(state.alive(key)?.instances.values().cloned().collect()))
    }

    fn delete_instance<'a>(&'a self, key: SessionKey, id: &'a str) -> Answer<'a, bool> {
        self.with(|state| Ok(state.alive(key)?.instances.remove(id).is_some()))
    }

    fn backup<'a>(&'a self, _: &'a Path) -> Answer<'a, ()> {
        let why = "a store in memory has no backup; use one that keeps its state";
        self.with(|_| Err(StoreError::Unsupported(why.to_owned())))
    }

    fn check(&self) -> Answer<'_, Vec<String>> {
        self.with(|_| Ok(Vec::new()))
    }

    fn close(&self) -> Answer<'_, ()> {
        self.lock().take();
        futures::future::ready(Ok(())).boxed()
    }
}
