//! Closing a store, and opening it again.

use serde_json::json;

use super::Fixture;
use super::given::*;
use super::sessions::instance;
use crate::record::{NewSession, Revision, SessionKey};
use crate::store::{SessionChange, SessionQuery, StoreError, VariableQuery};
use crate::value::Value;

#[track_caller]
fn closed<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Closed)), "found {answer:?}");
}

pub(super) async fn a_closed_store_says_so(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    store.close().await.unwrap();
    closed(store.create_session(new("s"), None).await);
    closed(store.session("session").await);
    closed(store.sessions(&SessionQuery { limit: 9, ..Default::default() }).await);
    closed(store.update_session(key, SessionChange::default()).await);
    closed(store.touch(key).await);
    closed(store.delete_session(key).await);
    closed(store.expire(9).await);
    closed(store.totals().await);
    closed(write(&*store, key, vec![put("x", Value::Integer(1))]).await);
    closed(store.read(key, "x").await);
    closed(store.read_together(key, &["x".to_owned()]).await);
    closed(store.variable(key, "x").await);
    closed(store.variables(key, &VariableQuery { limit: 9, ..Default::default() }).await);
    closed(store.history(key, "x", 9).await);
    closed(store.changes(key, Revision(0), 9).await);
    closed(store.put_instance(key, instance("i")).await);
    closed(store.instances(key).await);
    closed(store.delete_instance(key, "i").await);
    closed(store.check().await);
}

pub(super) async fn what_was_answered_is_there_after_reopening(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let metadata = entries(json!({"user": "x", "n": [1.5]}));
    let session = NewSession { metadata, lifetime: fixed(3_600_000), ..new("s") };
    let key = make(&*store, session).await.session.key;
    make(&*store, with_lifetime("over", fixed(0))).await;
    written(&*store, key, vec![create("x", text("a")), create("y", Value::Integer(1))]).await;
    written(&*store, key, vec![update("x", text("b")), delete("y")]).await;
    store.put_instance(key, instance("i")).await.unwrap();
    let session = store.session("s").await.unwrap();
    let variable = store.variable(key, "x").await.unwrap();
    let changes = store.changes(key, Revision(0), 99).await.unwrap();
    let totals = store.totals().await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let Some(store) = fixture.reopen().await else { return };
    assert_eq!(store.session("s").await.unwrap(), session);
    assert_eq!(store.session("over").await.unwrap(), None);
    assert_eq!(store.variable(key, "x").await.unwrap(), variable);
    assert_eq!(store.changes(key, Revision(0), 99).await.unwrap(), changes);
    assert_eq!(store.history(key, "x", 1).await.unwrap(), changes.0[2..3]);
    assert_eq!(store.instances(key).await.unwrap(), [instance("i")]);
    assert_eq!(store.totals().await.unwrap(), totals);
    assert_eq!(written(&*store, key, vec![update("x", text("c"))]).await, Revision(3));
    let answer = store.create_session(new("s"), None).await;
    assert!(matches!(answer, Err(StoreError::SessionExists(_))), "found {answer:?}");
}

pub(super) async fn temporary_sessions_end_with_their_store(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let temporary = make(&*store, NewSession { temporary: true, ..new("temporary") }).await;
    let key: SessionKey = temporary.session.key;
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    assert!(store.session("temporary").await.unwrap().unwrap().session.temporary);
    make(&*store, new("stays")).await;
    store.close().await.unwrap();
    drop(store);
    let Some(store) = fixture.reopen().await else { return };
    assert_eq!(store.session("temporary").await.unwrap(), None);
    missing(store.read(key, "x").await);
    assert!(store.session("stays").await.unwrap().is_some());
    assert_eq!(store.totals().await.unwrap().temporary, 0);
}

pub(super) async fn a_healthy_store_has_no_damage(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    for n in 0..5 {
        written(&*store, key, vec![put("x", Value::Integer(n)), put(&format!("v{n}"), text("a"))]).await;
    }
    written(&*store, key, vec![delete("v3"), delete("v4")]).await;
    store.put_instance(key, instance("i")).await.unwrap();
    make(&*store, with_lifetime("over", fixed(0))).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}
