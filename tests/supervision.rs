//! How workers end, what replaces them, and who is told: causes, heartbeats, recycling, limits, the zygote's loss.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::{
    assert_serves, eventually, find, is_alive, kill, on_both_carriers, parent_of, program, worker_pids,
};
use dspex::prelude::*;
use dspex::{Carrier, DspexBuilder, PoolChange, PoolEvent, PoolState, Retirement, WorkerEnd, WorkerLimits};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

const PROGRAMS: &str = "dspex_supervised_programs";

fn builder(carrier: Carrier) -> DspexBuilder {
    common::builder(carrier).allow_module(PROGRAMS)
}

fn framed() -> DspexBuilder {
    builder(Carrier::Framed)
}

async fn call(dspex: &Dspex, name: &str, args: Value) -> dspex::Result<Value> {
    dspex.dspy().call(&format!("{PROGRAMS}.{name}"), &args, &json!({})).await
}

fn spawn(dspex: &Dspex, name: &'static str, args: Value) -> tokio::task::JoinHandle<dspex::Result<Value>> {
    let dspex = dspex.clone();
    tokio::spawn(async move { call(&dspex, name, args).await })
}

async fn next_end(events: &mut Receiver<PoolEvent>) -> WorkerEnd {
    find(events, |event| match &event.change {
        PoolChange::Ended { end, .. } => Some(end.clone()),
        _ => None,
    })
    .await
}

fn end_of(error: dspex::Error) -> WorkerEnd {
    match error {
        Error::OutcomeUnknown { end, .. } => end,
        other => panic!("{other}"),
    }
}

