//! The suite itself: every flaw of a store is found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::broadcast;

use super::*;
use crate::record::*;
use crate::store::*;
use crate::value::Value;

/// How a store may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    KeepsPartOfARefusedBatch,
    GivesRevisionsTwice,
    IgnoresVersions,
    IgnoresSpecVersions,
    KeepsSessionsTooLong,
    RenewsFixedSessions,
    ReachesLaterSessionsByEarlierKeys,
    TakesUnderscoresForWildcards,
    SplitsBatches,
    SkipsChanges,
    NeverCompacts,
    ForgetsTheSignOfZero,
    IgnoresQuotas,
    RefusesToShrink,
    GivesNoHints,
    KeepsInstances,
    AnswersWhenClosed,
    ListsBeforeTheFilter,
    TellsTheWrongPlace,
}

/// The reference, with a flaw.
#[derive(Debug)]
struct Flawed {
    inner: Arc<Reference>,
    flaw: Flaw,
    nobody: broadcast::Sender<Hint>,
}

impl Flawed {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// The key that is used in the place of another.
    fn key(&self, key: SessionKey) -> SessionKey {
        let guard = self.inner.lock();
        match guard.as_ref() {
            Some(state)
                if self.is(Flaw::ReachesLaterSessionsByEarlierKeys) && !state.sessions.contains_key(&key) =>
            {
                state.sessions.keys().next().copied().unwrap_or(key)
            }
            _ => key,
        }
    }

    async fn commit_flawed(&self, key: SessionKey, mut batch: Batch) -> Result<Committed, StoreError> {
        for write in &mut batch.writes {
            match (&mut write.expect, self.flaw) {
                (Expect::Present { version, .. }, Flaw::IgnoresVersions) => *version = None,
                (Expect::Present { spec, .. }, Flaw::IgnoresSpecVersions) => *spec = None,
                _ => {}
            }
            if let (Action::Set { value, .. }, Flaw::ForgetsTheSignOfZero) = (&mut write.action, self.flaw)
                && *value == Value::Float(0.0)
            {
                // -0.0 equals 0.0.
                *value = Value::Float(0.0);
            }
        }
        let deletes = batch.writes.iter().any(|write| write.action == Action::Delete);
        let first = batch.writes.first().cloned();
        let before = self.inner.lock().as_ref().and_then(|state| state.sessions.get(&key).cloned());
        let mut answer = self.inner.commit(key, batch).await;
        if let (Err(StoreError::Refused { place, .. }), Flaw::TellsTheWrongPlace) = (&mut answer, self.flaw) {
            *place = 0;
        }
        if let (Err(_), Some(first), Flaw::KeepsPartOfARefusedBatch) = (&answer, first, self.flaw) {
            let _ = self.inner.commit(key, Batch::new(vec![first])).await;
        }
        let mut guard = self.inner.lock();
        let Some(session) = guard.as_mut().and_then(|state| state.sessions.get_mut(&key)) else {
            return answer;
        };
        if answer.is_ok() && deletes && self.is(Flaw::GivesRevisionsTwice) {
            session.record.revision.0 -= 1;
            session.log.pop();
        }
        if let (Ok(_), Flaw::SkipsChanges, true) = (&answer, self.flaw, session.record.revision.0 % 3 == 2) {
            session.log.pop();
        }
        if let (Ok(_), Some(before), Flaw::RefusesToShrink) = (&answer, before, self.flaw) {
            let (limit, wanted) =
                (session.record.session.quotas.bytes.unwrap_or(u64::MAX), session.record.bytes);
            if wanted > limit {
                *session = before;
                return Err(StoreError::Quota { what: "bytes", limit, wanted });
            }
        }
        answer
    }
}

