//! What the reference holds, and what each operation means.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use crate::record::{
    Change, ChangeKind, InstanceRecord, Lifetime, NewSession, Revision, SessionKey, SessionRecord,
    VariableRecord,
};
use crate::store::{
    Action, Batch, Committed, Expect, Hint, Refusal, Retention, SessionChange, SessionQuery, StoreError,
    Totals, VariableQuery, Write, merge_patch,
};

/// Everything.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) sessions: BTreeMap<SessionKey, Session>,
    pub(crate) hints: Vec<Hint>,
    retention: Retention,
}

/// A session with everything in it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) record: SessionRecord,
    pub(crate) variables: BTreeMap<String, VariableRecord>,
    pub(crate) log: Vec<Change>,
    /// All changes after this one are in the log.
    floor: Revision,
    pub(crate) instances: BTreeMap<String, InstanceRecord>,
}

fn lives(record: &SessionRecord) -> bool {
    record.expires_at.is_none_or(|at| at > SystemTime::now())
}

fn ends(lifetime: Lifetime) -> Option<SystemTime> {
    Some(SystemTime::now() + lifetime.from_now()?)
}

impl State {
    pub(super) fn new(retention: Retention) -> Self {
        Self { sessions: BTreeMap::new(), hints: Vec::new(), retention }
    }

    pub(super) fn alive(&mut self, key: SessionKey) -> Result<&mut Session, StoreError> {
        let found = self.sessions.get_mut(&key).filter(|session| lives(&session.record));
        found.ok_or_else(|| StoreError::SessionNotFound(key.to_string()))
    }

    fn living(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter(|session| lives(&session.record))
    }

    pub(super) fn create_session(
        &mut self,
        session: NewSession,
        limit: Option<u64>,
    ) -> Result<SessionRecord, StoreError> {
        if self.session(&session.id).is_some() {
            return Err(StoreError::SessionExists(session.id));
        }
        let wanted = self.living().count() as u64 + 1;
        if let Some(limit) = limit.filter(|limit| wanted > *limit) {
            return Err(StoreError::Quota { what: "sessions", limit, wanted });
        }
        // The id's earlier session, if its time is over, need not wait for the sweeper.
        let over = self.sessions.values().map(|session| &session.record.session);
        if let Some(key) = over.filter(|over| over.id == session.id).map(|over| over.key).next() {
            self.end(key);
        }
        let (created_at, expires_at) = (SystemTime::now(), ends(session.lifetime));
        let key = session.key;
        let record =
            SessionRecord { session, created_at, expires_at, revision: Revision(0), variables: 0, bytes: 0 };
        let made = Session {
            record: record.clone(),
            variables: BTreeMap::new(),
            log: Vec::new(),
            floor: Revision(0),
            instances: BTreeMap::new(),
        };
        self.sessions.insert(key, made);
        Ok(record)
    }

    pub(super) fn session(&self, id: &str) -> Option<SessionRecord> {
        self.living().find(|session| session.record.session.id == id).map(|session| session.record.clone())
    }

    pub(super) fn sessions(&self, query: &SessionQuery) -> Vec<SessionRecord> {
        let mut found: Vec<_> = self
            .living()
            .map(|session| &session.record)
            .filter(|record| query.after.as_ref().is_none_or(|after| record.session.id > *after))
            .filter(|record| record.session.id.starts_with(&query.prefix))
            .filter(|record| query.temporary || !record.session.temporary)
            .filter(|record| {
                query.metadata.iter().all(|(key, value)| record.session.metadata.get(key) == Some(value))
            })
            .cloned()
            .collect();
        found.sort_by(|one, other| one.session.id.cmp(&other.session.id));
        found.truncate(query.limit as usize);
        found
    }

    pub(super) fn update_session(
        &mut self,
        key: SessionKey,
        change: SessionChange,
    ) -> Result<SessionRecord, StoreError> {
        let record = &mut self.alive(key)?.record;
        if let Some(metadata) = change.replace_metadata {
            record.session.metadata = metadata;
        }
        if let Some(patch) = change.merge_metadata {
            merge_patch(&mut record.session.metadata, patch);
        }
        if let Some(patch) = change.merge_settings {
            merge_patch(&mut record.session.settings, patch);
        }
        if let Some(lifetime) = change.lifetime {
            record.session.lifetime = lifetime;
            record.expires_at = ends(lifetime);
        }
        if let Some(extend) = change.extend {
            record.expires_at = record.expires_at.map(|at| at + extend);
        }
        if let Some(quotas) = change.quotas {
            record.session.quotas = quotas;
        }
        Ok(record.clone())
    }

