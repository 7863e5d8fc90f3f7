//! What sessions are.

use serde_json::json;

use super::Fixture;
use super::given::*;
use crate::record::{Change, InstanceRecord, Lifetime, NewSession, Quotas, Revision, SessionKey};
use crate::store::{SessionChange, StoreError, VariableQuery};
use crate::value::Value;

pub(super) async fn a_session_comes_back_as_it_was_made(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let new = NewSession {
        metadata: entries(json!({"user": "Łukasz", "n": [1, 2.5, null, {"\u{0}": ""}]})),
        settings: entries(json!({"lm": {"model": "x/y", "temperature": 0.1}})),
        quotas: Quotas { variables: Some(3), bytes: Some(u64::from(u32::MAX)) },
        lifetime: Lifetime::Sliding(std::time::Duration::new(3600, 123)),
        ..new("01J-\u{1F980} id")
    };
    let made = store.create_session(new.clone(), None).await.unwrap();
    assert_eq!(made.session, new);
    assert_eq!((made.revision, made.variables, made.bytes), (Revision(0), 0, 0));
    let ends = made.expires_at.unwrap().duration_since(made.created_at).unwrap();
    assert!((3600..3600 + 3600 / 16 + 5).contains(&ends.as_secs()), "ends after {ends:?}");
    assert_eq!(store.session(&new.id).await.unwrap(), Some(made));
    assert_eq!(store.session("another").await.unwrap(), None);
}

pub(super) async fn an_id_that_lives_is_refused_and_nothing_changes(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    let before = store.session("session").await.unwrap();
    let answer = store.create_session(new("session"), None).await;
    assert!(matches!(&answer, Err(StoreError::SessionExists(id)) if id == "session"), "found {answer:?}");
    assert_eq!(store.session("session").await.unwrap(), before);
    assert_eq!(number(&*store, key, "x").await, 1);
}

pub(super) async fn an_id_at_the_limit_of_sessions_is_told_to_exist_first(fixture: &dyn Fixture) {
    let (store, _) = store_and_session(fixture).await;
    let answer = store.create_session(new("session"), Some(1)).await;
    assert!(matches!(answer, Err(StoreError::SessionExists(_))), "found {answer:?}");
}

pub(super) async fn the_limit_of_sessions_counts_those_that_live(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let temporary = NewSession { temporary: true, ..new("temporary") };
    store.create_session(temporary, Some(2)).await.unwrap();
    store.create_session(with_lifetime("over", fixed(0)), Some(2)).await.unwrap();
    let second = store.create_session(new("second"), Some(2)).await.unwrap();
    let answer = store.create_session(new("third"), Some(2)).await;
    let Err(StoreError::Quota { what, limit, wanted }) = answer else { panic!("found {answer:?}") };
    assert_eq!((what, limit, wanted), ("sessions", 2, 3));
    assert_eq!(store.session("third").await.unwrap(), None);
    assert!(store.delete_session(second.session.key).await.unwrap());
    store.create_session(new("third"), Some(2)).await.unwrap();
}

pub(super) async fn a_session_that_was_deleted_is_gone_with_everything_in_it(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    store.put_instance(key, instance("i")).await.unwrap();
    assert!(store.delete_session(key).await.unwrap());
    assert!(!store.delete_session(key).await.unwrap());
    assert_eq!(store.session("session").await.unwrap(), None);
    missing(store.read(key, "x").await);
    missing(store.instances(key).await);
    assert_eq!(store.totals().await.unwrap(), Default::default());
}

pub(super) async fn an_id_that_is_made_again_has_nothing_of_the_earlier_one(fixture: &dyn Fixture) {
    let (store, earlier) = store_and_session(fixture).await;
    written(&*store, earlier, vec![create("x", Value::Integer(1))]).await;
    store.put_instance(earlier, instance("i")).await.unwrap();
    store.delete_session(earlier).await.unwrap();
    let later = make(&*store, new("session")).await;
    assert_ne!(later.session.key, earlier);
    assert_eq!((later.revision, later.variables, later.bytes), (Revision(0), 0, 0));
    let key = later.session.key;
    assert_eq!(value(&*store, key, "x").await, None);
    assert_eq!(store.history(key, "x", 9).await.unwrap(), Vec::<Change>::new());
    assert_eq!(store.changes(key, Revision(0), 9).await.unwrap(), (Vec::new(), Revision(0)));
    assert_eq!(store.instances(key).await.unwrap(), Vec::new());
    // Nobody who kept the earlier key reaches the later session.
    missing(store.read(earlier, "x").await);
    missing(write(&*store, earlier, vec![put("x", Value::Integer(2))]).await);
    assert!(!store.delete_session(earlier).await.unwrap());
    assert!(store.session("session").await.unwrap().is_some());
}

