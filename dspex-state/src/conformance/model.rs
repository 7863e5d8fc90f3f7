//! The property: whatever the sequence of operations, the answers are the reference's.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde_json::json;
use tokio::runtime::Handle;

use super::given::{self, Store, entries};
use super::{Fixture, Reference};
use crate::record::{
    Change, Lifetime, NewSession, Quotas, Revision, SessionKey, SessionRecord, VariableRecord,
};
use crate::store::{
    Action, Batch, Expect, Retention, SessionChange, SessionQuery, StateStore, StoreError, VariableQuery,
    Write,
};
use crate::value::{Value, testing};

/// So many sequences, where `PROPTEST_CASES` does not say how many.
const CASES: u32 = 64;

/// What is asked of both. Sessions are told by their place among all that were made, so that operations reach those that
/// ended too.
#[derive(Clone, Debug)]
enum Operation {
    Create { id: usize, lifetime: Lifetime, temporary: bool, quotas: Quotas, limit: Option<u64> },
    Change { session: usize, change: SessionChange },
    Touch { session: usize },
    Delete { session: usize },
    Expire { limit: u32 },
    Commit { session: usize, batch: Batch },
    Instance { session: usize, id: usize, put: Option<u8> },
    List { session: usize, query: VariableQuery },
    Sessions { query: SessionQuery },
    Changes { session: usize, after: u64 },
}

pub(super) async fn any_sequence_of_operations_has_the_answers_of_the_reference(fixture: &dyn Fixture) {
    let store = given::store(fixture).await;
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    // The same sequences each time, where `PROPTEST_RNG_SEED` does not choose others.
    let rng_seed = match Config::default().rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        chosen => chosen,
    };
    let config =
        Config { cases, rng_seed, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let runtime = Handle::current();
    let property = || {
        TestRunner::new(config).run(&prop::collection::vec(operations(), 1..60), |operations| {
            runtime.block_on(same_answers(&store, operations))
        })
    };
    if let Err(error) = tokio::task::block_in_place(property) {
        panic!("{error}");
    }
}

const IDS: [&str; 3] = ["a", "a b", "\u{e9}"];
const NAMES: [&str; 4] = ["x", "x_1", "y%", "\u{1F980}"];

fn operations() -> impl Strategy<Value = Operation> {
    let session = 0..3_usize;
    prop_oneof![
        3 => (0..3_usize, lifetimes(), prop::bool::weighted(0.2), quotas(), prop::option::weighted(0.3, 1..4_u64)).prop_map(
            |(id, lifetime, temporary, quotas, limit)| Operation::Create { id, lifetime, temporary, quotas, limit }
        ),
        2 => (session.clone(), session_changes()).prop_map(|(session, change)| Operation::Change { session, change }),
        1 => session.clone().prop_map(|session| Operation::Touch { session }),
        1 => session.clone().prop_map(|session| Operation::Delete { session }),
        1 => (0..3_u32).prop_map(|limit| Operation::Expire { limit }),
        12 => (session.clone(), batches()).prop_map(|(session, batch)| Operation::Commit { session, batch }),
        4 => (session.clone(), 0..2_usize, prop::option::weighted(0.8, 0..9_u8))
            .prop_map(|(session, id, put)| Operation::Instance { session, id, put }),
        2 => (session.clone(), queries()).prop_map(|(session, query)| Operation::List { session, query }),
        1 => (prop::option::of(0..3_usize), any::<bool>(), any::<bool>(), any::<bool>(), 0..4_u32).prop_map(
            |(after, prefix, metadata, temporary, limit)| Operation::Sessions {
                query: SessionQuery {
                    after: after.map(|id| IDS[id].to_owned()),
                    prefix: if prefix { "a" } else { "" }.to_owned(),
                    metadata: if metadata { entries(json!({"n": 1})) } else { Default::default() },
                    temporary,
                    limit,
                }
            }
        ),
        2 => (session, 0..6_u64).prop_map(|(session, after)| Operation::Changes { session, after }),
    ]
}

/// Lifetimes that are over at once, or not within any test.
fn lifetimes() -> impl Strategy<Value = Lifetime> {
    prop_oneof![
        4 => Just(Lifetime::Unlimited),
        1 => Just(Lifetime::Fixed(Duration::ZERO)),
        1 => Just(Lifetime::Fixed(Duration::from_secs(3600))),
        1 => Just(Lifetime::Sliding(Duration::from_secs(16 * 3600))),
    ]
}

fn quotas() -> impl Strategy<Value = Quotas> {
    (prop::option::weighted(0.2, 0..4_u64), prop::option::weighted(0.2, 0..60_u64))
        .prop_map(|(variables, bytes)| Quotas { variables, bytes })
}

