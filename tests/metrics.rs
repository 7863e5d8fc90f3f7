//! Metrics, each driven by the event that it tells of, with real workers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::recorder::{self, count, gauge, observed};
use common::{assert_serves, eventually, kill, parent_of, pool, program, worker_pids};
use dspex::lm::{LmResponse, lm_fn};
use dspex::prelude::*;
use dspex::{Carrier, CircuitBreaker, DspexBuilder, Dspy, InstanceSpec, PoolOptions, WorkerLimits};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const SUPERVISED: &str = "dspex_supervised_programs";
const TRACED: &str = "dspex_trace_programs";

fn builder() -> DspexBuilder {
    recorder::install();
    common::builder(Carrier::Framed).allow_module(SUPERVISED).allow_module(TRACED)
}

fn options() -> PoolOptions {
    PoolOptions::new()
        .workers(1)
        .allow_module(common::PROGRAMS)
        .allow_module(SUPERVISED)
        .allow_module(TRACED)
        .python_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python"))
}

async fn call(dspy: &Dspy, path: &str, args: Value) -> dspex::Result<Value> {
    dspy.call(path, &args, &json!({})).await
}

fn spawn(dspy: &Dspy, path: String, args: Value) -> tokio::task::JoinHandle<dspex::Result<Value>> {
    let dspy = dspy.clone();
    tokio::spawn(async move { call(&dspy, &path, args).await })
}

/// Takes a moment, and says where it is.
#[dspex_tool]
async fn look_around() -> Value {
    tokio::time::sleep(Duration::from_millis(100)).await;
    json!("here")
}