    pub(super) fn touch(&mut self, key: SessionKey) -> Result<(), StoreError> {
        let record = &mut self.alive(key)?.record;
        if let Lifetime::Sliding(_) = record.session.lifetime {
            record.expires_at = record.expires_at.max(ends(record.session.lifetime));
        }
        Ok(())
    }

    pub(super) fn delete_session(&mut self, key: SessionKey) -> bool {
        let there = self.alive(key).is_ok();
        if there {
            self.end(key);
        }
        there
    }

    fn end(&mut self, key: SessionKey) {
        self.sessions.remove(&key);
        self.hints.push(Hint::Ended(key));
    }

    pub(super) fn expire(&mut self, limit: u32) -> Vec<(SessionKey, String)> {
        let over = self.sessions.iter().filter(|(_, session)| !lives(&session.record));
        let over: Vec<_> = over
            .map(|(key, session)| (*key, session.record.session.id.clone()))
            .take(limit as usize)
            .collect();
        for (key, _) in &over {
            self.end(*key);
        }
        over
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for session in self.living() {
            totals.sessions += 1;
            totals.temporary += u64::from(session.record.session.temporary);
            totals.variables += session.record.variables;
            totals.bytes += session.record.bytes;
            totals.instances += session.instances.len() as u64;
        }
        totals
    }

    pub(super) fn commit(&mut self, key: SessionKey, batch: Batch) -> Result<Committed, StoreError> {
        let retention = self.retention;
        let session = self.alive(key)?;
        if batch.writes.is_empty() {
            return Ok(Committed::new(session.record.revision, Vec::new()));
        }
        // All is done to a copy, which takes the place of the session if nothing was refused.
        let mut next = session.clone();
        let revision = Revision(session.record.revision.0 + 1);
        next.record.revision = revision;
        let mut kinds = Vec::new();
        for (place, write) in batch.writes.into_iter().enumerate() {
            let name = write.name.clone();
            let kind = next
                .write(revision, place as u32, write, batch.author.clone())
                .map_err(|refusal| StoreError::Refused { place, name, refusal })?;
            kinds.push(kind);
        }
        next.record.variables = next.variables.len() as u64;
        next.record.bytes = next.variables.values().map(|variable| variable.bytes).sum();
        let quotas = next.record.session.quotas;
        let (now, then) = (&next.record, &session.record);
        for (what, limit, wanted, before) in [
            ("variables", quotas.variables, now.variables, then.variables),
            ("bytes", quotas.bytes, now.bytes, then.bytes),
        ] {
            // What shrinks is always allowed.
            if let Some(limit) = limit.filter(|limit| wanted > *limit && wanted > before) {
                return Err(StoreError::Quota { what, limit, wanted });
            }
        }
        next.prune(retention);
        *session = next;
        self.hints.push(Hint::Written(key, revision));
        Ok(Committed::new(revision, kinds))
    }

    pub(super) fn variables(
        &mut self,
        key: SessionKey,
        query: &VariableQuery,
    ) -> Result<Vec<VariableRecord>, StoreError> {
        let all = self.alive(key)?.variables.values();
        Ok(all
            .filter(|variable| query.after.as_ref().is_none_or(|after| variable.name > *after))
            .filter(|variable| query.glob.as_ref().is_none_or(|glob| matches(glob, &variable.name)))
            .take(query.limit as usize)
            .map(|variable| {
                let value = variable.value.clone().filter(|_| query.values);
                VariableRecord { value, ..variable.clone() }
            })
            .collect())
    }