fn session_changes() -> impl Strategy<Value = SessionChange> {
    let patches = prop_oneof![
        Just(json!({"n": 1, "d": {"a": 1}})),
        Just(json!({"n": null, "d": {"b": {"c": null}}})),
        Just(json!({"d": [null]})),
        Just(json!({"d": null})),
    ]
    .prop_map(entries);
    (
        prop::option::of(patches.clone()),
        prop::option::weighted(0.2, patches.clone()),
        prop::option::weighted(0.3, patches),
        prop::option::weighted(0.2, lifetimes()),
        prop::option::weighted(0.2, Just(Duration::from_secs(24 * 3600))),
        prop::option::weighted(0.3, quotas()),
    )
        .prop_map(|(merge_metadata, replace_metadata, merge_settings, lifetime, extend, quotas)| {
            SessionChange { merge_metadata, replace_metadata, merge_settings, lifetime, extend, quotas }
        })
}

fn batches() -> impl Strategy<Value = Batch> {
    let expects = prop_oneof![
        4 => Just(Expect::Anything),
        1 => Just(Expect::Absent),
        4 => (any::<bool>(), any::<bool>(), 0..5_u64).prop_map(|(version, spec, revision)| Expect::Present {
            version: version.then_some(Revision(revision)),
            spec: spec.then_some(Revision(revision)),
        }),
    ];
    let actions = prop_oneof![
        4 => (testing::values(), prop::bool::weighted(0.7)).prop_map(|(value, with_spec)| {
            let spec = with_spec.then(|| Box::new(given::spec(value.kind())));
            Action::Set { value, spec }
        }),
        1 => Just(Action::Delete),
    ];
    let writes = (0..4_usize, expects, actions).prop_map(|(name, expect, action)| Write {
        name: NAMES[name].to_owned(),
        expect,
        action,
    });
    (prop::collection::vec(writes, 0..4), prop::option::weighted(0.3, Just("somebody".to_owned())))
        .prop_map(|(writes, author)| Batch { writes, author })
}

fn queries() -> impl Strategy<Value = VariableQuery> {
    let globs = prop::sample::select(vec!["*", "x*", "?", "x_?", "y%", "*\u{1F980}"]).prop_map(str::to_owned);
    (prop::option::weighted(0.3, 0..4_usize), prop::option::of(globs), any::<bool>(), 0..5_u32).prop_map(
        |(after, glob, values, limit)| VariableQuery {
            after: after.map(|name| NAMES[name].to_owned()),
            glob,
            values,
            limit,
        },
    )
}

/// Asks both stores all of it, and everything there is after the last.
async fn same_answers(store: &Store, operations: Vec<Operation>) -> Result<(), TestCaseError> {
    let reference = Reference::new(Retention::default());
    clear(&**store).await;
    let mut keys = vec![SessionKey::generate()];
    for operation in operations {
        step(&**store, &reference, &mut keys, operation).await?;
    }
    for key in keys {
        for name in NAMES {
            same("read", store.read(key, name).await, reference.read(key, name).await)?;
            same("variable", store.variable(key, name).await, reference.variable(key, name).await)?;
            same("history", store.history(key, name, 99).await, reference.history(key, name, 99).await)?;
        }
        let all = Revision(0);
        same("changes", store.changes(key, all, 999).await, reference.changes(key, all, 999).await)?;
        same("instances", store.instances(key).await, reference.instances(key).await)?;
    }
    for id in IDS {
        same("session", store.session(id).await, reference.session(id).await)?;
    }
    same("check", store.check().await, reference.check().await)
}

/// Ends all sessions.
async fn clear(store: &dyn StateStore) {
    let query = SessionQuery { temporary: true, limit: u32::MAX, ..Default::default() };
    for record in store.sessions(&query).await.unwrap() {
        store.delete_session(record.session.key).await.unwrap();
    }
    store.expire(u32::MAX).await.unwrap();
}