impl StateStore for Flawed {
    fn create_session(&self, mut session: NewSession, limit: Option<u64>) -> Answer<'_, SessionRecord> {
        if let (Lifetime::Fixed(ttl) | Lifetime::Sliding(ttl), true) =
            (&mut session.lifetime, self.is(Flaw::KeepsSessionsTooLong))
        {
            *ttl += Duration::from_millis(300);
        }
        if self.is(Flaw::IgnoresQuotas) {
            session.quotas = Quotas::default();
        }
        self.inner.create_session(session, limit)
    }
    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Option<SessionRecord>> {
        self.inner.session(id)
    }
    fn sessions<'a>(&'a self, query: &'a SessionQuery) -> Answer<'a, Vec<SessionRecord>> {
        async move {
            if !self.is(Flaw::ListsBeforeTheFilter) {
                return self.inner.sessions(query).await;
            }
            let all = SessionQuery { metadata: Default::default(), ..query.clone() };
            let mut listed = self.inner.sessions(&all).await?;
            let wanted = self.inner.sessions(&SessionQuery { limit: u32::MAX, ..query.clone() }).await?;
            listed.retain(|record| wanted.contains(record));
            Ok(listed)
        }
        .boxed()
    }
    fn update_session(&self, key: SessionKey, change: SessionChange) -> Answer<'_, SessionRecord> {
        self.inner.update_session(self.key(key), change)
    }
    fn touch(&self, key: SessionKey) -> Answer<'_, ()> {
        if self.is(Flaw::RenewsFixedSessions)
            && let Some(session) = self.inner.lock().as_mut().and_then(|state| state.sessions.get_mut(&key))
            && let Some(ttl) = session.record.session.lifetime.from_now()
        {
            session.record.expires_at = Some(std::time::SystemTime::now() + ttl);
        }
        self.inner.touch(self.key(key))
    }
    fn delete_session(&self, key: SessionKey) -> Answer<'_, bool> {
        self.inner.delete_session(self.key(key))
    }
    fn expire(&self, limit: u32) -> Answer<'_, Vec<(SessionKey, String)>> {
        self.inner.expire(limit)
    }
    fn totals(&self) -> Answer<'_, Totals> {
        self.inner.totals()
    }
    fn commit(&self, key: SessionKey, batch: Batch) -> Answer<'_, Committed> {
        self.commit_flawed(self.key(key), batch).boxed()
    }
    fn read<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<(Value, Revision)>> {
        self.inner.read(self.key(key), name)
    }
    fn read_together<'a>(
        &'a self,
        key: SessionKey,
        names: &'a [String],
    ) -> Answer<'a, Vec<Option<(Value, Revision)>>> {
        self.inner.read_together(self.key(key), names)
    }
    fn variable<'a>(&'a self, key: SessionKey, name: &'a str) -> Answer<'a, Option<VariableRecord>> {
        self.inner.variable(self.key(key), name)
    }
    fn variables<'a>(&'a self, key: SessionKey, query: &'a VariableQuery) -> Answer<'a, Vec<VariableRecord>> {
        async move {
            let mut query = query.clone();
            if self.is(Flaw::TakesUnderscoresForWildcards) {
                query.glob = query.glob.map(|glob| glob.replace('_', "?"));
            }
            self.inner.variables(self.key(key), &query).await
        }
        .boxed()
    }
    fn history<'a>(&'a self, key: SessionKey, name: &'a str, limit: u32) -> Answer<'a, Vec<Change>> {
        self.inner.history(self.key(key), name, limit)
    }
    fn changes(&self, key: SessionKey, after: Revision, limit: u32) -> Answer<'_, (Vec<Change>, Revision)> {
        async move {
            let mut answer = self.inner.changes(self.key(key), after, limit).await;
            if let (Ok((changes, _)), Flaw::SplitsBatches) = (&mut answer, self.flaw) {
                changes.truncate(limit.max(1) as usize);
            }
            answer
        }
        .boxed()
    }
    fn hints(&self) -> broadcast::Receiver<Hint> {
        if self.is(Flaw::GivesNoHints) { self.nobody.subscribe() } else { self.inner.hints() }
    }
    fn put_instance(&self, key: SessionKey, instance: InstanceRecord) -> Answer<'_, ()> {
        async move {
            let there =
                self.inner.instances(self.key(key)).await?.iter().any(|other| other.id == instance.id);
            if there && self.is(Flaw::KeepsInstances) {
                return Ok(());
            }
            self.inner.put_instance(self.key(key), instance).await
        }
        .boxed()
    }
    fn instances(&self, key: SessionKey) -> Answer<'_, Vec<InstanceRecord>> {
        self.inner.instances(self.key(key))
    }
    fn delete_instance<'a>(&'a self, key: SessionKey, id: &'a str) -> Answer<'a, bool> {
        self.inner.delete_instance(self.key(key), id)
    }
    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, ()> {
        self.inner.backup(to)
    }
    fn check(&self) -> Answer<'_, Vec<String>> {
        self.inner.check()
    }
    fn close(&self) -> Answer<'_, ()> {
        if self.is(Flaw::AnswersWhenClosed) { async { Ok(()) }.boxed() } else { self.inner.close() }
    }
}

