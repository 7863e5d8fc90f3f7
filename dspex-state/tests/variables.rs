//! Variables as programs use them, over the embedded store.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

use dspex_state::store::Retention;
use dspex_state::{
    ChangeKind, Conflict, Embedding, Event, Export, Filter, Lifetime, NewSession, Quotas, Revision,
    SessionKey, SqliteOptions, State, Tensor, Value, VarSpec, VariableError, Variables, Watch,
};
use futures::StreamExt;
use serde_json::{Map, json};

async fn variables() -> Variables {
    variables_with(Retention::default()).await
}

async fn variables_with(retention: Retention) -> Variables {
    let state = State::new(SqliteOptions::new().retention(retention).ephemeral().unwrap());
    session(&state, "a").await
}

async fn session(state: &State, id: &str) -> Variables {
    let session = NewSession {
        key: SessionKey::generate(),
        id: id.to_owned(),
        lifetime: Lifetime::Unlimited,
        temporary: false,
        metadata: Map::new(),
        settings: Map::new(),
        quotas: Quotas::default(),
    };
    state.variables(state.store().create_session(session, None).await.unwrap().session.key)
}

#[tokio::test]
async fn a_variable_is_made_read_set_and_removed() {
    let variables = variables().await;
    let made = variables
        .create("temperature", VarSpec::float().range(0.0..=2.0).describe("how free"), 0.7)
        .await
        .unwrap();
    assert_eq!((made.version, made.value), (Revision(1), Some(Value::Float(0.7))));
    assert_eq!(variables.update("temperature", 0.2).await.unwrap(), Revision(2));
    let read = variables.read::<f64>("temperature").await.unwrap();
    assert_eq!((read.value, read.version), (0.2, Revision(2)));
    let described = variables.describe("temperature").await.unwrap();
    assert_eq!(described.spec.description.as_deref(), Some("how free"));
    assert_eq!(described.spec_version, Revision(1));
    variables.delete("temperature").await.unwrap();
    assert!(matches!(variables.read::<f64>("temperature").await, Err(VariableError::NotFound { .. })));
}

#[tokio::test]
async fn making_one_that_exists_is_an_error_and_upsert_sets_it() {
    let variables = variables().await;
    variables.create("x", VarSpec::integer(), 1).await.unwrap();
    let error = variables.create("x", VarSpec::integer(), 2).await.unwrap_err();
    assert!(matches!(error, VariableError::AlreadyExists(ref name) if name == "x"), "{error}");
    let set = variables.upsert("x", VarSpec::integer().max(5), 3).await.unwrap();
    assert_eq!((set.version, set.spec_version), (Revision(2), Revision(2)));
    assert!(matches!(variables.update("x", 6).await, Err(VariableError::Invalid(_))));
}

#[tokio::test]
async fn a_write_for_an_earlier_version_is_refused() {
    let variables = variables().await;
    let made = variables.create("x", VarSpec::integer(), 1).await.unwrap();
    variables.update("x", 2).if_version(made.version).await.unwrap();
    let error = variables.update("x", 3).if_version(made.version).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the variable `x` has the version 2 by now, not 1; read it again and decide anew"
    );
    assert!(variables.delete("x").if_version(made.version).await.is_err());
    // One that is made anew does not have an earlier one's version.
    variables.delete("x").await.unwrap();
    variables.create("x", VarSpec::integer(), 1).await.unwrap();
    assert!(matches!(
        variables.update("x", 3).if_version(made.version).await,
        Err(VariableError::VersionConflict { .. })
    ));
}

#[tokio::test]
async fn an_update_follows_the_spec_that_another_handle_set() {
    let state = State::new(SqliteOptions::new().ephemeral().unwrap());
    let one = session(&state, "a").await;
    // Another host has a memory of its own.
    let other = State::shared(state.store().clone()).variables(one.session());
    one.create("x", VarSpec::integer().max(5), 1).await.unwrap();
    other.update("x", 2).await.unwrap();
    one.upsert("x", VarSpec::integer().max(50), 3).await.unwrap();
    assert!(
        matches!(other.update("x", 6).await, Err(VariableError::VersionConflict { .. })),
        "refused by the earlier spec"
    );
    other.update("x", 6).await.unwrap();
    one.upsert("x", VarSpec::integer().max(7), 3).await.unwrap();
    assert!(
        matches!(other.update("x", 8).await, Err(VariableError::Invalid(_))),
        "refused by the later spec"
    );
}

