//! How long the log is kept.

use std::time::Duration;

use super::Fixture;
use super::changes::all;
use super::given::*;
use crate::record::{Revision, SessionKey};
use crate::store::{Retention, StateStore, StoreError};
use crate::value::Value;

/// Writes so often to one variable.
async fn write_often(store: &dyn StateStore, key: SessionKey, name: &str, times: i64) {
    for n in 0..times {
        written(store, key, vec![put(name, Value::Integer(n))]).await;
    }
}

/// After which revision there are changes, where those after 0 are not kept any more.
async fn oldest(store: &dyn StateStore, key: SessionKey) -> Revision {
    match store.changes(key, Revision(0), 9).await {
        Err(StoreError::Compacted { after, oldest }) => {
            assert_eq!(after, Revision(0));
            oldest
        }
        other => panic!("expected that changes are not kept, found {other:?}"),
    }
}

fn few(revisions: u64) -> Retention {
    Retention::default().revisions(revisions).history(3)
}

async fn opened(fixture: &dyn Fixture, retention: Retention) -> (Store, SessionKey) {
    let store = fixture.open(retention).await;
    let key = make(&*store, new("s")).await.session.key;
    (store, key)
}

pub(super) async fn changes_that_are_not_kept_are_told_to_be_compacted(fixture: &dyn Fixture) {
    let (store, key) = opened(fixture, few(10)).await;
    write_often(&*store, key, "x", 60).await;
    let oldest = oldest(&*store, key).await;
    assert!((1..=50).contains(&oldest.0), "after {oldest}");
    let kept = all(&*store, key, oldest, 7).await;
    let revisions: Vec<u64> = kept.iter().map(|change| change.revision.0).collect();
    assert_eq!(revisions, (oldest.0 + 1..=60).collect::<Vec<_>>());
    let earlier = store.changes(key, Revision(oldest.0 - 1), 9).await;
    assert!(matches!(earlier, Err(StoreError::Compacted { .. })), "found {earlier:?}");
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

pub(super) async fn the_latest_revisions_are_always_kept(fixture: &dyn Fixture) {
    let (store, key) = opened(fixture, few(10)).await;
    for n in 1..=40_u64 {
        write_often(&*store, key, "x", 1).await;
        let (changes, revision) = store.changes(key, Revision(n.saturating_sub(10)), 100).await.unwrap();
        assert_eq!((changes.len() as u64, revision.0), (n.min(10), n));
    }
}

pub(super) async fn changes_that_are_too_many_bytes_are_compacted(fixture: &dyn Fixture) {
    let (store, key) = opened(fixture, Retention::default().bytes(10_000).history(2)).await;
    let long = "x".repeat(1000);
    for n in 1..=40_u64 {
        written(&*store, key, vec![put("x", text(&long))]).await;
        let (changes, _) = store.changes(key, Revision(n.saturating_sub(9)), 100).await.unwrap();
        assert_eq!(changes.len() as u64, n.min(9));
    }
    let oldest = oldest(&*store, key).await;
    assert!(oldest.0 >= 1, "after {oldest}");
    // What is old goes too.
    let (store, key) = opened(fixture, few(40).age(Duration::from_millis(100))).await;
    write_often(&*store, key, "x", 3).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    write_often(&*store, key, "x", 30).await;
    let oldest = self::oldest(&*store, key).await;
    assert!(oldest.0 >= 3, "after {oldest}");
}

pub(super) async fn a_history_of_a_living_variable_outlives_the_log(fixture: &dyn Fixture) {
    let (store, key) = opened(fixture, few(10)).await;
    write_often(&*store, key, "rare", 2).await;
    write_often(&*store, key, "rarer", 1).await;
    write_often(&*store, key, "gone", 5).await;
    written(&*store, key, vec![delete("gone")]).await;
    write_often(&*store, key, "busy", 80).await;
    oldest(&*store, key).await;
    let numbers = |changes: Vec<crate::record::Change>| -> Vec<Option<Value>> {
        changes.into_iter().map(|change| change.value).collect()
    };
    let whole = |wanted: &[i64]| -> Vec<Option<Value>> {
        wanted.iter().map(|number| Some(Value::Integer(*number))).collect()
    };
    assert_eq!(numbers(store.history(key, "rare", 99).await.unwrap()), whole(&[1, 0]));
    assert_eq!(numbers(store.history(key, "rarer", 99).await.unwrap()), whole(&[0]));
    let busy = numbers(store.history(key, "busy", 99).await.unwrap());
    assert_eq!(busy[..3], whole(&[79, 78, 77]));
    assert!(busy.len() < 80, "{} changes are kept", busy.len());
    assert_eq!(store.history(key, "gone", 99).await.unwrap(), vec![]);
    assert_eq!(number(&*store, key, "rare").await, 1);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}
