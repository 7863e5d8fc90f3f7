//! What most cases begin with, and how they ask.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::Fixture;
use crate::record::{Lifetime, NewSession, Quotas, Revision, SessionKey, SessionRecord};
use crate::spec::Spec;
use crate::store::{
    Action, Answer, Batch, Committed, Expect, Refusal, Retention, SessionChange, StateStore, StoreError,
    Write,
};
use crate::value::{Type, Value};

pub(super) type Store = Arc<dyn StateStore>;

/// An empty store.
pub(super) async fn store(fixture: &dyn Fixture) -> Store {
    fixture.open(Retention::default()).await
}

/// An empty store with an empty session.
pub(super) async fn store_and_session(fixture: &dyn Fixture) -> (Store, SessionKey) {
    let store = store(fixture).await;
    let key = make(&*store, new("session")).await.session.key;
    (store, key)
}

pub(super) fn new(id: &str) -> NewSession {
    NewSession {
        key: SessionKey::generate(),
        id: id.to_owned(),
        lifetime: Lifetime::Unlimited,
        temporary: false,
        metadata: Map::new(),
        settings: Map::new(),
        quotas: Quotas::default(),
    }
}

pub(super) fn with_lifetime(id: &str, lifetime: Lifetime) -> NewSession {
    NewSession { lifetime, ..new(id) }
}

pub(super) fn fixed(millis: u64) -> Lifetime {
    Lifetime::Fixed(Duration::from_millis(millis))
}

pub(super) async fn make(store: &dyn StateStore, session: NewSession) -> SessionRecord {
    store.create_session(session, None).await.unwrap()
}

/// The entries of a JSON object.
pub(super) fn entries(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(entries) => entries,
        other => panic!("{other} is no object"),
    }
}

/// A spec for a value of this type.
pub(super) fn spec(kind: Type) -> Spec {
    let constraints = match kind {
        Type::Choice => json!({"choices": ["a", "b"]}),
        Type::Integer => json!({"min": i64::MIN, "max": i64::MAX}),
        Type::String => json!({"max_length": 100_000_000}),
        _ => json!({}),
    };
    let spec = json!({"type": kind.name(), "constraints": constraints, "description": "ein Wert", "metadata": {"a": [1.5]}});
    Spec::from_json(spec).unwrap()
}

fn boxed(kind: Type) -> Option<Box<Spec>> {
    Some(Box::new(spec(kind)))
}

pub(super) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A write of a value with its spec, whatever is there.
pub(super) fn put(name: &str, value: Value) -> Write {
    let spec = boxed(value.kind());
    Write { name: name.to_owned(), expect: Expect::Anything, action: Action::Set { value, spec } }
}

/// A write of a variable that is not there yet.
pub(super) fn create(name: &str, value: Value) -> Write {
    Write { expect: Expect::Absent, ..put(name, value) }
}

/// A write of a value to a variable that is there.
pub(super) fn update(name: &str, value: Value) -> Write {
    let expect = Expect::Present { version: None, spec: None };
    Write { name: name.to_owned(), expect, action: Action::Set { value, spec: None } }
}

/// A write of a value to a variable that has this version.
pub(super) fn update_if(name: &str, value: Value, version: Revision) -> Write {
    Write { expect: Expect::Present { version: Some(version), spec: None }, ..update(name, value) }
}

pub(super) fn delete(name: &str) -> Write {
    Write { name: name.to_owned(), expect: Expect::Anything, action: Action::Delete }
}

pub(super) fn write(store: &dyn StateStore, key: SessionKey, writes: Vec<Write>) -> Answer<'_, Committed> {
    store.commit(key, Batch::new(writes))
}

/// The revision of a batch that is written for sure.
pub(super) async fn written(store: &dyn StateStore, key: SessionKey, writes: Vec<Write>) -> Revision {
    write(store, key, writes).await.unwrap().revision
}

/// What a variable holds, if it is there.
pub(super) async fn value(store: &dyn StateStore, key: SessionKey, name: &str) -> Option<Value> {
    store.read(key, name).await.unwrap().map(|(value, _)| value)
}

/// An integer that a variable holds.
pub(super) async fn number(store: &dyn StateStore, key: SessionKey, name: &str) -> i64 {
    match value(store, key, name).await {
        Some(Value::Integer(number)) => number,
        other => panic!("{name} holds {other:?}"),
    }
}

/// The session of a key, by an update that changes nothing.
pub(super) async fn record(store: &dyn StateStore, key: SessionKey) -> SessionRecord {
    store.update_session(key, SessionChange::default()).await.unwrap()
}

/// The writes are refused at this place, for this reason, and leave nothing behind.
pub(super) async fn refused(
    store: &dyn StateStore,
    key: SessionKey,
    writes: Vec<Write>,
    place: usize,
    refusal: Refusal,
) {
    let before = record(store, key).await;
    let name = writes[place].name.clone();
    match write(store, key, writes).await {
        Err(StoreError::Refused { place: at, name: of, refusal: why }) => {
            assert_eq!((at, of, why), (place, name, refusal));
        }
        other => panic!("expected {refusal:?} at {place}, found {other:?}"),
    }
    assert_eq!(record(store, key).await, before, "a refused batch left something behind");
}

/// The session is not there.
#[track_caller]
pub(super) fn missing<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::SessionNotFound(_))), "found {answer:?}");
}
