//! How much a session may hold.

use super::Fixture;
use super::given::*;
use crate::record::{NewSession, Quotas, SessionKey};
use crate::store::{SessionChange, StateStore, StoreError, Write};
use crate::value::Value;

async fn limited(store: &dyn StateStore, variables: Option<u64>, bytes: Option<u64>) -> SessionKey {
    make(store, NewSession { quotas: Quotas { variables, bytes }, ..new("s") }).await.session.key
}

/// The writes go over the quota, and leave nothing behind.
async fn over(store: &dyn StateStore, key: SessionKey, writes: Vec<Write>, wanted: (&str, u64, u64)) {
    let before = record(store, key).await;
    match write(store, key, writes).await {
        Err(StoreError::Quota { what, limit, wanted: found }) => assert_eq!((what, limit, found), wanted),
        other => panic!("expected {wanted:?}, found {other:?}"),
    }
    assert_eq!(record(store, key).await, before, "what went over a quota left something behind");
}

pub(super) async fn a_quota_of_variables_is_kept(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let key = limited(&*store, Some(2), None).await;
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    let writes = vec![create("y", Value::Integer(1)), create("z", Value::Integer(1))];
    over(&*store, key, writes, ("variables", 2, 3)).await;
    assert_eq!(value(&*store, key, "y").await, None);
    written(&*store, key, vec![create("y", Value::Integer(1))]).await;
    written(&*store, key, vec![update("y", Value::Integer(2))]).await;
    over(&*store, key, vec![put("z", Value::Integer(1))], ("variables", 2, 3)).await;
    written(&*store, key, vec![delete("x")]).await;
    written(&*store, key, vec![put("z", Value::Integer(1))]).await;
}

pub(super) async fn a_quota_of_bytes_counts_what_is_held_now(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let key = limited(&*store, None, Some(10)).await;
    written(&*store, key, vec![create("x", text("1234567890"))]).await;
    // Earlier values do not count.
    for _ in 0..5 {
        written(&*store, key, vec![update("x", text("0987654321"))]).await;
    }
    over(&*store, key, vec![create("y", text("1"))], ("bytes", 10, 11)).await;
    over(&*store, key, vec![update("x", text("12345678901"))], ("bytes", 10, 11)).await;
    written(&*store, key, vec![update("x", text("12345"))]).await;
    written(&*store, key, vec![create("y", text("67890"))]).await;
    written(&*store, key, vec![delete("x")]).await;
    written(&*store, key, vec![create("z", text("12345"))]).await;
    assert_eq!(record(&*store, key).await.bytes, 10);
}

pub(super) async fn a_quota_counts_what_the_whole_batch_leaves(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let key = limited(&*store, Some(1), Some(5)).await;
    written(&*store, key, vec![create("x", text("12345"))]).await;
    written(&*store, key, vec![create("y", text("12345")), delete("x")]).await;
    written(&*store, key, vec![update("y", text("123456")), update("y", text("1"))]).await;
    assert_eq!(value(&*store, key, "y").await, Some(text("1")));
    assert_eq!(value(&*store, key, "x").await, None);
}

pub(super) async fn what_shrinks_is_allowed_even_above_a_quota(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let writes = ["a", "b", "c", "d"].map(|name| create(name, text("12345")));
    written(&*store, key, writes.into()).await;
    let quotas = Some(Quotas { variables: Some(2), bytes: Some(3) });
    let change = SessionChange { quotas, ..Default::default() };
    store.update_session(key, change).await.unwrap();
    written(&*store, key, vec![delete("a")]).await;
    written(&*store, key, vec![update("b", text("1234"))]).await;
    over(&*store, key, vec![create("e", text(""))], ("variables", 2, 4)).await;
    over(&*store, key, vec![update("b", text("12345"))], ("bytes", 3, 15)).await;
}