on_both_carriers! {
    async fn callers_and_listeners_learn_the_true_cause_of_a_crash(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let mut events = dspex.pool_events();
        let error = dspex.dspy().call(&program("end_process"), &json!([3]), &json!({})).await.unwrap_err();
        assert_eq!(end_of(error), WorkerEnd::Exit(3));
        assert_eq!(next_end(&mut events).await, WorkerEnd::Exit(3));
        let error = dspex.dspy().call(&program("end_by_signal"), &json!([11]), &json!({})).await.unwrap_err();
        assert_eq!(end_of(error), WorkerEnd::Signal(11));
        assert_eq!(next_end(&mut events).await, WorkerEnd::Signal(11));
        let running = tokio::spawn({
            let dspy = dspex.dspy();
            async move { dspy.call(&program("sleep"), &json!([600]), &json!({})).await }
        });
        eventually("the call has a place", || dspex.load().in_flight == 1).await;
        assert_serves(&dspex).await;
        let begun = Instant::now();
        kill(worker_pids(&dspex)[0], "KILL");
        let error = running.await.unwrap().unwrap_err();
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        let text = error.to_string();
        assert!(text.contains("signal 9") && text.contains("which dspex did not send"), "{text}");
        assert_eq!(end_of(error), WorkerEnd::Signal(9));
        assert_serves(&dspex).await;
    }

    async fn a_stopped_worker_is_found_by_its_heartbeat_killed_and_replaced(carrier: Carrier) {
        let dspex = builder(carrier)
            .heartbeat(Duration::from_millis(50), Duration::from_millis(600))
            .start()
            .await
            .unwrap();
        let (mut events, pid) = (dspex.pool_events(), worker_pids(&dspex)[0]);
        let error = call(&dspex, "stop", json!([])).await.unwrap_err();
        let WorkerEnd::Unresponsive { stopped: true, silent } = end_of(error) else { panic!("another end") };
        assert!(silent < Duration::from_secs(5), "{silent:?}");
        find(&mut events, |event| (event.change == PoolChange::Suspected).then_some(())).await;
        assert!(matches!(next_end(&mut events).await, WorkerEnd::Unresponsive { stopped: true, .. }));
        eventually("the stopped process is gone", || !is_alive(pid)).await;
        assert_serves(&dspex).await;
    }

    async fn a_worker_whose_loop_is_blocked_for_longer_than_the_patience_is_replaced(carrier: Carrier) {
        let dspex = builder(carrier)
            .heartbeat(Duration::from_millis(50), Duration::from_millis(400))
            .start()
            .await
            .unwrap();
        let error = call(&dspex, "block_loop", json!([600])).await.unwrap_err();
        assert!(matches!(end_of(error), WorkerEnd::Unresponsive { stopped: false, .. }));
        assert_serves(&dspex).await;
    }

    async fn recycling_by_calls_loses_none_and_never_leaves_the_pool_without_a_worker(carrier: Carrier) {
        let dspex = builder(carrier)
            .heartbeat(Duration::from_millis(20), Duration::from_secs(10))
            .recycle_after_calls(40)
            .start()
            .await
            .unwrap();
        let mut events = dspex.pool_events();
        let least = tokio::spawn({
            let dspex = dspex.clone();
            async move {
                let mut least = usize::MAX;
                while least > 0 {
                    least = least.min(dspex.load().ready_workers);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        for _ in 0..60 {
            let calls: Vec<_> = (0..5).map(|_| spawn(&dspex, "compute", json!([0.005]))).collect();
            for call in calls {
                assert_eq!(call.await.unwrap().unwrap(), json!("computed"));
            }
        }
        assert!(!least.is_finished(), "there was a moment without a worker");
        least.abort();
        let end = next_end(&mut events).await;
        assert!(matches!(end, WorkerEnd::Recycled(Retirement::Calls(36..))), "{end}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_computes_on_a_thread_is_left_alone() {
    let dspex =
        framed().heartbeat(Duration::from_millis(50), Duration::from_millis(500)).start().await.unwrap();
    let pids = worker_pids(&dspex);
    assert_eq!(call(&dspex, "compute", json!([2.0])).await.unwrap(), json!("computed"));
    assert_eq!(worker_pids(&dspex), pids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_answers_again_in_time_keeps_its_calls() {
    let dspex = framed().heartbeat(Duration::from_millis(50), Duration::from_secs(6)).start().await.unwrap();
    let (mut events, pids) = (dspex.pool_events(), worker_pids(&dspex));
    let blocked = spawn(&dspex, "block_loop", json!([3.0]));
    find(&mut events, |event| (event.change == PoolChange::Suspected).then_some(())).await;
    assert_eq!(dspex.load().ready_workers, 0, "no new calls for it");
    assert_eq!(blocked.await.unwrap().unwrap(), json!("blocked"));
    find(&mut events, |event| (event.change == PoolChange::Answers).then_some(())).await;
    assert_serves(&dspex).await;
    assert_eq!(worker_pids(&dspex), pids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_code_that_holds_the_interpreter_for_ever_costs_its_worker() {
    let dspex =
        framed().heartbeat(Duration::from_millis(50), Duration::from_millis(400)).start().await.unwrap();
    let (mut events, pid) = (dspex.pool_events(), worker_pids(&dspex)[0]);
    let error = dspex.dspy().call(&program("hold_the_gil"), &json!([]), &json!({})).await.unwrap_err();
    assert!(matches!(end_of(error), WorkerEnd::Unresponsive { stopped: false, .. }));
    assert!(matches!(next_end(&mut events).await, WorkerEnd::Unresponsive { .. }));
    eventually("the process is gone", || !is_alive(pid)).await;
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_leaks_memory_is_replaced_while_it_still_answers() {
    let dspex = framed()
        .heartbeat(Duration::from_millis(50), Duration::from_secs(10))
        .recycle_above_bytes(400 << 20)
        .start()
        .await
        .unwrap();
    let mut events = dspex.pool_events();
    let fresh = worker_pids(&dspex);
    for _ in 0..10 {
        call(&dspex, "keep_memory", json!([64])).await.unwrap();
    }
    let end = next_end(&mut events).await;
    let WorkerEnd::Recycled(Retirement::Memory(bytes)) = end else { panic!("{end}") };
    assert!(bytes > 350 << 20, "{bytes}");
    assert_ne!(worker_pids(&dspex), fresh);
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_worker_finishes_its_calls_while_the_fresh_one_takes_the_new_ones() {
    let dspex = framed()
        .heartbeat(Duration::from_millis(50), Duration::from_secs(10))
        .recycle_after_age(Duration::from_millis(500))
        .start()
        .await
        .unwrap();
    let (mut events, old) = (dspex.pool_events(), worker_pids(&dspex)[0]);
    let running = tokio::spawn({
        let dspy = dspex.dspy();
        async move { dspy.call(&program("sleep"), &json!([1.5]), &json!({})).await }
    });
    find(&mut events, |event| {
        matches!(event.change, PoolChange::Draining { why: Retirement::Age(_) }).then_some(())
    })
    .await;
    assert_serves(&dspex).await;
    assert!(is_alive(old) && !worker_pids(&dspex).contains(&old));
    assert_eq!(running.await.unwrap().unwrap(), json!("slept"));
    let end = next_end(&mut events).await;
    assert!(matches!(end, WorkerEnd::Recycled(Retirement::Age(_))), "{end}");
    eventually("the old process is gone", || !is_alive(old)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_worker_that_does_not_come_to_an_end_is_cancelled_and_then_killed() {
    let dspex = framed()
        .heartbeat(Duration::from_millis(50), Duration::from_secs(10))
        .recycle_after_age(Duration::from_millis(300))
        .recycle_patience(Duration::from_millis(200))
        .cancel_grace(Duration::from_millis(200))
        .start()
        .await
        .unwrap();
    let old = worker_pids(&dspex)[0];
    let cancelled = tokio::spawn({
        let dspy = dspex.dspy();
        async move { dspy.call(&program("sleep"), &json!([600]), &json!({})).await }
    });
    let stuck = spawn(&dspex, "ignore_cancellation", json!([600]));
    let error = cancelled.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Cancelled(why) if why.contains("its worker is replaced")), "{error}");
    let end = end_of(stuck.await.unwrap().unwrap_err());
    assert!(matches!(end, WorkerEnd::IgnoredCancellation { .. }), "{end}");
    eventually("the old process is gone", || !is_alive(old)).await;
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_die_too_often_degrade_the_pool_and_are_replaced_more_slowly() {
    let dspex = framed().restart_intensity(2, Duration::from_secs(6)).start().await.unwrap();
    let mut events = dspex.pool_events();
    for _ in 0..4 {
        eventually("there is a worker", || dspex.load().ready_workers == 1).await;
        let pid = worker_pids(&dspex)[0];
        kill(pid, "SEGV");
        eventually("it is gone", || !worker_pids(&dspex).contains(&pid)).await;
    }
    let wait = find(&mut events, |event| match event.change {
        PoolChange::BackingOff { wait, .. } => Some(wait),
        _ => None,
    });
    assert!((Duration::from_millis(79)..Duration::from_millis(121)).contains(&wait.await));
    let cause = find(&mut events, |event| match &event.change {
        PoolChange::Degraded { cause } => Some(cause.clone()),
        _ => None,
    });
    assert_eq!(cause.await, WorkerEnd::Signal(11));
    find(&mut events, |event| (event.change == PoolChange::Recovered).then_some(())).await;
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_worker_is_replaced_within_a_tenth_of_a_second() {
    let dspex = framed().workers(2).restart_intensity(1000, Duration::from_secs(60)).start().await.unwrap();
    eventually("both workers are ready", || dspex.load().ready_workers == 2).await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let (mut events, begun) = (dspex.pool_events(), Instant::now());
        kill(worker_pids(&dspex)[0], "KILL");
        find(&mut events, |event| matches!(event.change, PoolChange::Ready { .. }).then_some(())).await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!(
        "full capacity again after {:?} (median), {:?} (worst of {})",
        times[10],
        times[19],
        times.len()
    );
    assert!(times[10] < Duration::from_millis(100), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zygote_that_hangs_is_replaced_and_costs_no_worker() {
    let dspex = framed()
        .workers(2)
        .heartbeat(Duration::from_millis(50), Duration::from_millis(600))
        .start()
        .await
        .unwrap();
    eventually("both workers are ready", || dspex.load().ready_workers == 2).await;
    let (mut events, pids) = (dspex.pool_events(), worker_pids(&dspex));
    let zygote = parent_of(pids[0]);
    kill(zygote, "STOP");
    let reason = find(&mut events, |event| match &event.change {
        PoolChange::ZygoteLost { reason } => Some(reason.clone()),
        _ => None,
    })
    .await;
    assert!(reason.contains("did not answer"), "{reason}");
    eventually("the stopped zygote is gone", || !is_alive(zygote)).await;
    find(&mut events, |event| matches!(event.change, PoolChange::ZygoteWarm { .. }).then_some(())).await;
    assert_eq!(worker_pids(&dspex), pids, "the workers went on");
    kill(pids[0], "KILL");
    let full = || dspex.load().ready_workers == 2 && !worker_pids(&dspex).contains(&pids[0]);
    eventually("the pool is complete again", full).await;
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_started_ends_with_it() {
    let dspex = framed().start().await.unwrap();
    for new_session in [false, true] {
        let child = call(&dspex, "start_child", json!([new_session])).await.unwrap().as_u64().unwrap() as u32;
        assert!(is_alive(child));
        let pid = worker_pids(&dspex)[0];
        kill(pid, "KILL");
        eventually("its child is gone", || !is_alive(child)).await;
        eventually("there is another worker", || worker_pids(&dspex).first().is_some_and(|new| *new != pid))
            .await;
    }
    let child = call(&dspex, "start_child", json!([false])).await.unwrap().as_u64().unwrap() as u32;
    drop(dspex);
    eventually("and so when the pool ends it", || !is_alive(child)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_started_ends_with_it_also_without_the_zygote_that_forked_it() {
    let dspex = framed().start().await.unwrap();
    let mut events = dspex.pool_events();
    let child = call(&dspex, "start_child", json!([false])).await.unwrap().as_u64().unwrap() as u32;
    let pid = worker_pids(&dspex)[0];
    kill(parent_of(pid), "KILL");
    find(&mut events, |event| matches!(event.change, PoolChange::ZygoteLost { .. }).then_some(())).await;
    assert!(is_alive(pid) && is_alive(child), "they do not need it");
    kill(pid, "SEGV");
    eventually("its child is gone", || !is_alive(child)).await;
    eventually("there is another worker", || worker_pids(&dspex).first().is_some_and(|new| *new != pid))
        .await;
    assert_serves(&dspex).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_while_the_pool_ends_does_not_make_it_look_ended() {
    let dspex = framed().workers(2).start().await.unwrap();
    eventually("both are ready", || dspex.load().ready_workers == 2).await;
    let running = tokio::spawn({
        let dspy = dspex.dspy();
        async move { dspy.call(&program("sleep"), &json!([600]), &json!({})).await }
    });
    eventually("it runs", || dspex.load().in_flight == 1).await;
    let workers = dspex.status().await.pools.remove(0).workers;
    let idle = workers.iter().find(|worker| worker.in_flight == 0).and_then(|worker| worker.pid).unwrap();
    let mut events = dspex.pool_events();
    let ending = tokio::spawn({
        let dspex = dspex.clone();
        async move { dspex.shutdown(Duration::from_secs(600)).await }
    });
    find(&mut events, |event| (event.change == PoolChange::ShuttingDown).then_some(())).await;
    kill(idle, "KILL");
    find(&mut events, |event| matches!(event.change, PoolChange::Ready { .. }).then_some(())).await;
    assert_eq!(dspex.status().await.pools[0].state, PoolState::ShuttingDown);
    assert!(dspex.health_check().await.live);
    dspex.shutdown(Duration::ZERO).await;
    ending.await.unwrap();
    assert!(matches!(running.await.unwrap(), Err(Error::Cancelled(_))));
    assert_eq!(dspex.status().await.pools[0].state, PoolState::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_in_the_worker_and_one_without_memory_says_so() {
    let limits = WorkerLimits::new().memory_bytes(1 << 30).open_files(128);
    let dspex = framed().worker_limits(limits).start().await.unwrap();
    let seen = call(&dspex, "limits", json!([])).await.unwrap();
    println!("{seen}");
    assert_eq!(seen["core"], 0);
    assert_eq!(seen["data"], 1u64 << 30);
    assert_eq!(seen["files"], 128);
    assert_eq!(seen["no_new_privileges"], "1");
    let error = call(&dspex, "take_memory", json!([2048])).await.unwrap_err();
    let Error::Python(error) = error else { panic!("{error}") };
    assert!(error.is_instance("MemoryError"), "{error}");
    assert_eq!(call(&dspex, "take_memory", json!([64])).await.unwrap(), json!(64 << 20));
    let end = end_of(call(&dspex, "end_saying_memory_error", json!([])).await.unwrap_err());
    let WorkerEnd::OutOfMemory { signal: Some(6), evidence } = end else { panic!("{end}") };
    assert!(evidence.contains("1024 MiB") && evidence.contains("bad_alloc"), "{evidence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_limit_that_no_worker_could_live_with_is_a_clear_error_at_start() {
    let limits = WorkerLimits::new().memory_bytes(1 << 20);
    let error = framed().worker_limits(limits).start().await.unwrap_err().to_string();
    assert!(error.contains("1048576 bytes is too small") && error.contains("allow at least"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_cancels_what_outlives_its_patience_and_kills_what_ignores_that() {
    let dspex = framed().cancel_grace(Duration::from_millis(300)).start().await.unwrap();
    let (mut events, pid) = (dspex.pool_events(), worker_pids(&dspex)[0]);
    let polite = tokio::spawn({
        let dspy = dspex.dspy();
        async move { dspy.call(&program("sleep"), &json!([600]), &json!({})).await }
    });
    let rude = spawn(&dspex, "ignore_cancellation", json!([600]));
    eventually("both run", || dspex.load().in_flight == 2).await;
    assert_serves(&dspex).await;
    let begun = Instant::now();
    dspex.shutdown(Duration::from_millis(100)).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let error = polite.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error}");
    let end = end_of(rude.await.unwrap().unwrap_err());
    assert!(matches!(end, WorkerEnd::IgnoredCancellation { .. } | WorkerEnd::Shutdown), "{end}");
    find(&mut events, |event| (event.change == PoolChange::ShuttingDown).then_some(())).await;
    eventually("the worker is gone", || !is_alive(pid)).await;
}
