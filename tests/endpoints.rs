//! Workers that an operator started, over gRPC: a unix socket and TCP, with and without a token.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/word.rs"]
mod word;

use std::time::Duration;

use common::operator::Operator;
use common::{assert_serves, eventually, find, program};
use dspex::prelude::*;
use dspex::{Endpoint, PoolChange, PoolError, WorkerEnd};
use serde_json::json;
use word::{assert_answers, lm};

const ONE: &str = "0123456789abcdef0123456789abcdef-one";
const TWO: &str = "0123456789abcdef0123456789abcdef-two";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_on_a_unix_socket_answers_typed_calls() {
    let (_operator, endpoint) = Operator::start(None, None);
    let dspex = Dspex::builder().lm(lm()).endpoint(endpoint).start().await.unwrap();
    assert_answers(&dspex).await;
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_on_tcp_serves_each_host_with_its_token_and_none_without() {
    let tokens = format!("one:{ONE}\n# of another team\ntwo:{TWO}\n");
    let (_operator, endpoint) = Operator::start(Some("127.0.0.1:0"), Some(&tokens));
    let start = |token: Option<&'static str>| {
        let builder = Dspex::builder().lm(lm()).endpoint(endpoint.clone());
        match token {
            Some(token) => builder.token(token),
            None => builder,
        }
        .start()
    };
    let one = start(Some(ONE)).await.unwrap();
    let two = start(Some(TWO)).await.unwrap();
    assert_answers(&one).await;
    assert_answers(&two).await;
    for wrong in [None, Some("a guess"), Some("not\nASCII")] {
        let error = start(wrong).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Pool(PoolError::Down(_))), "{error:?}");
        assert!(error.to_string().contains("token"), "{error}");
        assert!(!error.to_string().contains(ONE), "{error}");
    }
    one.shutdown(Duration::from_secs(5)).await;
    assert_answers(&two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_goes_and_comes_back_is_used_again() {
    let (mut operator, endpoint) = Operator::start(None, None);
    let listen = endpoint.to_string();
    let dspex = Dspex::builder().lm(lm()).endpoint(endpoint.clone()).start().await.unwrap();
    assert_answers(&dspex).await;
    operator.process.kill().unwrap();
    operator.process.wait().unwrap();
    let error = dspex.dspy().call(&program("echo"), &json!([7]), &json!({})).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. } | Error::Pool(_)), "{error:?}");
    let _again = Operator::start(Some(&listen), None);
    eventually("the endpoint is back", || dspex.load().ready_workers == 1).await;
    assert_answers(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_whose_call_ignores_its_cancellation_is_left_and_ends_itself() {
    let (mut worker, endpoint) = Operator::start(None, None);
    let dspex =
        Dspex::builder().endpoint(endpoint).cancel_grace(Duration::from_millis(200)).start().await.unwrap();
    let mut events = dspex.pool_events();
    let hasty = dspex.dspy().deadline(Duration::from_millis(100));
    let late = hasty.call(&program("sleep_in_thread"), &json!([600]), &json!({})).await.unwrap_err();
    assert!(matches!(late, Error::DeadlineExceeded { .. }), "{late}");
    let end = find(&mut events, |event| match &event.change {
        PoolChange::Ended { end, .. } => Some(end.clone()),
        _ => None,
    });
    assert!(matches!(end.await, WorkerEnd::IgnoredCancellation { .. }));
    let ended = tokio::task::spawn_blocking(move || worker.process.wait());
    let status = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap().unwrap();
    assert_eq!(status.code(), Some(5));
    eventually("it is out of rotation", || dspex.load().ready_workers == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_where_nobody_listens_is_an_error_at_start() {
    let nobody = Endpoint::unix("/nonexistent/dspex.sock");
    let error = Dspex::builder().endpoint(nobody).start().await.unwrap_err();
    assert!(matches!(error, Error::Pool(PoolError::Down(_))), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_elsewhere_is_refused_unless_that_is_allowed() {
    let far = Endpoint::tcp("192.0.2.1:9000");
    let error = Dspex::builder().endpoint(far).start().await.unwrap_err();
    assert!(matches!(error, Error::Pool(PoolError::Unencrypted(_))), "{error}");
}