#[tokio::test]
async fn names_are_checked_and_a_wrong_one_finds_the_right_one() {
    let variables = variables().await;
    variables.create("temperature", VarSpec::float(), 1).await.unwrap();
    let error = variables.read::<f64>("temprature").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no variable `temprature`; did you mean `temperature`?");
    let error = variables.update("temprature", 1.0).await.unwrap_err();
    assert!(error.to_string().contains("did you mean `temperature`"), "{error}");
    for name in ["", "a\nb", &"x".repeat(257)] {
        assert!(matches!(variables.create(name, VarSpec::float(), 1).await, Err(VariableError::Name(_))));
    }
    variables.create("größe", VarSpec::float(), 1).await.unwrap();
    let error = variables.read::<bool>("größe").await.unwrap_err();
    assert_eq!(error.to_string(), "the variable `größe`: expected a boolean, found the float 1.0");
}

#[tokio::test]
async fn a_batch_is_all_or_nothing() {
    let variables = variables().await;
    variables.create("a", VarSpec::integer(), 1).await.unwrap();
    variables.create("b", VarSpec::integer(), 1).await.unwrap();
    let failed = variables.batch().update("a", 2).create("b", VarSpec::integer(), 2).commit().await;
    assert!(matches!(failed, Err(VariableError::AlreadyExists(_))));
    assert_eq!(variables.read::<i64>("a").await.unwrap().value, 1);
    let failed = variables.batch().update("a", 2).update("b", "x").commit().await;
    assert!(matches!(failed, Err(VariableError::Invalid(_))));
    let written = variables
        .batch()
        .update("a", 2)
        .delete("b")
        .create("c", VarSpec::string(), "x")
        .commit()
        .await
        .unwrap();
    assert_eq!(written.kinds, [ChangeKind::Updated, ChangeKind::Deleted, ChangeKind::Created]);
    for name in ["a", "c"] {
        assert_eq!(variables.describe(name).await.unwrap().version, written.revision);
    }
    let stale = variables.batch().update_if("a", Revision(1), 3).commit().await;
    assert!(matches!(stale, Err(VariableError::VersionConflict { .. })));
}

#[tokio::test]
async fn the_history_goes_back_and_a_rollback_is_a_write() {
    let variables = variables().await;
    variables.create("x", VarSpec::integer(), 1).await.unwrap();
    variables.update("x", 2).author("ana").await.unwrap();
    variables.update("x", 3).await.unwrap();
    let history = variables.history("x", 2).await.unwrap();
    let told: Vec<_> =
        history.iter().map(|change| (change.value.clone().unwrap(), change.author.as_deref())).collect();
    assert_eq!(told, [(Value::Integer(3), None), (Value::Integer(2), Some("ana"))]);
    assert_eq!(variables.rollback("x", Revision(2)).await.unwrap(), Revision(4));
    assert_eq!(variables.read::<i64>("x").await.unwrap().value, 2);
    let error = variables.rollback("x", Revision(77)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the variable `x` has no version 77 in its history; the oldest that is kept is 1"
    );
    variables.upsert("x", VarSpec::integer().max(2), 2).await.unwrap();
    assert!(matches!(variables.rollback("x", Revision(3)).await, Err(VariableError::Invalid(_))));
}

