//! Workers that die, hang and are cancelled; hosts that die; pools that are full.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::{
    assert_serves, builder, eventually, find, is_alive, kill, on_both_carriers, program, start_without_lm,
    worker_pids,
};
use dspex::prelude::*;
use dspex::{Phase, PoolChange, PoolError, WorkerEnd};
use serde_json::{Value, json};

const OWN: &str = "dspex_call_programs";

/// Of the module that breaks in forked processes.
fn assert_says_what_to_do(text: &str) {
    assert!(text.contains("no worker can be started: Python could not import what it needs"), "{text}");
    assert!(text.contains("dspex_unforkable") && text.contains("on first use"), "{text}");
}

async fn call(dspex: &Dspex, name: &str, args: Value) -> dspex::Result<Value> {
    dspex.dspy().call(&program(name), &args, &json!({})).await
}

/// A call that runs in Python by the time that this returns.
async fn spawn_running(
    dspex: &Dspex,
    name: &'static str,
    args: Value,
) -> tokio::task::JoinHandle<dspex::Result<Value>> {
    let before = dspex.load().in_flight;
    let handle = tokio::spawn({
        let dspex = dspex.clone();
        async move { call(&dspex, name, args).await }
    });
    eventually("the call has a place", || dspex.load().in_flight > before).await;
    // Calls of one worker start in order, so whatever was sent before this echo runs by now.
    assert_serves(dspex).await;
    handle
}

