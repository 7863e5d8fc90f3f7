//! Lists: their order, their pages and their filters.

use serde_json::json;

use super::Fixture;
use super::given::*;
use crate::record::{NewSession, SessionKey};
use crate::store::{SessionQuery, StateStore, VariableQuery};
use crate::value::Value;

async fn ids(store: &dyn StateStore, query: &SessionQuery) -> Vec<String> {
    store.sessions(query).await.unwrap().into_iter().map(|record| record.session.id).collect()
}

async fn names(store: &dyn StateStore, key: SessionKey, query: &VariableQuery) -> Vec<String> {
    store.variables(key, query).await.unwrap().into_iter().map(|record| record.name).collect()
}

/// By code points: capitals before small letters, and both before what is not ASCII.
const ORDERED: [&str; 7] = ["", "10", "9", "B", "a", "a b", "\u{e9}"];

pub(super) async fn sessions_are_listed_in_the_order_of_their_ids_page_by_page(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    for id in ORDERED.iter().rev().filter(|id| !id.is_empty()) {
        make(&*store, new(id)).await;
    }
    let mut query = SessionQuery { limit: 4, ..Default::default() };
    let mut listed = ids(&*store, &query).await;
    assert_eq!(listed.len(), 4);
    query.after = listed.last().cloned();
    listed.extend(ids(&*store, &query).await);
    assert_eq!(listed, ORDERED[1..]);
    query.after = listed.last().cloned();
    assert_eq!(ids(&*store, &query).await, Vec::<String>::new());
    let record = store.session("a b").await.unwrap().unwrap();
    query.after = Some("a".to_owned());
    assert_eq!(store.sessions(&query).await.unwrap()[0], record, "lists have the whole record");
}

pub(super) async fn sessions_are_filtered_by_prefix_metadata_and_temporariness(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    for (id, user, temporary) in [
        ("x%1", "a", false),
        ("x%2", "b", false),
        ("x%3", "a", true),
        ("xy4", "a", false),
        ("X%5", "a", false),
    ] {
        let metadata = entries(json!({"user": user, "tags": {"n": [1, null]}, "id": id}));
        make(&*store, NewSession { metadata, temporary, ..new(id) }).await;
    }
    let all = SessionQuery { limit: 9, ..Default::default() };
    assert_eq!(ids(&*store, &all).await, ["X%5", "x%1", "x%2", "xy4"]);
    let query = SessionQuery { prefix: "x%".to_owned(), temporary: true, ..all.clone() };
    assert_eq!(ids(&*store, &query).await, ["x%1", "x%2", "x%3"]);
    let metadata = entries(json!({"user": "a", "tags": {"n": [1, null]}}));
    let query = SessionQuery { metadata: metadata.clone(), ..query };
    assert_eq!(ids(&*store, &query).await, ["x%1", "x%3"]);
    let query = SessionQuery { limit: 2, temporary: true, metadata, ..Default::default() };
    assert_eq!(ids(&*store, &query).await, ["X%5", "x%1"], "filters come before the limit");
    let query = SessionQuery { after: Some("x%1".to_owned()), ..query };
    assert_eq!(ids(&*store, &query).await, ["x%3", "xy4"]);
    // An entry is the same or it is not: a part of it is not enough.
    for metadata in
        [json!({"tags": {}}), json!({"tags": {"n": [1]}}), json!({"user": null}), json!({"none": null})]
    {
        let query = SessionQuery { metadata: entries(metadata), ..all.clone() };
        assert_eq!(ids(&*store, &query).await, Vec::<String>::new());
    }
}

pub(super) async fn variables_are_listed_in_the_order_of_their_names_page_by_page(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, ORDERED.iter().rev().map(|name| create(name, text(name))).collect()).await;
    let mut query = VariableQuery { limit: 3, ..Default::default() };
    let mut listed = names(&*store, key, &query).await;
    for _ in 0..2 {
        query.after = listed.last().cloned();
        listed.extend(names(&*store, key, &query).await);
    }
    assert_eq!(listed, ORDERED);
    let other = make(&*store, new("other")).await.session.key;
    assert_eq!(names(&*store, other, &query).await, Vec::<String>::new());
}

pub(super) async fn globs_know_two_wildcards_and_take_everything_else_as_it_is(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let all = [
        "100%",
        "1000",
        "a.b",
        "a_b",
        "a\\b",
        "axb",
        "[a]",
        "a",
        "ab\nc",
        "A",
        "\u{1F980}b",
        "(a|b)+$",
        "*",
        "?",
    ];
    written(&*store, key, all.iter().map(|name| create(name, Value::Integer(1))).collect()).await;
    for (glob, wanted) in [
        ("100%", vec!["100%"]),
        ("a_b", vec!["a_b"]),
        ("a\\b", vec!["a\\b"]),
        ("a.b", vec!["a.b"]),
        ("[a]", vec!["[a]"]),
        ("(a|b)+$", vec!["(a|b)+$"]),
        ("a", vec!["a"]),
        ("a?b", vec!["a.b", "a\\b", "a_b", "axb"]),
        ("?", vec!["*", "?", "A", "a"]),
        ("?b", vec!["\u{1F980}b"]),
        ("a*c", vec!["ab\nc"]),
        ("*%", vec!["100%"]),
        ("10*0*", vec!["100%", "1000"]),
        ("", vec![]),
        ("b", vec![]),
        ("%", vec![]),
    ] {
        let query = VariableQuery { glob: Some(glob.to_owned()), limit: 99, ..Default::default() };
        assert_eq!(names(&*store, key, &query).await, wanted, "{glob:?}");
    }
    let mut query = VariableQuery { glob: Some("*".to_owned()), limit: 99, ..Default::default() };
    assert_eq!(names(&*store, key, &query).await.len(), all.len());
    query.glob = Some("a?b".to_owned());
    query.after = Some("a.b".to_owned());
    query.limit = 2;
    assert_eq!(names(&*store, key, &query).await, ["a\\b", "a_b"], "globs come before the limit");
}

pub(super) async fn variables_are_listed_with_or_without_values(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", text("abc")), create("y", Value::Float(0.5))]).await;
    let whole = VariableQuery { limit: 9, values: true, ..Default::default() };
    let listed = store.variables(key, &whole).await.unwrap();
    assert_eq!(listed[0], store.variable(key, "x").await.unwrap().unwrap());
    assert_eq!(listed[1], store.variable(key, "y").await.unwrap().unwrap());
    let described = store.variables(key, &VariableQuery { values: false, ..whole }).await.unwrap();
    for (whole, described) in listed.into_iter().zip(described) {
        assert_eq!(described, crate::record::VariableRecord { value: None, ..whole });
    }
}

pub(super) async fn a_limit_of_zero_lists_nothing(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", text("abc"))]).await;
    assert_eq!(store.sessions(&SessionQuery::default()).await.unwrap(), Vec::new());
    assert_eq!(store.variables(key, &VariableQuery::default()).await.unwrap(), Vec::new());
    assert_eq!(store.history(key, "x", 0).await.unwrap(), Vec::new());
    assert_eq!(store.expire(0).await.unwrap(), Vec::new());
}
