//! Instances of DSPy's modules, as data.

use serde_json::json;

use super::Fixture;
use super::given::*;
use super::sessions::instance;
use crate::record::InstanceRecord;

pub(super) async fn an_instance_comes_back_byte_for_byte(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let record = InstanceRecord {
        id: "Frage \u{1F980}".to_owned(),
        class: "dspy.ChainOfThought".to_owned(),
        fingerprint: Some("sha256:00ff".to_owned()),
        // The order of keys, blanks and the way that numbers are written are the program's.
        spec: "{ \"z\":1.0,\n\t\"a\" : [1e2, -0.0, \"\\u0000\"], \"a\": 2}".repeat(1000),
        bindings: json!({"lm.temperature": {"variable": "t"}, "n": [1, 1.5, null]}),
    };
    store.put_instance(key, record.clone()).await.unwrap();
    assert_eq!(store.instances(key).await.unwrap(), [record]);
}

pub(super) async fn an_instance_takes_the_place_of_an_earlier_one(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    for id in ["b", "a", "B"] {
        store.put_instance(key, instance(id)).await.unwrap();
    }
    let mut changed = instance("a");
    changed.spec = "[]".to_owned();
    changed.fingerprint = Some("new".to_owned());
    store.put_instance(key, changed.clone()).await.unwrap();
    assert_eq!(store.instances(key).await.unwrap(), [instance("B"), changed, instance("b")]);
    assert!(store.delete_instance(key, "a").await.unwrap());
    assert!(!store.delete_instance(key, "a").await.unwrap());
    assert_eq!(store.instances(key).await.unwrap(), [instance("B"), instance("b")]);
}

pub(super) async fn instances_are_those_of_their_session(fixture: &dyn Fixture) {
    let (store, one) = store_and_session(fixture).await;
    let other = make(&*store, new("other")).await.session.key;
    store.put_instance(one, instance("i")).await.unwrap();
    assert_eq!(store.instances(other).await.unwrap(), vec![]);
    assert!(!store.delete_instance(other, "i").await.unwrap());
    assert_eq!(store.totals().await.unwrap().instances, 1);
    assert_eq!(record(&*store, one).await.revision.0, 0, "instances are no writes to variables");
}