pub(super) async fn metadata_is_merged_as_rfc_7396_says(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let metadata = entries(json!({"a": {"b": 1, "c": 2}, "gone": 1, "list": [1, 2], "text": "x"}));
    let key = make(&*store, NewSession { metadata, ..new("s") }).await.session.key;
    let patch = entries(json!({
        "a": {"c": null, "d": {"e": null, "f": 3}}, "gone": null, "list": [null], "text": {"now": "a dict"}, "new": 1
    }));
    let change = SessionChange { merge_metadata: Some(patch), ..Default::default() };
    let changed = store.update_session(key, change).await.unwrap();
    let wanted = json!({
        "a": {"b": 1, "d": {"f": 3}}, "list": [null], "text": {"now": "a dict"}, "new": 1
    });
    assert_eq!(changed.session.metadata, entries(wanted));
    assert_eq!(store.session("s").await.unwrap(), Some(changed));
}

pub(super) async fn metadata_is_replaced_as_a_whole(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let metadata = entries(json!({"a": 1}));
    let key = make(&*store, NewSession { metadata, ..new("s") }).await.session.key;
    let replaced = entries(json!({"b": null}));
    let change = SessionChange { replace_metadata: Some(replaced.clone()), ..Default::default() };
    assert_eq!(store.update_session(key, change).await.unwrap().session.metadata, replaced);
    assert_eq!(store.session("s").await.unwrap().unwrap().session.metadata, replaced);
}

pub(super) async fn settings_and_quotas_change_on_their_own(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let session = NewSession {
        metadata: entries(json!({"a": 1})),
        settings: entries(json!({"lm": 1, "adapter": {"x": 1}})),
        lifetime: fixed(3_600_000),
        ..new("s")
    };
    let before = make(&*store, session).await;
    let change = SessionChange {
        merge_settings: Some(entries(json!({"lm": null, "adapter": {"y": 2}}))),
        quotas: Some(Quotas { variables: Some(1), bytes: None }),
        ..Default::default()
    };
    let mut wanted = before.clone();
    wanted.session.settings = entries(json!({"adapter": {"x": 1, "y": 2}}));
    wanted.session.quotas = Quotas { variables: Some(1), bytes: None };
    assert_eq!(store.update_session(before.session.key, change).await.unwrap(), wanted);
    assert_eq!(store.session("s").await.unwrap(), Some(wanted.clone()));
    // A change of nothing changes nothing.
    assert_eq!(record(&*store, before.session.key).await, wanted);
}

pub(super) async fn totals_count_what_lives(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let one = make(&*store, new("one")).await.session.key;
    make(&*store, NewSession { temporary: true, ..new("two") }).await;
    let over = make(&*store, with_lifetime("over", fixed(150))).await.session.key;
    let _ = write(&*store, over, vec![put("x", text("not counted"))]).await;
    written(&*store, one, vec![put("x", text("abc")), put("y", Value::Integer(1)), put("z", text(""))]).await;
    written(&*store, one, vec![put("x", text("ab")), delete("z")]).await;
    store.put_instance(one, instance("i")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.sessions, totals.temporary), (2, 1));
    assert_eq!((totals.variables, totals.bytes, totals.instances), (2, 10, 1));
    let session = store.session("one").await.unwrap().unwrap();
    assert_eq!((session.variables, session.bytes), (2, 10));
}

pub(super) async fn every_method_misses_a_session_that_is_not_there(fixture: &dyn Fixture) {
    let (store, _) = store_and_session(fixture).await;
    let key = SessionKey::generate();
    missing(store.update_session(key, SessionChange::default()).await);
    missing(store.touch(key).await);
    missing(write(&*store, key, vec![put("x", Value::Integer(1))]).await);
    missing(write(&*store, key, vec![]).await);
    missing(store.read(key, "x").await);
    missing(store.read_together(key, &["x".to_owned()]).await);
    missing(store.variable(key, "x").await);
    missing(store.variables(key, &VariableQuery { limit: 9, ..Default::default() }).await);
    missing(store.history(key, "x", 9).await);
    missing(store.changes(key, Revision(0), 9).await);
    missing(store.put_instance(key, instance("i")).await);
    missing(store.instances(key).await);
    missing(store.delete_instance(key, "i").await);
    assert!(!store.delete_session(key).await.unwrap());
}

pub(super) fn instance(id: &str) -> InstanceRecord {
    InstanceRecord {
        id: id.to_owned(),
        class: "dspy.Predict".to_owned(),
        fingerprint: None,
        spec: "{}".to_owned(),
        bindings: json!({}),
    }
}