async fn step(
    store: &dyn StateStore,
    reference: &Reference,
    keys: &mut Vec<SessionKey>,
    operation: Operation,
) -> Result<(), TestCaseError> {
    let told = format!("{operation:?}");
    let key = |session: usize| keys[session % keys.len()];
    match operation {
        Operation::Create { id, lifetime, temporary, quotas, limit } => {
            let metadata = entries(json!({"n": id}));
            let session = NewSession { lifetime, temporary, quotas, metadata, ..given::new(IDS[id]) };
            keys.push(session.key);
            let answer = store.create_session(session.clone(), limit).await;
            same(&told, answer, reference.create_session(session, limit).await)?;
        }
        Operation::Change { session, change } => {
            let answer = store.update_session(key(session), change.clone()).await;
            same(&told, answer, reference.update_session(key(session), change).await)?;
        }
        Operation::Touch { session } => {
            same(&told, store.touch(key(session)).await, reference.touch(key(session)).await)?;
        }
        Operation::Delete { session } => {
            let answer = store.delete_session(key(session)).await;
            same(&told, answer, reference.delete_session(key(session)).await)?;
        }
        Operation::Expire { limit } => {
            // What is left to sweep is the store's affair, as an end may be noticed earlier.
            let swept = store.expire(limit).await.unwrap();
            reference.expire(limit).await.unwrap();
            prop_assert!(swept.len() <= limit as usize, "{}", told);
            for (key, _) in swept {
                let there = reference.instances(key).await;
                prop_assert!(matches!(there, Err(StoreError::SessionNotFound(_))), "{key} was swept");
            }
        }
        Operation::Commit { session, batch } => {
            let answer = store.commit(key(session), batch.clone()).await;
            same(&told, answer, reference.commit(key(session), batch).await)?;
        }
        Operation::Instance { session, id, put: Some(spec) } => {
            let mut instance = super::sessions::instance(IDS[id]);
            instance.spec = format!("[{spec}]");
            let answer = store.put_instance(key(session), instance.clone()).await;
            same(&told, answer, reference.put_instance(key(session), instance).await)?;
        }
        Operation::Instance { session, id, put: None } => {
            let answer = store.delete_instance(key(session), IDS[id]).await;
            same(&told, answer, reference.delete_instance(key(session), IDS[id]).await)?;
        }
        Operation::List { session, query } => {
            let answer = store.variables(key(session), &query).await;
            same(&told, answer, reference.variables(key(session), &query).await)?;
        }
        Operation::Sessions { query } => {
            same(&told, store.sessions(&query).await, reference.sessions(&query).await)?;
        }
        Operation::Changes { session, after } => {
            let answer = store.changes(key(session), Revision(after), 999).await;
            same(&told, answer, reference.changes(key(session), Revision(after), 999).await)?;
        }
    }
    same(&told, store.totals().await, reference.totals().await)
}

/// Two answers are equal, but for the moments in them.
fn same<T: Timeless + PartialEq + std::fmt::Debug>(
    operation: &str,
    found: Result<T, StoreError>,
    wanted: Result<T, StoreError>,
) -> Result<(), TestCaseError> {
    let timeless = |answer: Result<T, StoreError>| match answer {
        Ok(answer) => Ok(answer.timeless()),
        // What it is called in the error is the store's affair.
        Err(StoreError::SessionNotFound(_)) => Err("SessionNotFound".to_owned()),
        Err(other) => Err(format!("{other:?}")),
    };
    prop_assert_eq!(timeless(found), timeless(wanted), "{}", operation);
    Ok(())
}

/// Without the moments, which differ between two stores.
trait Timeless: Sized {
    fn timeless(self) -> Self {
        self
    }
}

impl Timeless for () {}
impl Timeless for bool {}
impl Timeless for String {}
impl Timeless for Revision {}
impl Timeless for Value {}
impl Timeless for crate::store::Totals {}
impl Timeless for crate::store::Committed {}
impl Timeless for crate::record::InstanceRecord {}

impl Timeless for SessionRecord {
    fn timeless(mut self) -> Self {
        self.created_at = SystemTime::UNIX_EPOCH;
        // Lifetimes are whole hours, far longer than a test.
        self.expires_at = self.expires_at.map(|at| {
            let left = at.duration_since(SystemTime::now()).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::from_secs((left.as_secs() + 1800) / 3600)
        });
        self
    }
}

impl Timeless for VariableRecord {
    fn timeless(mut self) -> Self {
        // Whether the value was set when the variable was made is the store's affair, but it is not before.
        assert!(self.created_at <= self.updated_at);
        self.created_at = SystemTime::UNIX_EPOCH;
        self.updated_at = SystemTime::UNIX_EPOCH;
        self
    }
}

impl Timeless for Change {
    fn timeless(mut self) -> Self {
        self.at = SystemTime::UNIX_EPOCH;
        self
    }
}

impl<T: Timeless> Timeless for Option<T> {
    fn timeless(self) -> Self {
        self.map(T::timeless)
    }
}

impl<T: Timeless> Timeless for Vec<T> {
    fn timeless(self) -> Self {
        self.into_iter().map(T::timeless).collect()
    }
}

impl<A: Timeless, B: Timeless> Timeless for (A, B) {
    fn timeless(self) -> Self {
        (self.0.timeless(), self.1.timeless())
    }
}
