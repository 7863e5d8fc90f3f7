//! What is tried again and what is not; requests that end workers; language models that keep failing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::provider::{Behaviour, Provider};
use common::{assert_serves, breakers, eventually, kill, worker_pids};
use dspex::lm::{LmResponse, lm_fn};
use dspex::prelude::*;
use dspex::{BreakerState, Carrier, CircuitBreaker, DspexBuilder, Dspy, WorkerEnd};
use serde_json::{Value, json};

const OWN: &str = "dspex_call_programs";

fn builder() -> DspexBuilder {
    common::builder(Carrier::Framed).allow_module(OWN)
}

async fn end(dspy: Dspy, name: &str, marker: &std::path::Path) -> dspex::Result<Value> {
    dspy.call(&format!("{OWN}.{name}"), &json!([marker]), &json!({})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_call_that_is_marked_as_idempotent_survives_its_worker() {
    let dspex = builder().start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = end(dspex.dspy(), "end_once", &dir.path().join("one")).await.unwrap_err();
    assert!(matches!(&error, Error::OutcomeUnknown { end: WorkerEnd::Exit(7) }), "{error}");
    let answer = end(dspex.dspy().idempotent(true), "end_once", &dir.path().join("other")).await;
    assert_eq!(answer.unwrap(), json!("done"));
    let none = builder().retries(0).start().await.unwrap();
    let error = end(none.dspy().idempotent(true), "end_once", &dir.path().join("third")).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_ended_two_workers_is_refused_and_the_others_are_served() {
    let dspex = builder().workers(2).retries(10).start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("ended");
    let error = end(dspex.dspy().idempotent(true), "end_always", &marker).await.unwrap_err();
    let Error::PoisonCall { workers, end: how, remains, .. } = &error else { panic!("{error}") };
    assert_eq!((*workers, how), (2, &WorkerEnd::Exit(7)));
    assert!(*remains > Duration::from_secs(50) && error.retry_after() == Some(*remains));
    let started = Instant::now();
    let error = end(dspex.dspy(), "end_always", &marker).await.unwrap_err();
    assert!(matches!(error, Error::PoisonCall { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(1), "it is refused at once");
    assert_eq!(std::fs::read_to_string(&marker).unwrap(), "2", "no third worker was lost");
    assert_serves(&dspex).await;
    let other = end(dspex.dspy().idempotent(true), "end_once", &dir.path().join("other")).await;
    assert_eq!(other.unwrap(), json!("done"), "another request is another one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_from_outside_make_no_request_a_suspect() {
    let dspex = builder().retries(10).start().await.unwrap();
    let running = tokio::spawn({
        let dspy = dspex.dspy().idempotent(true);
        async move { dspy.call(&common::program("sleep"), &json!([1.0]), &json!({})).await }
    });
    for _ in 0..3 {
        eventually("it runs", || dspex.load().in_flight == 1 && worker_pids(&dspex).len() == 1).await;
        let pid = worker_pids(&dspex)[0];
        kill(pid, "KILL");
        eventually("another worker is there", || worker_pids(&dspex).iter().any(|other| *other != pid)).await;
    }
    assert_eq!(running.await.unwrap().unwrap(), json!("slept"));
}

/// A model that fails so often, and then answers.
fn failing(failures: usize, error: fn() -> LmError) -> (Arc<AtomicUsize>, Lm) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let lm = lm_fn(move |_| {
        let failed = counted.fetch_add(1, Ordering::SeqCst) < failures;
        async move {
            if failed {
                Err(error())
            } else {
                Ok(LmResponse::text("[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]"))
            }
        }
    });
    (asked, Lm::host(lm))
}

async fn ask(dspy: &Dspy) -> dspex::Result<Value> {
    let spec = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
    let instance = dspy.create_instance(spec).await?;
    Ok(dspy.execute(&instance, &json!({"question": "?"})).await?.into_outputs())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotent_call_waits_as_long_as_its_model_says() {
    const WAIT: Duration = Duration::from_millis(400);
    let busy = || LmError::rate_limit("slow down").with_retry_after(WAIT);
    let (asked, lm) = failing(1, busy);
    let dspex = builder().lm(lm).start().await.unwrap();
    let started = Instant::now();
    assert_eq!(ask(&dspex.dspy().idempotent(true)).await.unwrap(), json!({"answer": "42"}));
    assert!(started.elapsed() >= WAIT, "{:?}", started.elapsed());
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    let (asked, lm) = failing(1, busy);
    let error = ask(&dspex.dspy().lm(lm)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(WAIT), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "nobody said that it may run twice");

    let (asked, lm) =
        failing(1, || LmError::rate_limit("slow down").with_retry_after(Duration::from_secs(60)));
    let started = Instant::now();
    let dspy = dspex.dspy().lm(lm).idempotent(true).deadline(Duration::from_secs(30));
    let error = ask(&dspy).await.unwrap_err();
    assert!(matches!(error, Error::Lm(_)) && started.elapsed() < Duration::from_secs(20), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the deadline comes first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotent_call_waits_as_long_as_a_provider_tells_dspys_own_client() {
    let wait = Duration::from_secs(1);
    let dspex = builder().start().await.unwrap();
    let provider = Provider::start(Behaviour::RateLimitOnce(1)).await;
    let error = ask(&dspex.dspy().lm(provider.lm())).await.unwrap_err();
    assert!(matches!(&error, Error::Lm(error) if error.is_retryable()), "{error}");
    assert_eq!(error.retry_after(), Some(wait), "{error}");
    assert_eq!(provider.heads.lock().unwrap().len(), 1, "nobody said that it may run twice");

    let provider = Provider::start(Behaviour::RateLimitOnce(1)).await;
    let started = Instant::now();
    let answer = ask(&dspex.dspy().lm(provider.lm()).idempotent(true)).await.unwrap();
    assert_eq!(answer, json!({"answer": "42"}));
    assert!(started.elapsed() >= wait, "{:?}", started.elapsed());
    assert_eq!(provider.heads.lock().unwrap().len(), 2);

    // A deadline that comes before the provider's time ends it at once.
    let provider = Provider::start(Behaviour::RateLimit).await;
    let dspy = dspex.dspy().lm(provider.lm()).idempotent(true).deadline(Duration::from_secs(6));
    let started = Instant::now();
    let error = ask(&dspy).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(provider.heads.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_in_rust_that_keeps_failing_is_left_alone_for_a_while() {
    let (asked, lm) = failing(3, || LmError::server("down for repairs"));
    let open = Duration::from_millis(800);
    let breaker = CircuitBreaker::new().failures(3).open_for(open);
    let dspex = builder().circuit_breaker(breaker).start().await.unwrap();
    let dspy = dspex.dspy().lm(lm);
    for _ in 0..3 {
        let error = ask(&dspy).await.unwrap_err();
        assert!(matches!(error, Error::Lm(_)), "{error}");
    }
    let error = ask(&dspy).await.unwrap_err();
    let Error::ModelUnavailable { retry_after, last, .. } = &error else { panic!("{error}") };
    assert!(breakers(&dspex).contains(&BreakerState::Open), "{:?}", breakers(&dspex));
    assert!(*retry_after <= open && last.contains("down for repairs"), "{error}");
    assert!(error.is_retryable());
    assert_eq!(asked.load(Ordering::SeqCst), 3, "it was not asked");
    // Other models have breakers of their own.
    let (_, other) = failing(0, || LmError::server(""));
    assert_eq!(ask(&dspex.dspy().lm(other)).await.unwrap(), json!({"answer": "42"}));
    // And who may wait, waits.
    assert_eq!(ask(&dspy.clone().idempotent(true)).await.unwrap(), json!({"answer": "42"}));
    assert_eq!(ask(&dspy).await.unwrap(), json!({"answer": "42"}), "it is closed again");
    assert!(breakers(&dspex).iter().all(|state| *state == BreakerState::Closed), "{:?}", breakers(&dspex));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_in_the_middle_of_a_call_arrives_as_what_it_is() {
    let (asked, lm) = failing(usize::MAX, || LmError::server("down"));
    let breaker = CircuitBreaker::new().failures(1).open_for(Duration::from_secs(60));
    let dspex = builder().circuit_breaker(breaker).start().await.unwrap();
    let dspy = dspex.dspy().lm(lm);
    // A function asks its model whenever it likes; nobody knows before.
    let path = format!("{OWN}.ask_twice");
    let error = dspy.call(&path, &json!([]), &json!({})).await.unwrap_err();
    assert!(matches!(&error, Error::ModelUnavailable { .. }), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_cannot_be_reached_opens_the_breaker_of_dspys_own_client() {
    // Nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lm =
        Lm::new("openai/test-model").api_base(format!("http://{address}/v1")).api_key("none").num_retries(0);
    let breaker = CircuitBreaker::new().failures(2).open_for(Duration::from_secs(60));
    let dspex = builder().lm(lm).circuit_breaker(breaker).start().await.unwrap();
    let dspy = dspex.dspy();
    for _ in 0..2 {
        let error = ask(&dspy).await.unwrap_err();
        assert!(matches!(&error, Error::Lm(error) if error.is_retryable()), "{error}");
    }
    let error = ask(&dspy).await.unwrap_err();
    assert!(matches!(error, Error::ModelUnavailable { .. }), "{error}");
    // What asks no model is served.
    assert_serves(&dspex).await;
}
