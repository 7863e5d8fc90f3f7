//! Calls that nobody wants any more: dropped, cancelled by a token, past their deadline.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{eventually, program, worker_pids};
use dspex::lm::{LmResponse, lm_fn};
use dspex::prelude::*;
use dspex::{Carrier, DspexBuilder};
use serde_json::{Value, json};

const OWN: &str = "dspex_call_programs";

fn builder(carrier: Carrier) -> DspexBuilder {
    common::builder(carrier).allow_module(OWN)
}

/// A model that counts its requests and answers none.
fn silent() -> (Arc<AtomicUsize>, Lm) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let lm = lm_fn(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<Result<LmResponse, LmError>>()
    });
    (asked, Lm::host(lm))
}

/// The median and the 99th percentile.
fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100 - 1])
}

/// How long it takes from the drop of a call until its place is free, and how long a call that does nothing takes at that time.
async fn cancel_and_echo(dspex: &Dspex, asked: &AtomicUsize) -> (Duration, Duration) {
    let before = asked.load(Ordering::SeqCst);
    let running = tokio::spawn({
        let dspex = dspex.clone();
        async move { dspex.chain_of_thought("question -> answer", &json!({"question": "?"})).await }
    });
    eventually("the model is asked", || asked.load(Ordering::SeqCst) > before).await;
    let started = Instant::now();
    running.abort();
    while dspex.load().in_flight > 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "the place is never free");
        // Rather than a busy loop, which would take the time from Python.
        std::thread::sleep(Duration::from_micros(100));
    }
    let cancelled = started.elapsed();
    let _ = running.await;
    let started = Instant::now();
    common::assert_serves(dspex).await;
    (cancelled, started.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_work_is_over_in_python_some_milliseconds_after_its_future_was_dropped() {
    const GOAL: Duration = Duration::from_millis(10);
    const ROUNDS: usize = 3;
    let (asked, lm) = silent();
    let dspex = builder(Carrier::Framed).lm(lm).start().await.unwrap();
    let mut missed = Vec::new();
    // A machine that is busy with other tests takes its time for everything. So a call that does nothing is measured beside, which
    // takes the same way there and back, and a round in which the machine paused is no verdict.
    while missed.len() < ROUNDS {
        let (mut cancelled, mut echoed) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let (cancel, echo) = cancel_and_echo(&dspex, &asked).await;
            cancelled.push(cancel);
            echoed.push(echo);
        }
        let (cancel, echo) = (percentiles(cancelled), percentiles(echoed));
        println!(
            "cancellation of async work until its place is free: p50 {:.2?}, p99 {:.2?}, 200 calls; a call that does nothing: \
             p50 {:.2?}, p99 {:.2?}",
            cancel.0, cancel.1, echo.0, echo.1
        );
        if cancel.0 < GOAL.max(echo.0 * 2) && cancel.1 < GOAL.max(echo.1 * 2) {
            return;
        }
        missed.push((cancel, echo));
    }
    panic!("in no round was work over within {GOAL:?}, nor within twice the time of a call: {missed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_running_and_waiting_calls_and_those_that_come_later() {
    let (asked, lm) = silent();
    let dspex = builder(Carrier::Framed).lm(lm).in_flight_per_worker(1).start().await.unwrap();
    let stop = CancellationToken::new();
    let session = dspex.session();
    let spec = || InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
    let instance = spec().create(&session).await.unwrap();
    let call = || {
        let call = instance.execute::<Value>(json!({"question": "?"})).cancellation(stop.clone());
        tokio::spawn(async move { call.await.map(drop) })
    };
    let running = call();
    eventually("the model is asked", || asked.load(Ordering::SeqCst) == 1).await;
    let waiting = call();
    eventually("the other one waits", || dspex.load().queued == 1).await;
    stop.cancel();
    for call in [running, waiting, call()] {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(&error, Error::Cancelled(why) if why.contains("program")), "{error}");
    }
    eventually("nothing runs or waits", || dspex.load().in_flight == 0 && dspex.load().queued == 0).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    common::assert_serves(&dspex).await;
    let error =
        dspex.dspy().cancellation(stop).call(&program("echo"), &json!([1]), &json!({})).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error}");
}

async fn interrupted(dspex: &Dspex, class: &str, working: impl Fn() -> bool) -> Duration {
    let before = worker_pids(dspex);
    let spec = InstanceSpec::new(format!("{OWN}.{class}"));
    let dspy = dspex.dspy();
    let instance = dspy.create_instance(spec).await.unwrap();
    let running =
        tokio::spawn(async move { dspy.execute(&instance, &json!({"question": "?"})).await.map(drop) });
    eventually("it runs", || dspex.load().in_flight == 1).await;
    eventually("it works", working).await;
    let started = Instant::now();
    running.abort();
    eventually("its thread has ended", || dspex.load().in_flight == 0).await;
    let took = started.elapsed();
    common::assert_serves(dspex).await;
    assert_eq!(worker_pids(dspex), before, "no worker was lost for it");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synchronous_programs_that_swallow_every_exception_are_interrupted() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let lm = lm_fn(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Err(LmError::server("no")) }
    });
    let dspex = builder(Carrier::Framed).lm(Lm::host(lm)).start().await.unwrap();
    let took = interrupted(&dspex, "Stubborn", || asked.load(Ordering::SeqCst) > 3).await;
    println!("a program that asks its model: interrupted within {took:.2?}");
    for class in ["Busy", "Crowd"] {
        let took = interrupted(&dspex, class, || true).await;
        println!("{class}: interrupted within {took:.2?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_interrupts_a_synchronous_program() {
    let dspex = builder(Carrier::Framed).start().await.unwrap();
    let before = worker_pids(&dspex);
    let instance = dspex.dspy().create_instance(InstanceSpec::new(format!("{OWN}.Busy"))).await.unwrap();
    let dspy = dspex.dspy().deadline(Duration::from_millis(300));
    let error = dspy.execute(&instance, &json!({"question": "?"})).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
    eventually("its thread has ended", || dspex.load().in_flight == 0).await;
    assert_eq!(worker_pids(&dspex), before);
}
