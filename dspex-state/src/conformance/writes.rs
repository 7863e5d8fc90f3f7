//! Batches: what they expect, what is refused, and that they are one.

use super::Fixture;
use super::given::*;
use crate::record::{ChangeKind, Revision};
use crate::store::{Batch, Expect, Refusal, Write};
use crate::value::Value;

const ANY: Expect = Expect::Present { version: None, spec: None };

pub(super) async fn what_is_expected_decides_what_is_refused(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let store = &*store;
    written(store, key, vec![create("there", Value::Integer(1))]).await;
    let one = Value::Integer(1);
    let with = |expect, write: Write| vec![Write { expect, ..write }];
    // What is absent.
    refused(store, key, with(ANY, put("x", one.clone())), 0, Refusal::NotFound).await;
    refused(store, key, with(ANY, delete("x")), 0, Refusal::NotFound).await;
    refused(store, key, with(Expect::Anything, delete("x")), 0, Refusal::NotFound).await;
    refused(store, key, with(Expect::Absent, delete("x")), 0, Refusal::NotFound).await;
    let versioned = Expect::Present { version: Some(Revision(1)), spec: None };
    refused(store, key, with(versioned, put("x", one.clone())), 0, Refusal::NotFound).await;
    // What is new needs a spec.
    refused(store, key, with(Expect::Anything, update("x", one.clone())), 0, Refusal::NotFound).await;
    refused(store, key, with(Expect::Absent, update("x", one.clone())), 0, Refusal::NotFound).await;
    // What is there.
    refused(store, key, vec![create("there", one.clone())], 0, Refusal::Exists).await;
    refused(store, key, with(Expect::Absent, delete("there")), 0, Refusal::Exists).await;
    for (expect, write) in [
        (Expect::Anything, update("there", one.clone())),
        (Expect::Anything, put("there", one.clone())),
        (ANY, put("there", one.clone())),
    ] {
        let committed = store.commit(key, Batch::new(with(expect, write))).await.unwrap();
        assert_eq!(committed.kinds, [ChangeKind::Updated]);
    }
    let committed = write(store, key, with(Expect::Anything, put("new", one))).await.unwrap();
    assert_eq!(committed.kinds, [ChangeKind::Created]);
}

pub(super) async fn a_compare_and_set_with_another_version_is_refused(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let first = written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    let second = written(&*store, key, vec![update_if("x", Value::Integer(2), first)]).await;
    let refusal = Refusal::Version { expected: first, found: second };
    refused(&*store, key, vec![update_if("x", Value::Integer(3), first)], 0, refusal).await;
    let expect = Expect::Present { version: Some(first), spec: None };
    refused(&*store, key, vec![Write { expect, ..delete("x") }], 0, refusal).await;
    assert_eq!(number(&*store, key, "x").await, 2);
    let expect = Expect::Present { version: Some(second), spec: None };
    written(&*store, key, vec![Write { expect, ..delete("x") }]).await;
    assert_eq!(value(&*store, key, "x").await, None);
}

pub(super) async fn a_value_for_an_earlier_spec_is_refused(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let first = written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    let second = written(&*store, key, vec![put("x", Value::Integer(2))]).await;
    let held = |version, spec| Write {
        expect: Expect::Present { version, spec: Some(spec) },
        ..update("x", Value::Integer(3))
    };
    let refusal = Refusal::Spec { expected: first, found: second };
    refused(&*store, key, vec![held(None, first)], 0, refusal).await;
    refused(&*store, key, vec![held(Some(second), first)], 0, refusal).await;
    // The version is looked at first.
    let refusal = Refusal::Version { expected: first, found: second };
    refused(&*store, key, vec![held(Some(first), first)], 0, refusal).await;
    written(&*store, key, vec![held(Some(second), second)]).await;
    assert_eq!(number(&*store, key, "x").await, 3);
}

pub(super) async fn a_refusal_names_the_write_and_leaves_nothing_behind(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Integer(1)), create("y", Value::Integer(1))]).await;
    let writes = vec![
        put("x", Value::Integer(2)),
        create("z", Value::Integer(2)),
        delete("y"),
        create("x", Value::Integer(3)),
        update("missing", Value::Integer(3)),
    ];
    refused(&*store, key, writes, 3, Refusal::Exists).await;
    assert_eq!(number(&*store, key, "x").await, 1);
    assert_eq!(number(&*store, key, "y").await, 1);
    assert_eq!(value(&*store, key, "z").await, None);
    assert_eq!(written(&*store, key, vec![put("x", Value::Integer(4))]).await, Revision(2));
}