#[tokio::test]
async fn variables_are_listed_in_pages_and_by_globs() {
    let variables = variables().await;
    let mut batch = variables.batch();
    for index in 0..250 {
        batch = batch.create(format!("v{index:03}"), VarSpec::integer(), index);
    }
    batch.create("100%_[a]", VarSpec::integer(), 0).commit().await.unwrap();
    let first = variables.list(&Filter::glob("v*"), None).await.unwrap();
    assert_eq!((first.len(), first[0].name.as_str(), &first[0].value), (100, "v000", &None));
    let rest = variables.list(&Filter::glob("v*"), Some("v199")).await.unwrap();
    assert_eq!(rest.len(), 50);
    assert_eq!(variables.read_all(&Filter::all()).await.unwrap().len(), 251);
    assert_eq!(variables.list(&Filter::glob("*%_[a]"), None).await.unwrap().len(), 1);
    assert_eq!(variables.list(&Filter::names(["v001", "v249", "none"]), None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_export_comes_back_as_it_was() {
    let variables = variables().await;
    let batch = variables.batch();
    batch
        .create("f", VarSpec::float().range(0.0..=1.0).metadata("by", "ana"), 0.1)
        .create("big", VarSpec::integer(), 9_007_199_254_740_993_i64)
        .create("t", VarSpec::tensor(), Tensor::new([2], vec![f32::NAN, 1.5]).unwrap())
        .create("e", VarSpec::embedding().dimensions(2), Embedding::from(vec![0.1, -0.0]))
        .create("d", VarSpec::dict(), json!({"a": [1, null]}))
        .commit()
        .await
        .unwrap();
    let export = variables.export().await.unwrap();
    let document = serde_json::to_string(&export).unwrap();
    let read: Export = serde_json::from_str(&document).unwrap();
    let other = session(variables.state(), "b").await;

    let planned = other.import(&read).dry_run().run().await.unwrap();
    assert_eq!((planned.created.len(), planned.revision), (5, None));
    assert!(other.list(&Filter::all(), None).await.unwrap().is_empty());
    other.import(&read).run().await.unwrap();
    assert_eq!(serde_json::to_string(&other.export().await.unwrap()).unwrap(), document);
    let tensor: Tensor = other.read("t").await.unwrap().value;
    assert!(tensor.as_slice::<f32>().unwrap()[0].is_nan());

    assert!(matches!(other.import(&read).run().await, Err(VariableError::AlreadyExists(_))));
    let kept = other.import(&read).on_conflict(Conflict::Keep).run().await.unwrap();
    assert_eq!((kept.kept.len(), kept.revision), (5, None));
    other.update("f", 0.9).await.unwrap();
    other.import(&read).on_conflict(Conflict::Replace).run().await.unwrap();
    assert_eq!(other.read::<f64>("f").await.unwrap().value, 0.1);
}

#[tokio::test]
async fn an_import_that_does_not_hold_writes_nothing() {
    let variables = variables().await;
    let refused = async |document: serde_json::Value| {
        let export: Export = serde_json::from_value(document).unwrap();
        let error = variables.import(&export).run().await.unwrap_err();
        assert!(variables.list(&Filter::all(), None).await.unwrap().is_empty());
        error.to_string()
    };
    let with = |more: serde_json::Value| json!({"format": 1, "variables": [{"name": "a", "spec": "integer", "value": 1}, more]});
    assert!(refused(json!({"format": 2, "variables": []})).await.contains("its format is 2"));
    assert!(refused(with(json!({"name": "b", "spec": "integer", "value": "x"}))).await.contains("`b`"));
    assert!(refused(with(json!({"name": "a", "spec": "integer", "value": 1}))).await.contains("there twice"));
    let torn = json!({"dtype": "float32", "shape": [2], "base64": "AAAA"});
    assert!(refused(with(json!({"name": "t", "spec": "tensor", "value": torn}))).await.contains("3 bytes"));
    assert!(
        serde_json::from_value::<Export>(
            json!({"format": 1, "variables": [{"name": "a", "spec": {"type": "x"}, "value": 1}]})
        )
        .is_err()
    );
}

/// The next event as text.
async fn next(watch: &mut Watch) -> String {
    match watch.next().await.unwrap().unwrap() {
        Event::Changed(change) => {
            let value = change.value.map_or(String::new(), |value| format!(" {}", value.to_json()));
            format!(
                "{} {}{value} at {}",
                change.name,
                serde_json::to_value(change.kind).unwrap().as_str().unwrap(),
                change.revision
            )
        }
        Event::Current(record) => format!("{} is {}", record.name, record.value.unwrap().to_json()),
        Event::Synced(revision) => format!("synced {revision}"),
        Event::Lagged { after } => format!("lagged after {after}"),
        Event::SessionClosed => "closed".to_owned(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_tells_changes_in_order_with_their_revisions() {
    let variables = variables().await;
    variables.create("before", VarSpec::integer(), 0).await.unwrap();
    let mut watch = variables.watch(Filter::glob("temp*")).await.unwrap();
    variables.create("temperature", VarSpec::float(), 0.5).await.unwrap();
    variables.update("before", 1).await.unwrap();
    variables
        .batch()
        .update("temperature", 0.6)
        .create("temp", VarSpec::integer(), 1)
        .commit()
        .await
        .unwrap();
    variables.delete("temp").await.unwrap();
    for expected in [
        "temperature created 0.5 at 2",
        "temperature updated 0.6 at 4",
        "temp created 1 at 4",
        "temp deleted at 5",
    ] {
        assert_eq!(next(&mut watch).await, expected);
    }
}

#[tokio::test]
async fn a_watch_begins_with_what_is_there_if_asked() {
    let variables = variables().await;
    variables.create("a", VarSpec::integer(), 1).await.unwrap();
    variables.create("b", VarSpec::integer(), 2).await.unwrap();
    let mut watch = variables.watch(Filter::all()).initial_values().await.unwrap();
    for expected in ["a is 1", "b is 2", "synced 2"] {
        assert_eq!(next(&mut watch).await, expected);
    }
    variables.update("a", 3).await.unwrap();
    assert_eq!(next(&mut watch).await, "a updated 3 at 3");
}

#[tokio::test]
async fn a_watch_resumes_from_a_revision_without_a_gap() {
    let variables = variables().await;
    for value in 0..5 {
        variables.upsert("x", VarSpec::integer(), value).await.unwrap();
    }
    let mut watch = variables.watch(Filter::all()).from_revision(Revision(3)).await.unwrap();
    assert_eq!(next(&mut watch).await, "x updated 3 at 4");
    assert_eq!(next(&mut watch).await, "x updated 4 at 5");
}

#[tokio::test]
async fn a_watch_that_is_too_slow_is_told_so_and_is_in_step_again() {
    let variables = variables_with(Retention::default().revisions(4).history(1)).await;
    let mut watch = variables.watch(Filter::all()).await.unwrap();
    variables.create("gone", VarSpec::integer(), 0).await.unwrap();
    assert_eq!(next(&mut watch).await, "gone created 0 at 1");
    for value in 0..50 {
        variables.upsert("x", VarSpec::integer(), value).await.unwrap();
    }
    variables.delete("gone").await.unwrap();
    for expected in ["lagged after 1", "x is 49", "synced 52"] {
        assert_eq!(next(&mut watch).await, expected);
    }
    variables.update("x", 50).await.unwrap();
    assert_eq!(next(&mut watch).await, "x updated 50 at 53");
}

#[tokio::test]
async fn a_watch_ends_with_its_session() {
    let variables = variables().await;
    let mut watch = variables.watch(Filter::all()).await.unwrap();
    let deleted = variables.clone();
    let waiting = tokio::spawn(async move { (next(&mut watch).await, watch.next().await.is_none()) });
    tokio::task::yield_now().await;
    deleted.state().store().delete_session(deleted.session()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), ("closed".to_owned(), true));
    assert!(matches!(variables.watch(Filter::all()).await, Err(VariableError::Store(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_compare_and_set_loses_no_update() {
    let variables = variables().await;
    variables.create("count", VarSpec::integer(), 0).await.unwrap();
    let writers: Vec<_> = (0..16)
        .map(|_| {
            let variables = variables.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    loop {
                        let count = variables.read::<i64>("count").await.unwrap();
                        match variables.update("count", count.value + 1).if_version(count.version).await {
                            Ok(_) => break,
                            Err(VariableError::VersionConflict { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(variables.read::<i64>("count").await.unwrap().value, 16 * 25);
}
