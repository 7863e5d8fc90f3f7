//! What variables are.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::Fixture;
use super::given::*;
use crate::record::{ChangeKind, Revision};
use crate::spec::Spec;
use crate::store::{Action, Refusal};
use crate::value::{Type, Value};

pub(super) async fn a_variable_comes_back_as_it_was_written(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let committed = write(&*store, key, vec![create("x", text("abc"))]).await.unwrap();
    assert_eq!((committed.revision, committed.kinds), (Revision(1), vec![ChangeKind::Created]));
    assert_eq!(store.read(key, "x").await.unwrap(), Some((text("abc"), Revision(1))));
    let variable = store.variable(key, "x").await.unwrap().unwrap();
    assert_eq!(variable.name, "x");
    assert_eq!((variable.spec, variable.spec_version), (spec(Type::String), Revision(1)));
    assert_eq!((variable.value, variable.version, variable.bytes), (Some(text("abc")), Revision(1), 3));
    assert_eq!(variable.created_at, variable.updated_at);
    let age = SystemTime::now().duration_since(variable.created_at).unwrap_or_default();
    assert!(age < Duration::from_secs(60), "made {age:?} ago");
    assert_eq!(store.read(key, "y").await.unwrap(), None);
    assert_eq!(store.variable(key, "y").await.unwrap(), None);
}

pub(super) async fn versions_are_the_revisions_of_their_writes(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    for (revision, name) in [(1, "x"), (2, "y"), (3, "x"), (4, "y"), (5, "x")] {
        assert_eq!(written(&*store, key, vec![put(name, Value::Integer(revision))]).await.0, revision as u64);
    }
    assert_eq!(store.read(key, "x").await.unwrap(), Some((Value::Integer(5), Revision(5))));
    assert_eq!(store.read(key, "y").await.unwrap(), Some((Value::Integer(4), Revision(4))));
    assert_eq!(record(&*store, key).await.revision, Revision(5));
}

pub(super) async fn a_version_is_never_given_twice(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let first = written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    let gone = written(&*store, key, vec![delete("x")]).await;
    let again = written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    assert!(first < gone && gone < again, "{first}, {gone}, {again}");
    // Who read the first one must not overwrite the second, though the value is the same.
    let refusal = Refusal::Version { expected: first, found: again };
    refused(&*store, key, vec![update_if("x", Value::Integer(2), first)], 0, refusal).await;
    written(&*store, key, vec![update_if("x", Value::Integer(2), again)]).await;
    assert_eq!(number(&*store, key, "x").await, 2);
}

pub(super) async fn an_update_without_a_spec_keeps_the_spec_and_its_version(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Float(1.0))]).await;
    let before = store.variable(key, "x").await.unwrap().unwrap();
    sleep(Duration::from_millis(15)).await;
    let committed = write(&*store, key, vec![update("x", Value::Float(2.0))]).await.unwrap();
    assert_eq!(committed.kinds, [ChangeKind::Updated]);
    let after = store.variable(key, "x").await.unwrap().unwrap();
    assert_eq!((after.version, after.value), (Revision(2), Some(Value::Float(2.0))));
    assert_eq!((&after.spec, after.spec_version), (&before.spec, Revision(1)));
    assert_eq!(after.created_at, before.created_at);
    assert!(after.updated_at > before.updated_at);
}

pub(super) async fn a_new_spec_has_a_version_of_its_own(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Float(1.0))]).await;
    written(&*store, key, vec![update("x", Value::Float(2.0))]).await;
    let bare = Spec::from_json("float".into()).unwrap();
    let mut write = update("x", Value::Float(3.0));
    write.action = Action::Set { value: Value::Float(3.0), spec: Some(Box::new(bare.clone())) };
    written(&*store, key, vec![write]).await;
    let variable = store.variable(key, "x").await.unwrap().unwrap();
    assert_eq!((variable.spec, variable.spec_version), (bare, Revision(3)));
    assert_eq!(variable.version, Revision(3));
}

pub(super) async fn a_deleted_variable_is_gone(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", text("abc")), create("y", text("d"))]).await;
    let committed = write(&*store, key, vec![delete("x")]).await.unwrap();
    assert_eq!((committed.revision, committed.kinds), (Revision(2), vec![ChangeKind::Deleted]));
    assert_eq!(store.read(key, "x").await.unwrap(), None);
    assert_eq!(store.variable(key, "x").await.unwrap(), None);
    let record = record(&*store, key).await;
    assert_eq!((record.variables, record.bytes), (1, 1));
    refused(&*store, key, vec![delete("x")], 0, Refusal::NotFound).await;
}

pub(super) async fn variables_are_read_together_in_the_order_that_was_asked_for(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Integer(1)), create("y", text("a"))]).await;
    written(&*store, key, vec![update("y", text("b"))]).await;
    let names = ["y", "none", "x", "y"].map(str::to_owned);
    let (x, y) = ((Value::Integer(1), Revision(1)), (text("b"), Revision(2)));
    let wanted = [Some(y.clone()), None, Some(x), Some(y)];
    assert_eq!(store.read_together(key, &names).await.unwrap(), wanted);
    assert_eq!(store.read_together(key, &names[1..2]).await.unwrap(), [None]);
    assert_eq!(store.read_together(key, &[]).await.unwrap(), []);
}

pub(super) async fn names_are_compared_as_they_are_written(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    // A letter with its accent as one code point and as two, capitals, and blanks are all different.
    let names = ["\u{e9}", "e\u{301}", "E", "e", " e", "e ", "", "'; drop table variable; --"];
    let numbered = || names.iter().zip(0..);
    written(&*store, key, numbered().map(|(name, n)| create(name, Value::Integer(n))).collect()).await;
    for (name, wanted) in numbered() {
        assert_eq!(number(&*store, key, name).await, wanted, "{name:?}");
    }
}

pub(super) async fn a_description_may_be_longer_than_a_page(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let mut long = spec(Type::String);
    long.description = Some("so und so ".repeat(3000));
    let mut write = create("x", text("abc"));
    write.action = Action::Set { value: text("abc"), spec: Some(Box::new(long.clone())) };
    written(&*store, key, vec![write]).await;
    assert_eq!(store.variable(key, "x").await.unwrap().unwrap().spec, long);
}