impl Fixture for Flaw {
    fn open(&self, retention: Retention) -> BoxFuture<'_, Arc<dyn StateStore>> {
        let retention = if *self == Self::NeverCompacts { Retention::default() } else { retention };
        let inner = Arc::new(Reference::new(retention));
        let store = Flawed { inner, flaw: *self, nobody: broadcast::Sender::new(1) };
        async move { Arc::new(store) as Arc<dyn StateStore> }.boxed()
    }
}

/// The names of the cases that do not hold.
fn broken(flaw: Flaw, cases: &[&str]) -> Vec<&'static str> {
    let chosen = CASES.iter().filter(|case| cases.contains(&case.name));
    chosen
        .filter(|case| catch_unwind(AssertUnwindSafe(|| run(**case, flaw))).is_err())
        .map(|case| case.name)
        .collect()
}

#[test]
fn every_flaw_is_found_by_the_case_that_speaks_of_it() {
    for (flaw, case) in [
        (Flaw::KeepsPartOfARefusedBatch, "a_refusal_names_the_write_and_leaves_nothing_behind"),
        (Flaw::GivesRevisionsTwice, "a_version_is_never_given_twice"),
        (Flaw::IgnoresVersions, "a_compare_and_set_with_another_version_is_refused"),
        (Flaw::IgnoresSpecVersions, "a_value_for_an_earlier_spec_is_refused"),
        (Flaw::KeepsSessionsTooLong, "a_session_whose_time_is_over_is_not_there_before_it_is_swept"),
        (Flaw::RenewsFixedSessions, "touching_does_not_renew_a_fixed_session"),
        (Flaw::ReachesLaterSessionsByEarlierKeys, "an_id_that_is_made_again_has_nothing_of_the_earlier_one"),
        (Flaw::TakesUnderscoresForWildcards, "globs_know_two_wildcards_and_take_everything_else_as_it_is"),
        (Flaw::SplitsBatches, "changes_come_in_whole_batches"),
        (Flaw::SkipsChanges, "changes_page_by_page_have_neither_gaps_nor_doubles"),
        (Flaw::NeverCompacts, "changes_that_are_not_kept_are_told_to_be_compacted"),
        (Flaw::ForgetsTheSignOfZero, "values_of_every_type_come_back_bit_for_bit"),
        (Flaw::IgnoresQuotas, "a_quota_of_variables_is_kept"),
        (Flaw::RefusesToShrink, "what_shrinks_is_allowed_even_above_a_quota"),
        (Flaw::GivesNoHints, "a_write_is_hinted_at"),
        (Flaw::KeepsInstances, "an_instance_takes_the_place_of_an_earlier_one"),
        (Flaw::AnswersWhenClosed, "a_closed_store_says_so"),
        (Flaw::ListsBeforeTheFilter, "sessions_are_filtered_by_prefix_metadata_and_temporariness"),
        (Flaw::TellsTheWrongPlace, "a_refusal_names_the_write_and_leaves_nothing_behind"),
    ] {
        assert_eq!(broken(flaw, &[case]), [case], "{flaw:?} is not found");
    }
}

#[test]
fn the_property_finds_flaws_of_its_own() {
    let property = "any_sequence_of_operations_has_the_answers_of_the_reference";
    for flaw in [
        Flaw::KeepsPartOfARefusedBatch,
        Flaw::GivesRevisionsTwice,
        Flaw::IgnoresVersions,
        Flaw::IgnoresSpecVersions,
        Flaw::ReachesLaterSessionsByEarlierKeys,
        Flaw::SkipsChanges,
        Flaw::KeepsInstances,
        Flaw::TellsTheWrongPlace,
    ] {
        assert_eq!(broken(flaw, &[property]), [property], "{flaw:?} is not found");
    }
}