on_both_carriers! {
    async fn a_worker_that_ends_in_the_middle_of_a_call_is_replaced_and_the_caller_is_told(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let error = call(&dspex, "end_process", json!([3])).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
        assert_serves(&dspex).await;
    }

    async fn a_worker_killed_by_a_signal_is_replaced(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let before = worker_pids(&dspex);
        let running = spawn_running(&dspex, "sleep", json!([600])).await;
        let started = Instant::now();
        kill(before[0], "KILL");
        let error = running.await.unwrap().unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(2), "the caller learns of it soon: {:?}", started.elapsed());
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
        assert_serves(&dspex).await;
        assert_ne!(worker_pids(&dspex), before);
    }

    async fn a_segmentation_fault_is_just_another_lost_worker(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let error = call(&dspex, "end_by_signal", json!([11])).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
        assert_serves(&dspex).await;
    }

    async fn dropping_a_call_stops_it_in_python(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let running = spawn_running(&dspex, "sleep", json!([600])).await;
        running.abort();
        let _ = running.await;
        eventually("the place is free again", || dspex.load().in_flight == 0).await;
        assert_eq!(call(&dspex, "count_cancelled", json!([])).await.unwrap(), json!(1));
    }

    async fn a_deadline_ends_the_call_in_python_too(carrier: Carrier) {
        let dspex = builder(carrier).deadline(Duration::from_millis(300)).start().await.unwrap();
        let error = call(&dspex, "sleep", json!([600])).await.unwrap_err();
        let Error::DeadlineExceeded { phase, .. } = error else { panic!("{error}") };
        assert_eq!(phase, Phase::Running);
        eventually("the place is free again", || dspex.load().in_flight == 0).await;
        assert_eq!(call(&dspex, "count_cancelled", json!([])).await.unwrap(), json!(1));
    }

    async fn a_deadline_that_passes_in_the_queue_says_so_and_python_never_hears_of_the_call(carrier: Carrier) {
        let dspex = builder(carrier).allow_module(OWN).in_flight_per_worker(1).start().await.unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let dspy = dspex.dspy().cancellation(stop.clone());
            async move { dspy.call(&program("sleep"), &json!([600]), &json!({})).await }
        });
        eventually("the place is taken", || dspex.load().in_flight == 1).await;
        let dir = tempfile::tempdir().unwrap();
        let (marker, path) = (dir.path().join("ran"), format!("{OWN}.leave"));
        let limit = Duration::from_millis(250);
        let started = Instant::now();
        let error = dspex.dspy().deadline(limit).call(&path, &json!([marker]), &json!({})).await.unwrap_err();
        let Error::DeadlineExceeded { phase, after } = error else { panic!("{error}") };
        assert_eq!((phase, after), (Phase::Queued, limit));
        assert!(started.elapsed() >= limit && started.elapsed() < limit + Duration::from_secs(5));
        assert_eq!((dspex.load().in_flight, dspex.load().queued), (1, 0), "it waits no more");
        stop.cancel();
        let _ = running.await;
        eventually("the place is free", || dspex.load().in_flight == 0).await;
        // Calls of one worker start in order: had it been sent, it would have run by the end of another one.
        assert_serves(&dspex).await;
        assert!(!marker.exists(), "it ran in Python");
        dspex.dspy().call(&path, &json!([marker]), &json!({})).await.unwrap();
        assert!(marker.exists());
    }

    async fn a_forked_worker_that_cannot_set_up_dspy_says_why_until_one_can(carrier: Carrier) {
        let dir = tempfile::tempdir().unwrap();
        let switch = dir.path().join("break_forks");
        let builder = || builder(carrier).allow_module("dspex_unforkable").python_path(dir.path());
        let dspex = builder().start().await.unwrap();
        let (mut events, pid) = (dspex.pool_events(), worker_pids(&dspex)[0]);
        std::fs::write(&switch, "").unwrap();
        kill(pid, "KILL");
        let mut ends = Vec::new();
        while ends.len() < 4 {
            ends.push(find(&mut events, |event| match &event.change {
                PoolChange::Ended { end, .. } => Some(end.clone()),
                _ => None,
            }).await);
        }
        assert_eq!(ends.remove(0), WorkerEnd::Signal(9));
        for end in &ends {
            let WorkerEnd::ImportFailed(reason) = end else { panic!("{end}") };
            assert_eq!(reason, "ImportError: dspex_unforkable: libunforkable.so.1 cannot be used in a forked process");
            assert_eq!(end.cause(), "import");
        }
        // Callers are not left to wait for a worker that does not come.
        let error = call(&dspex, "echo", json!([1])).await.unwrap_err();
        assert!(matches!(error, Error::Pool(PoolError::Down(_))), "{error}");
        assert_says_what_to_do(&error.to_string());
        let error = builder().start().await.unwrap_err();
        assert_says_what_to_do(&error.to_string());
        std::fs::remove_file(&switch).unwrap();
        find(&mut events, |event| matches!(event.change, PoolChange::Ready { .. }).then_some(())).await;
        assert_serves(&dspex).await;
    }

    async fn a_call_that_ignores_its_cancellation_costs_its_worker(carrier: Carrier) {
        let dspex = builder(carrier)
            .deadline(Duration::from_millis(300))
            .cancel_grace(Duration::from_millis(200))
            .start()
            .await
            .unwrap();
        let before = worker_pids(&dspex);
        let error = call(&dspex, "hold_the_gil", json!([])).await.unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
        eventually("the stuck process is gone", || !is_alive(before[0])).await;
        let replaced = || worker_pids(&dspex).first().is_some_and(|pid| *pid != before[0]);
        eventually("another worker took its slot", replaced).await;
        let patient = dspex.session();
        let answer = patient.dspy().call(&program("echo"), &json!([7]), &json!({})).await;
        assert_eq!(answer.unwrap(), json!(7));
    }

    async fn a_sync_call_keeps_its_place_until_its_thread_has_ended(carrier: Carrier) {
        let dspex = builder(carrier).in_flight_per_worker(2).start().await.unwrap();
        let running = spawn_running(&dspex, "sleep_in_thread", json!([0.6])).await;
        running.abort();
        let _ = running.await;
        assert_eq!(dspex.load().in_flight, 1, "the thread sleeps on");
        eventually("the thread ended", || dspex.load().in_flight == 0).await;
        assert_serves(&dspex).await;
    }

    async fn a_full_pool_says_so_at_once(carrier: Carrier) {
        let dspex = builder(carrier).in_flight_per_worker(1).queue_limit(1).start().await.unwrap();
        let spawn = || tokio::spawn({
            let dspex = dspex.clone();
            async move { call(&dspex, "sleep", json!([600])).await }
        });
        let running = spawn();
        eventually("the place is taken", || dspex.load().in_flight == 1).await;
        let waiting = spawn();
        eventually("the queue is full", || dspex.load().queued == 1).await;
        let error = call(&dspex, "echo", json!([1])).await.unwrap_err();
        let Error::Pool(PoolError::Saturated(load)) = error else { panic!("{error}") };
        assert_eq!((load.in_flight, load.capacity, load.queued, load.queue_limit), (1, 1, 1, 1));
        running.abort();
        waiting.abort();
        eventually("all is free again", || dspex.load().in_flight == 0 && dspex.load().queued == 0).await;
        assert_serves(&dspex).await;
    }

    async fn dropping_the_last_handle_ends_every_python_process(carrier: Carrier) {
        let dspex = builder(carrier).workers(3).start().await.unwrap();
        eventually("three workers are ready", || worker_pids(&dspex).len() == 3).await;
        let pids = worker_pids(&dspex);
        let stuck = tokio::spawn({
            let dspy = dspex.dspy();
            async move { dspy.call(&program("hold_the_gil"), &json!([]), &json!({})).await }
        });
        eventually("one of them is stuck", || dspex.load().in_flight == 1).await;
        stuck.abort();
        let _ = stuck.await;
        drop(dspex);
        eventually("all workers are gone", || !pids.iter().any(|pid| is_alive(*pid))).await;
    }

    async fn a_graceful_end_lets_running_calls_finish(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let running = spawn_running(&dspex, "sleep", json!([0.5])).await;
        let pids = worker_pids(&dspex);
        dspex.shutdown(Duration::from_secs(20)).await;
        assert_eq!(running.await.unwrap().unwrap(), json!("slept"));
        let error = call(&dspex, "echo", json!([1])).await.unwrap_err();
        assert!(matches!(error, Error::Pool(PoolError::Closed)), "{error}");
        eventually("the worker is gone", || !is_alive(pids[0])).await;
    }

    async fn deleting_a_session_cancels_its_calls(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let session = dspex.sessions().create("short-lived", SessionConfig::new()).await.unwrap();
        let running = tokio::spawn({
            let dspy = session.dspy();
            async move { dspy.call(&program("sleep"), &json!([600]), &json!({})).await }
        });
        eventually("the call has a place", || dspex.load().in_flight == 1).await;
        assert_serves(&dspex).await;
        let deleted = dspex.sessions().delete("short-lived").await.unwrap();
        assert_eq!((deleted.cancelled, deleted.unacknowledged), (1, 0));
        let error = running.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Cancelled(_)), "{error}");
        assert_eq!(dspex.load().in_flight, 0, "Python has ended the call");
        assert_eq!(call(&dspex, "count_cancelled", json!([])).await.unwrap(), json!(1));
        let error = session.dspy().call(&program("echo"), &json!([1]), &json!({})).await.unwrap_err();
        assert!(matches!(error, Error::SessionNotFound(_)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_share_the_load() {
    let dspex = builder(dspex::Carrier::Framed).workers(4).in_flight_per_worker(1).start().await.unwrap();
    eventually("four workers are ready", || dspex.load().ready_workers == 4).await;
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let dspex = dspex.clone();
            tokio::spawn(async move { call(&dspex, "sleep", json!([600])).await })
        })
        .collect();
    eventually("each runs one", || dspex.load().in_flight == 4 && dspex.load().queued == 0).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("all is free again", || dspex.load().in_flight == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_cannot_be_imported_is_a_clear_error_at_start() {
    let error = Dspex::builder().workers(1).allow_module("no_such_team.rag").start().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("cannot import the configured module 'no_such_team.rag'"), "{text}");
    assert!(
        text.contains("check the name given to `allow_module`") && text.contains("`python_path`"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_module_lacks_or_raises_is_told_apart_from_a_module_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    for (module, code, said) in [
        ("lacks_a_package", "import no_such_package.part", "add the package of 'no_such_package'"),
        ("raises", "raise RuntimeError('no GPU here')", "RuntimeError: no GPU here; its own code"),
    ] {
        std::fs::write(dir.path().join(module).with_extension("py"), code).unwrap();
        let builder = Dspex::builder().workers(1).allow_module(module).python_path(dir.path());
        let text = builder.start().await.unwrap_err().to_string();
        assert!(text.contains(&format!("module '{module}'")) && text.contains(said), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_python_prints_never_reaches_the_programs_stdout() {
    let dspex = start_without_lm(dspex::Carrier::Framed).await;
    call(&dspex, "write_to_stdout", json!(["{\"call\": 1}\nnot a frame"])).await.unwrap();
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_duration_means_for_ever_and_not_now() {
    let dspex = builder(dspex::Carrier::Framed).deadline(Duration::MAX).start().await.unwrap();
    assert_serves(&dspex).await;
    let running = spawn_running(&dspex, "sleep", json!([0.3])).await;
    dspex.shutdown(Duration::MAX).await;
    assert_eq!(running.await.unwrap().unwrap(), json!("slept"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_shut_down_at_once_both_wait_for_the_end() {
    let dspex = start_without_lm(dspex::Carrier::Framed).await;
    let pids = worker_pids(&dspex);
    let running = spawn_running(&dspex, "sleep", json!([0.3])).await;
    tokio::join!(dspex.shutdown(Duration::from_secs(20)), dspex.shutdown(Duration::from_secs(20)));
    assert_eq!(running.await.unwrap().unwrap(), json!("slept"));
    eventually("the worker is gone", || !is_alive(pids[0])).await;
}

#[test]
fn calls_on_a_pool_whose_runtime_has_ended_end_too() {
    let first = tokio::runtime::Runtime::new().unwrap();
    let dspex = first.block_on(start_without_lm(dspex::Carrier::Framed));
    drop(first);
    let second = tokio::runtime::Runtime::new().unwrap();
    let call =
        async { tokio::time::timeout(Duration::from_secs(10), call(&dspex, "echo", json!([1]))).await };
    let error = second.block_on(call).expect("the call ends").unwrap_err();
    assert!(matches!(error, Error::Pool(PoolError::Closed)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_only_busy_is_degraded_and_not_down() {
    let dspex = builder(dspex::Carrier::Framed).in_flight_per_worker(1).queue_limit(0).start().await.unwrap();
    let running = tokio::spawn({
        let dspex = dspex.clone();
        async move { call(&dspex, "sleep", json!([600])).await }
    });
    eventually("the place is taken", || dspex.load().in_flight == 1).await;
    let health = dspex.health_check().await;
    assert!(matches!(health.verdict, dspex::Verdict::Degraded(_)), "{health:?}");
    assert_eq!(health.availability.unwrap().dspy, "3.4.1");
    running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_inputs_at_once_all_arrive() {
    let dspex = builder(dspex::Carrier::Framed).max_message_bytes(4 << 20).start().await.unwrap();
    let text = "x".repeat(3 << 20);
    let calls: Vec<_> = (0..24)
        .map(|_| {
            let (dspex, text) = (dspex.clone(), text.clone());
            tokio::spawn(async move { call(&dspex, "length", json!([text])).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), json!(3 << 20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_wants_to_end_the_process_ends_only_its_call() {
    let dspex = start_without_lm(dspex::Carrier::Framed).await;
    let pids = worker_pids(&dspex);
    for name in ["exit_from_sync_code", "exit_from_async_code"] {
        let error = call(&dspex, name, json!([])).await.unwrap_err();
        assert!(matches!(error, Error::Python(_)), "{name}: {error}");
    }
    assert_eq!(worker_pids(&dspex), pids);
    assert_serves(&dspex).await;
}