pub(super) async fn writes_of_a_batch_see_those_before_them(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    use ChangeKind::{Created, Deleted, Updated};
    let one = || Value::Integer(1);
    let writes =
        vec![create("x", one()), update("x", text("two")), delete("x"), create("x", Value::Integer(3))];
    let committed = write(&*store, key, writes).await.unwrap();
    assert_eq!(committed.kinds, [Created, Updated, Deleted, Created]);
    assert_eq!(number(&*store, key, "x").await, 3);
    let record = record(&*store, key).await;
    assert_eq!((record.revision, record.variables, record.bytes), (Revision(1), 1, 8));
    let (changes, _) = store.changes(key, Revision(0), 9).await.unwrap();
    let told: Vec<_> =
        changes.iter().map(|change| (change.place, change.kind, change.value.clone())).collect();
    let wanted = [
        (0, Created, Some(one())),
        (1, Updated, Some(text("two"))),
        (2, Deleted, None),
        (3, Created, Some(Value::Integer(3))),
    ];
    assert_eq!(told, wanted);
    // Made and gone again within a batch.
    let before = store.variable(key, "x").await.unwrap();
    let committed = write(&*store, key, vec![create("y", one()), delete("y")]).await.unwrap();
    assert_eq!(committed.kinds, [Created, Deleted]);
    assert_eq!(store.variable(key, "y").await.unwrap(), None);
    assert_eq!(store.variable(key, "x").await.unwrap(), before);
    // What the batch itself wrote has the batch's version, which is none that anybody saw before.
    let writes = vec![update("x", one()), update_if("x", one(), Revision(1))];
    let refusal = Refusal::Version { expected: Revision(1), found: Revision(3) };
    refused(&*store, key, writes, 1, refusal).await;
    refused(&*store, key, vec![delete("x"), update("x", one())], 1, Refusal::NotFound).await;
    // A variable that was there, went and came back is a new one.
    tokio::time::sleep(std::time::Duration::from_millis(15)).await;
    let committed = write(&*store, key, vec![delete("x"), create("x", one())]).await.unwrap();
    assert_eq!(committed.kinds, [Deleted, Created]);
    let after = store.variable(key, "x").await.unwrap().unwrap();
    assert_eq!((after.version, after.spec_version), (Revision(3), Revision(3)));
    assert!(after.created_at > before.unwrap().created_at);
    // A spec that an earlier write of the batch set stays when a later one sets only the value.
    written(&*store, key, vec![put("x", one()), update("x", Value::Integer(5))]).await;
    let after = store.variable(key, "x").await.unwrap().unwrap();
    assert_eq!((after.spec_version, after.value), (Revision(4), Some(Value::Integer(5))));
}

pub(super) async fn a_batch_has_one_revision(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let names: Vec<String> = (0..100).map(|n| format!("v{n:03}")).collect();
    let writes = names.iter().map(|name| create(name, Value::Boolean(true))).collect();
    let mut batch = Batch::new(writes);
    batch.author = Some("tests".to_owned());
    let committed = store.commit(key, batch).await.unwrap();
    assert_eq!((committed.revision, committed.kinds.len()), (Revision(1), 100));
    for name in &names {
        assert_eq!(store.read(key, name).await.unwrap(), Some((Value::Boolean(true), Revision(1))));
    }
    assert_eq!(store.history(key, "v042", 9).await.unwrap()[0].author.as_deref(), Some("tests"));
    let record = record(&*store, key).await;
    assert_eq!((record.revision, record.variables, record.bytes), (Revision(1), 100, 100));
}

pub(super) async fn an_empty_batch_has_the_sessions_revision_and_changes_nothing(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let empty = write(&*store, key, vec![]).await.unwrap();
    assert_eq!((empty.revision, empty.kinds), (Revision(0), vec![]));
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    assert_eq!(written(&*store, key, vec![]).await, Revision(1));
    assert_eq!(record(&*store, key).await.revision, Revision(1));
    assert_eq!(store.changes(key, Revision(0), 9).await.unwrap().0.len(), 1);
}

pub(super) async fn revisions_of_sessions_do_not_depend_on_one_another(fixture: &dyn Fixture) {
    let (store, one) = store_and_session(fixture).await;
    let other = make(&*store, new("other")).await.session.key;
    written(&*store, one, vec![create("x", Value::Integer(1))]).await;
    written(&*store, one, vec![update("x", Value::Integer(2))]).await;
    assert_eq!(written(&*store, other, vec![create("x", Value::Integer(3))]).await, Revision(1));
    assert_eq!(number(&*store, one, "x").await, 2);
    assert_eq!(number(&*store, other, "x").await, 3);
    assert_eq!(store.changes(other, Revision(0), 9).await.unwrap().0.len(), 1);
}