/// Whether each time is of so many seconds at least, and not of other units.
fn are_seconds(values: &[f64], least: f64) -> bool {
    values.iter().all(|value| (least..60.0).contains(value))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gauges_of_a_pool_follow_what_runs_and_what_waits() {
    let dspex = builder().in_flight_per_worker(2).start().await.unwrap();
    let calls: Vec<_> = (0..5).map(|_| spawn(&dspex.dspy(), program("sleep"), json!([600]))).collect();
    let is = |name: &str, value: f64| gauge(&format!("dspex_pool_{name}{{pool=default}}")) == Some(value);
    eventually("two run, and three wait", || is("in_flight", 2.0) && is("queue_depth", 3.0)).await;
    assert!(is("capacity", 2.0) && is("ready_workers", 1.0));
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("none does", || is("in_flight", 0.0) && is("queue_depth", 0.0)).await;
    kill(parent_of(worker_pids(&dspex)[0]), "STOP");
    kill(worker_pids(&dspex)[0], "KILL");
    eventually("no worker is there", || is("capacity", 0.0) && is("ready_workers", 0.0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workers_memory_traffic_and_lag_are_measured() {
    let dspex = builder().start().await.unwrap();
    let of = |name: &str| format!("dspex_worker_{name}{{pool=default,worker=0}}");
    let bytes = |name: &str| gauge(&of(name)).unwrap_or_default();
    eventually("its memory is known", || bytes("rss_bytes") > 1e6 && bytes("pss_bytes") > 1e6).await;
    assert!(bytes("pss_bytes") <= bytes("rss_bytes"), "what is shared counts in part");
    let (rss, pss) = (bytes("rss_bytes"), bytes("pss_bytes"));
    call(&dspex.dspy(), &format!("{SUPERVISED}.keep_memory"), json!([64])).await.unwrap();
    let grown = f64::from(48 << 20);
    eventually("it grew", || bytes("rss_bytes") > rss + grown && bytes("pss_bytes") > pss + grown).await;

    let (sent, received) = (count(&of("sent_bytes_total")), count(&of("received_bytes_total")));
    let text = "x".repeat(300_000);
    call(&dspex.dspy(), &program("length"), json!([text])).await.unwrap();
    eventually("what went there is counted", || count(&of("sent_bytes_total")) > sent + 300_000).await;
    assert!(count(&of("received_bytes_total")) < received + 300_000);
    call(&dspex.dspy(), &program("large"), json!([300_000])).await.unwrap();
    eventually("what came is counted", || count(&of("received_bytes_total")) > received + 300_000).await;

    call(&dspex.dspy(), &format!("{SUPERVISED}.block_loop"), json!([1.0])).await.unwrap();
    eventually("its loop was late", || gauge(&of("loop_lag_seconds")).is_some_and(|lag| lag > 0.5)).await;
    assert!(gauge(&of("loop_lag_seconds")).unwrap() < 60.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histograms_hold_how_long_calls_waited_ran_and_asked_the_program() {
    let dspex = builder().in_flight_per_worker(1).start().await.unwrap();
    let first = spawn(&dspex.dspy(), program("sleep"), json!([0.3]));
    eventually("the first one runs", || dspex.load().in_flight == 1).await;
    let second = spawn(&dspex.dspy(), program("sleep"), json!([0.3]));
    eventually("the second one waits", || dspex.load().queued == 1).await;
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    let queue = observed("dspex_call_queue_seconds{pool=default}");
    assert!(queue.len() == 2 && queue[0] < queue[1] && are_seconds(&queue[1..], 0.1), "{queue:?}");
    let python = observed("dspex_call_python_seconds{pool=default}");
    assert!(python.len() == 2 && are_seconds(&python, 0.3), "{python:?}");
    let ok = observed("dspex_call_seconds{pool=default,outcome=ok}");
    assert!(ok.len() == 2 && ok[1] > queue[1] + python[1] - 0.001 && are_seconds(&ok, 0.3), "{ok:?}");

    let session = dspex.session();
    session.tools().register(tools![look_around]).await.unwrap().keep();
    call(&session.dspy(), &format!("{TRACED}.use"), json!(["look_around"])).await.unwrap();
    let tool = observed("dspex_callback_seconds{pool=default,kind=tool}");
    assert!(tool.len() == 1 && are_seconds(&tool, 0.1), "{tool:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_run_again_is_one_retry_and_one_call() {
    let dspex = builder().start().await.unwrap();
    let running = spawn(&dspex.dspy().idempotent(true), program("sleep"), json!([0.5]));
    eventually("it runs", || dspex.load().in_flight == 1).await;
    kill(worker_pids(&dspex)[0], "KILL");
    assert_eq!(running.await.unwrap().unwrap(), json!("slept"));
    assert_eq!(count("dspex_call_retries_total{pool=default}"), 1);
    assert_eq!(observed("dspex_call_seconds{pool=default,outcome=ok}").len(), 1);
    assert_eq!(observed("dspex_call_queue_seconds{pool=default}").len(), 2, "it had two places");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_end_are_counted_by_their_cause() {
    let dspex = builder()
        .heartbeat(Duration::from_millis(50), Duration::from_millis(600))
        .cancel_grace(Duration::from_millis(200))
        .restart_intensity(100, Duration::from_secs(60))
        .worker_limits(WorkerLimits::new().memory_bytes(1 << 30))
        .start()
        .await
        .unwrap();
    let restarts =
        |cause: &str| count(&format!("dspex_worker_restarts_total{{pool=default,worker=0,cause={cause}}}"));
    for (path, args, cause) in [
        (program("end_process"), json!([3]), "exit"),
        (program("end_by_signal"), json!([11]), "signal"),
        (format!("{SUPERVISED}.stop"), json!([]), "unresponsive"),
        (format!("{SUPERVISED}.end_saying_memory_error"), json!([]), "out_of_memory"),
    ] {
        let error = call(&dspex.dspy(), &path, args).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
        eventually(cause, || restarts(cause) == 1).await;
        assert_serves(&dspex).await;
    }
    let late = dspex.dspy().deadline(Duration::from_millis(300));
    call(&late, &format!("{SUPERVISED}.ignore_cancellation"), json!([600])).await.unwrap_err();
    eventually("ignored_cancellation", || restarts("ignored_cancellation") == 1).await;
    assert_serves(&dspex).await;
    assert_eq!(observed("dspex_call_seconds{pool=default,outcome=lost}").len(), 4);
    assert_eq!(observed("dspex_call_seconds{pool=default,outcome=deadline}").len(), 1);
    let causes =
        recorder::recorded().iter().filter(|name| name.starts_with("dspex_worker_restarts_total")).count();
    assert_eq!(causes, 5, "{:?}", recorder::recorded());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_replaced_as_planned_are_counted_by_their_reason() {
    let dspex = builder()
        .heartbeat(Duration::from_millis(20), Duration::from_secs(10))
        .recycle_after_calls(5)
        .pool(
            "old",
            options()
                .heartbeat(Duration::from_millis(20), Duration::from_secs(10))
                .recycle_after_age(Duration::from_millis(500)),
        )
        .pool(
            "large",
            options()
                .heartbeat(Duration::from_millis(20), Duration::from_secs(10))
                .recycle_above_bytes(350 << 20),
        )
        .start()
        .await
        .unwrap();
    for _ in 0..8 {
        assert_serves(&dspex).await;
        call(&dspex.dspy().pool("large"), &format!("{SUPERVISED}.keep_memory"), json!([64])).await.unwrap();
    }
    for (pool, reason) in [("default", "calls"), ("old", "age"), ("large", "memory")] {
        let recycled = format!("dspex_worker_recycled_total{{pool={pool},worker=0,reason={reason}}}");
        eventually(&recycled, || count(&recycled) >= 1).await;
    }
    let restarts: Vec<_> =
        recorder::recorded().into_iter().filter(|name| name.starts_with("dspex_worker_restarts")).collect();
    assert!(restarts.is_empty(), "planned ends are none of those: {restarts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zygotes_that_end_are_counted_and_workers_are_not() {
    let dspex = builder().start().await.unwrap();
    let lost = || count("dspex_zygote_lost_total{pool=default}");
    assert_eq!(lost(), 0);
    kill(parent_of(worker_pids(&dspex)[0]), "KILL");
    eventually("the loss is counted", || lost() == 1).await;
    assert_serves(&dspex).await;
    let is_restart = |name: &String| name.starts_with("dspex_worker_restarts");
    assert!(!recorder::recorded().iter().any(is_restart), "the worker went on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_a_models_breaker_goes_from_closed_to_open_to_half_open_and_back() {
    let asked = Arc::new(AtomicUsize::new(0));
    let may_answer = Arc::new(Semaphore::new(0));
    let lm = Lm::host(lm_fn({
        let (asked, may_answer) = (asked.clone(), may_answer.clone());
        move |_| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            let may_answer = may_answer.clone();
            async move {
                match number {
                    0 => return Err(LmError::server("down for repairs")),
                    1 => may_answer.acquire().await.unwrap().forget(),
                    _ => {}
                }
                Ok(LmResponse::text("[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]"))
            }
        }
    }));
    let breaker = CircuitBreaker::new().failures(1).open_for(Duration::from_secs(2));
    let dspex = builder().lm(lm).circuit_breaker(breaker).start().await.unwrap();
    let dspy = dspex.dspy();
    let spec = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
    let instance = dspy.create_instance(spec).await.unwrap();
    let ask = |dspy: Dspy| {
        let instance = instance.clone();
        async move { dspy.execute(&instance, &json!({"question": "?"})).await }
    };
    let states = || {
        let names =
            recorder::recorded().into_iter().filter(|name| name.starts_with("dspex_lm_breaker_state{model="));
        names.map(|name| gauge(&name).unwrap()).collect::<Vec<_>>()
    };
    ask(dspy.clone()).await.unwrap_err();
    eventually("it is open", || states() == [2.0]).await;
    let probe = tokio::spawn(ask(dspy.clone().idempotent(true)));
    eventually("it is half open, while one call tries", || states() == [1.0]).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    may_answer.add_permits(1);
    probe.await.unwrap().unwrap();
    eventually("it is closed", || states() == [0.0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_told_apart_and_no_label_has_a_word_of_callers() {
    let dspex =
        builder().pool("small", options().in_flight_per_worker(2).queue_limit(0)).start().await.unwrap();
    let config = SessionConfig::new().pool("small");
    let session = dspex.sessions().create("metrics of a session", config).await.unwrap();
    session.tools().register(tools![look_around]).await.unwrap().keep();
    call(&session.dspy(), &format!("{TRACED}.use"), json!(["look_around"])).await.unwrap();
    call(&session.dspy(), &format!("{TRACED}.nothing"), json!([])).await.unwrap_err();
    call(&session.dspy(), &program("fail"), json!(["on purpose"])).await.unwrap_err();
    let running: Vec<_> = (0..2).map(|_| spawn(&session.dspy(), program("sleep"), json!([60]))).collect();
    let small = || pool(&dspex, "small").unwrap();
    eventually("two have places", || small().load.in_flight == 2).await;
    call(&session.dspy(), &program("sleep"), json!([60])).await.unwrap_err();
    running.iter().for_each(tokio::task::JoinHandle::abort);
    let calls =
        |outcome: &str| observed(&format!("dspex_call_seconds{{pool=small,outcome={outcome}}}")).len();
    eventually("nobody waits for those any more", || calls("dropped") == 2).await;
    assert_eq!(["ok", "not_found", "python", "saturated"].map(calls), [1; 4]);
    assert_eq!(count("dspex_pool_saturated_total{pool=small}"), 1);
    let pools = ["small", "default"].map(|pool| [format!("pool={pool}"), format!("pool={pool}/optimizers")]);
    let allowed = |name: &str| {
        let labels = name.split_once('{').unwrap().1.trim_end_matches('}');
        labels.split(',').all(|label| {
            pools.as_flattened().iter().any(|pool| pool == label)
                || ["worker=0", "kind=tool"].contains(&label)
                || label.starts_with("outcome=")
        })
    };
    let seen = recorder::recorded();
    assert!(seen.len() > 10 && seen.iter().all(|name| allowed(name)), "{seen:#?}");
}
