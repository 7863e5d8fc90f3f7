//! The log of writes.

use super::Fixture;
use super::given::*;
use crate::record::{Change, ChangeKind, Revision, SessionKey};
use crate::store::{Refusal, StateStore};
use crate::value::Value;

/// What a change is, without its time and its author.
fn told(change: &Change) -> (u64, u32, &str, ChangeKind, Option<Value>) {
    (change.revision.0, change.place, &change.name, change.kind, change.value.clone())
}

/// All changes after a revision, page by page.
pub(super) async fn all(
    store: &dyn StateStore,
    key: SessionKey,
    mut after: Revision,
    limit: u32,
) -> Vec<Change> {
    let mut found = Vec::new();
    loop {
        let (page, revision) = store.changes(key, after, limit).await.unwrap();
        let Some(last) = page.last() else {
            assert_eq!(after, revision, "there are revisions without changes");
            return found;
        };
        assert!(last.revision <= revision, "a change is after the session's revision");
        after = last.revision;
        found.extend(page);
    }
}

pub(super) async fn changes_are_all_writes_in_order(fixture: &dyn Fixture) {
    use ChangeKind::{Created, Deleted, Updated};
    let (store, key) = store_and_session(fixture).await;
    assert_eq!(store.changes(key, Revision(0), 9).await.unwrap(), (vec![], Revision(0)));
    written(&*store, key, vec![create("x", text("a")), create("y", Value::Float(-0.5))]).await;
    written(&*store, key, vec![update("x", text("b"))]).await;
    written(&*store, key, vec![delete("y"), put("x", text("c"))]).await;
    let (changes, revision) = store.changes(key, Revision(0), 100).await.unwrap();
    assert_eq!(revision, Revision(3));
    let wanted = [
        (1, 0, "x", Created, Some(text("a"))),
        (1, 1, "y", Created, Some(Value::Float(-0.5))),
        (2, 0, "x", Updated, Some(text("b"))),
        (3, 0, "y", Deleted, None),
        (3, 1, "x", Updated, Some(text("c"))),
    ];
    assert_eq!(changes.iter().map(told).collect::<Vec<_>>(), wanted);
    assert!(changes.is_sorted_by_key(|change| change.at));
    let (later, revision) = store.changes(key, Revision(2), 100).await.unwrap();
    assert_eq!((later.as_slice(), revision), (&changes[3..], Revision(3)));
    assert_eq!(store.changes(key, Revision(3), 100).await.unwrap(), (vec![], Revision(3)));
}

pub(super) async fn changes_come_in_whole_batches(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    for batch in 0..4 {
        let writes = (0..10).map(|n| put(&format!("v{n}"), Value::Integer(batch))).collect();
        written(&*store, key, writes).await;
    }
    for limit in [0, 1, 9, 10, 11, 25, 40, 1000] {
        let (changes, revision) = store.changes(key, Revision(0), limit).await.unwrap();
        assert_eq!(revision, Revision(4));
        assert!(!changes.is_empty() && changes.len() % 10 == 0, "{} for the limit {limit}", changes.len());
        assert!(changes.len() < limit as usize + 20, "{} for the limit {limit}", changes.len());
    }
}

pub(super) async fn changes_page_by_page_have_neither_gaps_nor_doubles(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    for batch in 0..50_usize {
        let writes = (0..=batch % 4).map(|n| put(&format!("v{n}"), Value::Integer(batch as i64))).collect();
        written(&*store, key, writes).await;
    }
    let whole = all(&*store, key, Revision(0), 1000).await;
    let places: Vec<(u64, u32)> = whole.iter().map(|change| (change.revision.0, change.place)).collect();
    let wanted: Vec<(u64, u32)> =
        (0..50_u64).flat_map(|batch| (0..=batch as u32 % 4).map(move |place| (batch + 1, place))).collect();
    assert_eq!(places, wanted);
    for limit in [0, 1, 2, 3, 7] {
        assert_eq!(all(&*store, key, Revision(0), limit).await, whole, "page by page of {limit}");
    }
}

pub(super) async fn a_history_has_the_latest_change_first(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    for n in 0..6 {
        written(&*store, key, vec![put("x", Value::Integer(n)), put("y", Value::Integer(-n))]).await;
    }
    let history = store.history(key, "x", 4).await.unwrap();
    let told: Vec<_> = history.iter().map(|change| (change.revision.0, change.value.clone())).collect();
    assert_eq!(told, [6, 5, 4, 3].map(|revision| (revision, Some(Value::Integer(revision as i64 - 1)))));
    assert!(history.iter().all(|change| change.name == "x"));
    let whole = store.history(key, "x", 100).await.unwrap();
    assert_eq!((whole.len(), whole[5].kind), (6, ChangeKind::Created));
    assert_eq!(store.history(key, "none", 9).await.unwrap(), vec![]);
}

pub(super) async fn a_history_is_that_of_the_variable_that_is_there(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    written(&*store, key, vec![delete("x")]).await;
    assert_eq!(store.history(key, "x", 9).await.unwrap(), vec![]);
    written(&*store, key, vec![create("x", Value::Integer(3)), update("x", Value::Integer(4))]).await;
    let places = |history: Vec<Change>| -> Vec<(u64, u32)> {
        history.iter().map(|change| (change.revision.0, change.place)).collect()
    };
    assert_eq!(places(store.history(key, "x", 9).await.unwrap()), [(3, 1), (3, 0)]);
    written(&*store, key, vec![delete("x"), create("x", Value::Integer(5))]).await;
    assert_eq!(places(store.history(key, "x", 9).await.unwrap()), [(4, 1)]);
}

pub(super) async fn refused_writes_leave_no_changes(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    let writes = vec![put("y", Value::Integer(2)), create("x", Value::Integer(2))];
    refused(&*store, key, writes, 1, Refusal::Exists).await;
    written(&*store, key, vec![put("x", Value::Integer(3))]).await;
    let changes = all(&*store, key, Revision(0), 100).await;
    let told: Vec<_> = changes.iter().map(|change| (change.revision.0, change.name.as_str())).collect();
    assert_eq!(told, [(1, "x"), (2, "x")]);
    assert_eq!(store.history(key, "y", 9).await.unwrap(), vec![]);
}
