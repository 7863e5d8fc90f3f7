//! Sessions: their ids and ends, what they hold and how much, and what of them is there after a restart.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::{builder, eventually, start_without_lm};
use dspex::prelude::*;
use dspex::state::store::{StateStore, StoreError};
use dspex::state::{Event, Filter, Lifetime, Quotas, Value, VarSpec, VariableError};
use dspex::testing::ScriptedLm;
use dspex::{Binding, Carrier, SessionFilter, SessionId};
use futures::StreamExt;
use serde_json::json;

/// Answer a question.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Answer {
    #[input]
    question: String,
    #[output]
    answer: String,
}

/// Judge a question.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Judge {
    #[input]
    question: String,
    #[output]
    fair: bool,
}

fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_have_ids_and_ends() {
    let dspex = start_without_lm(Carrier::Framed).await;
    let sessions = dspex.sessions();
    let named = sessions.create("tenant", SessionConfig::new()).await.unwrap();
    assert!(matches!(sessions.create("tenant", SessionConfig::new()).await, Err(Error::SessionExists(_))));
    assert_eq!(sessions.get("tenant").await.unwrap().id(), named.id());
    assert_eq!(sessions.get_or_create("tenant", SessionConfig::new()).await.unwrap().id(), "tenant");
    let generated = sessions.create(SessionId::generate(), SessionConfig::new()).await.unwrap();
    assert_eq!(generated.id().len(), 26);
    assert!(matches!(sessions.create("", SessionConfig::new()).await, Err(Error::SessionName(_))));

    sessions.delete("tenant").await.unwrap();
    assert!(matches!(sessions.get("tenant").await, Err(Error::SessionNotFound(_))));
    assert!(matches!(sessions.delete("tenant").await, Err(Error::SessionNotFound(_))));
    // One that is made again has nothing of the earlier one, and the earlier one's handle does not reach it.
    let again = sessions.create("tenant", SessionConfig::new()).await.unwrap();
    again.variables().create("x", VarSpec::integer(), 1).await.unwrap();
    let error = Error::from(named.variables().read::<i64>("x").await.unwrap_err());
    assert!(matches!(error, Error::SessionNotFound(ref id) if id == "tenant"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_merged_or_replaced() {
    let dspex = start_without_lm(Carrier::Framed).await;
    let config = SessionConfig::new()
        .metadata("project", "triage")
        .metadata("plan", json!({"name": "pro", "seats": 3}));
    let session = dspex.sessions().create("a", config).await.unwrap();
    let info = session.update_metadata(object(json!({"project": null, "plan": {"seats": 4}}))).await.unwrap();
    assert_eq!(json!(info.metadata), json!({"plan": {"name": "pro", "seats": 4}}));
    let info = session.replace_metadata(object(json!({"a": 1}))).await.unwrap();
    assert_eq!(json!(info.metadata), json!({"a": 1}));
    assert_eq!(session.info().await.unwrap(), info);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_listed_in_pages_and_counted() {
    let dspex = start_without_lm(Carrier::Framed).await;
    let sessions = dspex.sessions();
    for id in ["a1", "a2", "a3", "b1"] {
        let config = SessionConfig::new().metadata("even", id.ends_with('2'));
        sessions.create(id, config).await.unwrap();
    }
    let ids = async |filter| {
        sessions.list(filter).await.unwrap().into_iter().map(|info| info.id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(SessionFilter::new()).await, "a1 a2 a3 b1");
    assert_eq!(ids(SessionFilter::new().prefix("a").limit(2)).await, "a1 a2");
    assert_eq!(ids(SessionFilter::new().prefix("a").after("a2")).await, "a3");
    assert_eq!(ids(SessionFilter::new().metadata("even", true)).await, "a2");

    // A temporary session is in the store only once it has something there, and is gone with its last handle.
    let temporary = dspex.session();
    assert_eq!(sessions.stats().await.unwrap().temporary, 0);
    temporary.variables().create("x", VarSpec::string(), "abc").await.unwrap();
    let stats = sessions.stats().await.unwrap();
    assert_eq!((stats.sessions, stats.temporary, stats.variables, stats.bytes, stats.calls), (5, 1, 1, 3, 0));
    let other = temporary.clone();
    drop(temporary);
    assert_eq!(sessions.stats().await.unwrap().temporary, 1);
    drop(other);
    for _ in 0..1000 {
        if sessions.stats().await.unwrap().temporary == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the temporary session stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_are_typed_errors() {
    let quotas = Quotas { variables: Some(1), bytes: None };
    let dspex = builder(Carrier::Framed).max_sessions(2).session_quotas(quotas).start().await.unwrap();
    let sessions = dspex.sessions();
    let session = sessions.create("a", SessionConfig::new()).await.unwrap();
    session.variables().create("x", VarSpec::string(), "x").await.unwrap();
    let error = session.variables().create("y", VarSpec::string(), "y").await.unwrap_err();
    assert_eq!(error.to_string(), "the quota of 1 variables does not allow 2");
    let own = SessionConfig::new().quotas(Quotas { variables: None, bytes: Some(10) });
    let other = sessions.create("b", own).await.unwrap();
    let error = other.variables().create("long", VarSpec::string(), "01234567890").await.unwrap_err();
    assert!(
        matches!(error, VariableError::Store(StoreError::Quota { what: "bytes", limit: 10, wanted: 11 })),
        "{error}"
    );
    let error = sessions.create("c", SessionConfig::new()).await.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Quota { what: "sessions", .. })), "{error}");
    // One that exists is reached all the same.
    sessions.get_or_create("a", SessionConfig::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_when_its_time_is_over_and_use_renews_it() {
    let dspex = builder(Carrier::Framed).sweep_every(Duration::from_millis(50)).start().await.unwrap();
    let sessions = dspex.sessions();
    // Long enough that a busy disk does not end what is used.
    let ttl = Duration::from_millis(2500);
    let used = sessions.create("used", SessionConfig::new().ttl(ttl)).await.unwrap();
    let fixed = sessions.create("fixed", SessionConfig::new().fixed_ttl(ttl)).await.unwrap();
    used.variables().create("x", VarSpec::integer(), 1).await.unwrap();
    let mut watch = fixed.variables().watch(Filter::all()).await.unwrap();
    let begun = std::time::Instant::now();
    while begun.elapsed() < 2 * ttl {
        used.variables().read::<i64>("x").await.unwrap();
        // Using one that ends at a fixed time does not renew it.
        let _ = fixed.variables().list(&Filter::all(), None).await;
        tokio::time::sleep(ttl / 20).await;
    }
    assert!(matches!(sessions.get("fixed").await, Err(Error::SessionNotFound(_))));
    assert!(matches!(watch.next().await, Some(Ok(Event::SessionClosed))));
    used.info().await.unwrap();
    let longer = used.set_lifetime(Lifetime::Fixed(Duration::from_secs(60))).await.unwrap();
    let longest = used.extend_ttl(Duration::from_secs(60)).await.unwrap();
    let more = longest.expires_at.unwrap().duration_since(longer.expires_at.unwrap()).unwrap();
    assert_eq!(more, Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_runs_longer_than_its_session_would_live_keeps_it_alive() {
    let dspex = builder(Carrier::Framed).sweep_every(Duration::from_millis(50)).start().await.unwrap();
    let ttl = Duration::from_millis(1500);
    // One slides from its beginning, one is made to.
    let sliding = dspex.sessions().create("sliding", SessionConfig::new().ttl(ttl)).await.unwrap();
    let changed = dspex.sessions().create("changed", SessionConfig::new()).await.unwrap();
    changed.set_lifetime(Lifetime::Sliding(ttl)).await.unwrap();
    let calls = [sliding, changed].map(|session| async move {
        session.dspy().call(&common::program("sleep"), &json!([3.5]), &json!({})).await.unwrap();
        session.info().await.unwrap();
    });
    futures::future::join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_a_temporary_session_begins_with_its_first_variable() {
    let dspex = start_without_lm(Carrier::Framed).await;
    let session = dspex.sessions().temporary(SessionConfig::new().ttl(Duration::from_millis(32)));
    for _ in 0..20 {
        session.dspy().call(&common::program("echo"), &json!([1]), &json!({})).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    session.variables().create("x", VarSpec::integer(), 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_session_leaves_nothing_behind() {
    let dspex = builder(Carrier::Framed)
        .lm(Lm::host(ScriptedLm::new([json!({"answer": "x"})])))
        .start()
        .await
        .unwrap();
    let session = dspex.sessions().create("a", SessionConfig::new()).await.unwrap();
    session.variables().create("x", VarSpec::integer(), 1).await.unwrap();
    Answer::create(&session).await.unwrap().keep("answer").await.unwrap();
    let mut watch = session.variables().watch(Filter::all()).await.unwrap();
    let running = tokio::spawn({
        let dspy = session.dspy();
        async move { dspy.call(&common::program("sleep"), &json!([600]), &json!({})).await }
    });
    eventually("the call runs", || dspex.load().in_flight == 1).await;

    let deleted = dspex.sessions().delete("a").await.unwrap();
    assert_eq!((deleted.cancelled, deleted.unacknowledged), (1, 0));
    assert!(matches!(running.await.unwrap(), Err(Error::Cancelled(_))));
    assert!(matches!(watch.next().await, Some(Ok(Event::SessionClosed))));
    assert!(watch.next().await.is_none());
    let stats = dspex.sessions().stats().await.unwrap();
    assert_eq!((stats.sessions, stats.variables, stats.bytes, stats.instances, stats.calls), (0, 0, 0, 0, 0));
    assert_eq!(dspex.load().in_flight, 0);
    assert!(matches!(session.info().await, Err(Error::SessionNotFound(_))));
    assert!(matches!(Answer::create(&session).await, Err(Error::SessionNotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_variables_and_instances_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.db");
    let dspex = builder(Carrier::Framed).durable(&file).start().await.unwrap();
    let remote = Lm::new("openai/gpt-4o-mini").temperature(0.5);
    let session = dspex
        .sessions()
        .create("kept", SessionConfig::new().metadata("plan", "pro").lm(remote))
        .await
        .unwrap();
    session.variables().create("style", VarSpec::string(), "Answer in rhymes.").await.unwrap();
    let answer = Answer::create(&session).await.unwrap();
    answer.bind(Binding::instructions("style")).await.unwrap();
    answer.keep("answer").await.unwrap();
    let short = SessionConfig::new().fixed_ttl(Duration::from_millis(1));
    dspex.sessions().create("expired", short).await.unwrap();
    dspex.session().variables().create("x", VarSpec::integer(), 1).await.unwrap();
    let copy = directory.path().join("copy.db");
    dspex.store().backup(&copy).await.unwrap();
    let copied = dspex::state::SqliteStore::open(&copy).unwrap();
    assert!(copied.session("kept").await.unwrap().is_some());
    assert!(dspex.store().check().await.unwrap().is_empty());
    let second = builder(Carrier::Framed).durable(&file).start().await.unwrap_err();
    assert!(second.to_string().contains("in use by the process"), "{second}");
    dspex.shutdown(Duration::from_secs(5)).await;
    drop((dspex, session, answer));

    let script = ScriptedLm::new([json!({"answer": "roses"})]);
    let dspex = builder(Carrier::Framed).durable(&file).start().await.unwrap();
    let ids: Vec<_> = dspex
        .sessions()
        .list(SessionFilter::new().with_temporary())
        .await
        .unwrap()
        .into_iter()
        .map(|info| info.id)
        .collect();
    assert_eq!(ids, ["kept"]);
    let session = dspex.sessions().get("kept").await.unwrap();
    assert_eq!(session.info().await.unwrap().metadata["plan"], "pro");
    assert_eq!(session.variables().read::<String>("style").await.unwrap().value, "Answer in rhymes.");
    let kept: Vec<_> =
        session.instances().list().await.unwrap().into_iter().map(|info| (info.id, info.class)).collect();
    assert_eq!(kept, [("answer".to_owned(), "dspy.Predict".to_owned())]);
    let other = session.instances().open::<Judge>("answer").await.unwrap_err();
    assert!(other.to_string().contains("with another signature"), "{other}");
    assert!(matches!(session.instances().open::<Answer>("none").await, Err(Error::InstanceNotFound(_))));

    session.set_lm(Lm::host(script.clone())).await.unwrap();
    let answer = session.instances().open::<Answer>("answer").await.unwrap();
    assert_eq!(answer.bindings(), [Binding::instructions("style")]);
    assert_eq!(answer.execute(AnswerInputs { question: "?".into() }).await.unwrap().answer, "roses");
    let request = serde_json::to_string(&script.requests()[0]).unwrap();
    assert!(request.contains("Answer in rhymes."), "{request}");
    let untyped = session.instances().open_untyped("answer").await.unwrap();
    assert_eq!(untyped.class(), "dspy.Predict");
    session.instances().delete("answer").await.unwrap();
    assert!(session.instances().list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_a_store_cannot_keep_has_to_be_given_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.db");
    let dspex = builder(Carrier::Framed).durable(&file).start().await.unwrap();
    let keyed = SessionConfig::new().lm(Lm::new("openai/gpt-4o-mini").api_key("sk-canary-4711"));
    let session = dspex.sessions().create("keyed", keyed).await.unwrap();
    dspex.shutdown(Duration::from_secs(5)).await;
    drop((session, dspex));
    let dspex = builder(Carrier::Framed).durable(&file).start().await.unwrap();
    let session = dspex.sessions().get("keyed").await.unwrap();
    let error = Answer::call(&session, AnswerInputs { question: "?".into() }).await.unwrap_err();
    assert!(error.to_string().contains("does not keep its key; give it its model with `set_lm`"), "{error}");
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"sk-canary"), "the key is in a file");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_on_one_store_share_sessions() {
    let store = dspex::state::SqliteStore::ephemeral().unwrap();
    let one = builder(Carrier::Framed).store(store.clone()).start().await.unwrap();
    let other = builder(Carrier::Framed).store(store).start().await.unwrap();
    let here = one.sessions().create("shared", SessionConfig::new()).await.unwrap();
    here.variables().create("x", VarSpec::integer(), 1).await.unwrap();
    let there = other.sessions().get("shared").await.unwrap();
    let mut watch = there.variables().watch(Filter::all()).await.unwrap();
    here.variables().update("x", 2).await.unwrap();
    assert!(
        matches!(watch.next().await, Some(Ok(Event::Changed(change))) if change.value == Some(Value::Integer(2)))
    );
    // What the other host set is found by whoever asks for the session again; a Rust object is here alone.
    let script = ScriptedLm::new([json!({"answer": "x"})]).cycle();
    there.set_lm(Lm::host(script)).await.unwrap();
    let ask = || AnswerInputs { question: "?".into() };
    Answer::call(&other.sessions().get("shared").await.unwrap(), ask()).await.unwrap();
    let error = Answer::call(&one.sessions().get("shared").await.unwrap(), ask()).await.unwrap_err();
    assert!(error.to_string().contains("give it its model with `set_lm`"), "{error}");
    one.sessions().delete("shared").await.unwrap();
    assert!(matches!(watch.next().await, Some(Ok(Event::SessionClosed))));
    assert!(matches!(there.info().await, Err(Error::SessionNotFound(_))));
}