    pub(super) fn changes(
        &mut self,
        key: SessionKey,
        after: Revision,
        limit: u32,
    ) -> Result<(Vec<Change>, Revision), StoreError> {
        let session = self.alive(key)?;
        if after < session.floor {
            return Err(StoreError::Compacted { after, oldest: session.floor });
        }
        let mut found: Vec<Change> = Vec::new();
        for change in session.log.iter().filter(|change| change.revision > after) {
            if found.len() >= limit as usize
                && found.last().is_some_and(|last| last.revision != change.revision)
            {
                break;
            }
            found.push(change.clone());
        }
        Ok((found, session.record.revision))
    }
}

impl Session {
    fn write(
        &mut self,
        revision: Revision,
        place: u32,
        write: Write,
        author: Option<String>,
    ) -> Result<ChangeKind, Refusal> {
        let at = SystemTime::now();
        let found = self.variables.get(&write.name);
        match (write.expect, found) {
            (Expect::Absent, Some(_)) => return Err(Refusal::Exists),
            (Expect::Present { .. }, None) => return Err(Refusal::NotFound),
            (Expect::Present { version, spec }, Some(variable)) => {
                if let Some(expected) = version.filter(|version| *version != variable.version) {
                    return Err(Refusal::Version { expected, found: variable.version });
                }
                if let Some(expected) = spec.filter(|spec| *spec != variable.spec_version) {
                    return Err(Refusal::Spec { expected, found: variable.spec_version });
                }
            }
            _ => {}
        }
        let (kind, value) = match (write.action, found) {
            (Action::Delete, None) | (Action::Set { spec: None, .. }, None) => return Err(Refusal::NotFound),
            (Action::Delete, Some(_)) => {
                self.variables.remove(&write.name);
                (ChangeKind::Deleted, None)
            }
            (Action::Set { value, spec }, found) => {
                let kind = if found.is_some() { ChangeKind::Updated } else { ChangeKind::Created };
                let (spec, spec_version) = match (spec, found) {
                    (Some(spec), _) => (*spec, revision),
                    (None, Some(variable)) => (variable.spec.clone(), variable.spec_version),
                    (None, None) => return Err(Refusal::NotFound),
                };
                let variable = VariableRecord {
                    name: write.name.clone(),
                    spec,
                    spec_version,
                    bytes: value.size() as u64,
                    value: Some(value.clone()),
                    version: revision,
                    created_at: found.map_or(at, |variable| variable.created_at),
                    updated_at: at,
                };
                self.variables.insert(write.name.clone(), variable);
                (kind, Some(value))
            }
        };
        self.log.push(Change { revision, place, name: write.name, kind, value, at, author });
        Ok(kind)
    }

    /// Forgets what is not recent, but for the latest changes of the variables that live.
    fn prune(&mut self, retention: Retention) {
        let size = |change: &Change| change.value.as_ref().map_or(0, |value| value.size() as u64);
        let (mut total, mut floor) = (0, self.floor);
        for change in self.log.iter().rev() {
            total += size(change);
            let old = change.at.elapsed().unwrap_or(Duration::ZERO) > retention.age;
            let far = change.revision.0 + retention.revisions <= self.record.revision.0;
            if old || far || total > retention.bytes {
                floor = floor.max(change.revision);
                break;
            }
        }
        self.floor = floor;
        let mut seen: HashMap<String, (u32, u64)> = HashMap::new();
        let mut kept: Vec<Change> = Vec::new();
        for change in self.log.drain(..).rev() {
            let (count, bytes) = seen.entry(change.name.clone()).or_default();
            *count += 1;
            *bytes += size(&change);
            let latest = *count <= retention.history && *bytes <= retention.bytes;
            if change.revision > floor || (latest && self.variables.contains_key(&change.name)) {
                kept.push(change);
            }
        }
        kept.reverse();
        self.log = kept;
    }
}

/// Whether a glob matches the whole of a name.
fn matches(glob: &str, name: &str) -> bool {
    fn step(glob: &[char], name: &[char]) -> bool {
        match (glob.first(), name.first()) {
            (None, None) => true,
            (Some('*'), _) => step(&glob[1..], name) || (!name.is_empty() && step(glob, &name[1..])),
            (Some('?'), Some(_)) => step(&glob[1..], &name[1..]),
            (Some(one), Some(other)) if one == other => step(&glob[1..], &name[1..]),
            _ => false,
        }
    }
    step(&glob.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}
