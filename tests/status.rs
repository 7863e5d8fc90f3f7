//! `Dspex::status` and health: true while the pool is ready, busy, loses workers, and is shut down.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::{
    builder, eventually, is_alive, kill, on_both_carriers, parent_of, program, start_without_lm, worker_pids,
};
use dspex::prelude::*;
use dspex::testing::ScriptedLm;
use dspex::{BreakerState, Carrier, PoolState, Verdict, WorkerState};
use serde_json::{Value, json};

async fn echo(dspex: &Dspex) {
    dspex.dspy().call(&program("echo"), &json!([1]), &json!({})).await.unwrap();
}

/// A call that takes a place until it is aborted.
async fn occupy(dspex: &Dspex, places: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let tasks = (0..places)
        .map(|_| {
            let dspex = dspex.clone();
            tokio::spawn(async move {
                let _ = dspex.dspy().call(&program("sleep"), &json!([600]), &json!({})).await;
            })
        })
        .collect();
    eventually("the places are taken", || dspex.load().in_flight == places).await;
    tasks
}

on_both_carriers! {
    async fn the_status_of_a_pool_that_is_ready_says_what_there_is(carrier: Carrier) {
        let lm = ScriptedLm::new([json!({"answer": "42"})]);
        let dspex = builder(carrier).lm(Lm::host(lm)).workers(2).start().await.unwrap();
        eventually("both workers are ready", || dspex.load().ready_workers == 2).await;
        let session = dspex.session();
        session.variables().create("x", dspex::state::VarSpec::integer(), 1).await.unwrap();
        dspex.predict("question -> answer", &json!({"question": "What is 6 times 7?"})).await.unwrap();
        let status = dspex.status().await;
        let pool = &status.pools[0];
        assert_eq!((pool.name.as_str(), &pool.state), ("default", &PoolState::Ready));
        assert_eq!(pool.runs.as_ref().unwrap().dspy, "3.4.1");
        assert_eq!((pool.workers.len(), pool.workers_wanted), (2, 2));
        let pids: Vec<_> = pool.workers.iter().map(|worker| worker.pid.unwrap()).collect();
        assert!(pids[0] != pids[1] && pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
        assert_eq!(parent_of(pids[0]), parent_of(pids[1]), "both are the zygote's");
        assert!(pool.workers.iter().all(|worker| worker.state == WorkerState::Ready && worker.generation == 1));
        assert_eq!(pool.workers.iter().map(|worker| worker.calls).sum::<u64>(), 1);
        assert_eq!((pool.restarts, pool.recycled, pool.zygotes_lost), (0, 0, 0));
        assert_eq!(status.open_sessions, 1);
        assert_eq!((status.models[0].calls, status.models[0].failed, status.models[0].breaker), (1, 0, BreakerState::Closed));
        let store = status.store.unwrap();
        assert_eq!((store.sessions, store.variables), (1, 1));
    }

    async fn the_status_is_json_for_machines_and_text_for_people(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let status = dspex.status().await;
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["pools"][0]["state"], json!({"is": "ready"}));
        assert_eq!(json["pools"][0]["workers"][0]["state"], json!("ready"));
        assert!(json["uptime_seconds"].as_f64().unwrap() >= 0.0);
        assert_eq!(json["pools"][0]["load"]["retry_after_seconds"], Value::Null);
        let text = status.to_string();
        for part in ["pool default: ready", "DSPy 3.4.1", "worker 0.1 ready, process", "places taken", "store: 0 sessions"] {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
    }

    async fn a_worker_that_was_killed_is_in_the_status_with_its_end(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        kill(worker_pids(&dspex)[0], "SEGV");
        let restarted = async {
            loop {
                let status = dspex.status().await;
                let worker = status.pools[0].workers[0].clone();
                if worker.generation > 1 && worker.state == WorkerState::Ready && worker.last_end.is_some() {
                    break (status, worker);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let (status, worker) = tokio::time::timeout(Duration::from_secs(20), restarted).await.unwrap();
        assert_eq!((worker.restarts, status.pools[0].restarts), (1, 1));
        let end = worker.last_end.unwrap();
        assert_eq!(end.cause, "signal", "{}", end.text);
        assert!(end.text.contains("segmentation fault"), "{}", end.text);
        echo(&dspex).await;
    }

    async fn workers_say_how_much_memory_they_use(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let known = async {
            loop {
                let worker = dspex.status().await.pools[0].workers[0].clone();
                // The system tells of its memory, and the worker of the rest, whichever is first.
                let told = worker.loop_lag.is_some() && worker.sync_threads_busy == Some(0);
                if let (Some(rss), Some(pss)) = (worker.rss_bytes, worker.pss_bytes)
                    && (told || carrier != Carrier::Framed)
                {
                    break (rss, pss);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let (rss, pss) = tokio::time::timeout(Duration::from_secs(30), known).await.unwrap();
        assert!((1 << 20) < pss && pss <= rss && rss < (1 << 30), "{rss} {pss}");
    }

    async fn a_saturated_pool_is_live_and_not_ready_and_says_so_at_once(carrier: Carrier) {
        let dspex = builder(carrier).in_flight_per_worker(1).queue_limit(0).start().await.unwrap();
        let health = dspex.health_check().await;
        assert!(health.live && health.ready && health.verdict == Verdict::Healthy, "{health:?}");
        let running = occupy(&dspex, 1).await;
        let begun = Instant::now();
        let health = dspex.health_check().await;
        assert!(begun.elapsed() < Duration::from_secs(1), "it waits for no place");
        assert!(health.live && !health.ready);
        let Verdict::Degraded(reasons) = &health.verdict else { panic!("{health:?}") };
        assert!(reasons[0].contains("saturated"), "{reasons:?}");
        let PoolState::Degraded { .. } = dspex.status().await.pools[0].state else { panic!() };
        running.iter().for_each(tokio::task::JoinHandle::abort);
    }

    async fn a_pool_that_was_shut_down_still_has_a_status(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        dspex.shutdown(Duration::ZERO).await;
        let status = dspex.status().await;
        assert_eq!(status.pools[0].state, PoolState::Stopped);
        assert!(status.pools[0].workers.iter().all(|worker| worker.state == WorkerState::Stopped), "{status}");
        let health = dspex.health_check().await;
        assert!(!health.live && !health.ready && matches!(health.verdict, Verdict::Down(_)), "{health:?}");
        assert!(matches!(dspex.probe(Duration::from_secs(1)).await.verdict, Verdict::Down(_)));
    }

    async fn a_probe_is_answered_by_a_worker_and_waits_no_longer_than_it_may(carrier: Carrier) {
        let dspex = builder(carrier).in_flight_per_worker(1).start().await.unwrap();
        let health = dspex.probe(Duration::from_secs(30)).await;
        assert_eq!(health.verdict, Verdict::Healthy);
        assert_eq!(dspex.status().await.pools[0].workers[0].calls, 1);
        let running = occupy(&dspex, 1).await;
        let begun = Instant::now();
        let health = dspex.probe(Duration::from_millis(100)).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
        let Verdict::Degraded(reasons) = &health.verdict else { panic!("{health:?}") };
        assert!(reasons[0].contains("all places were taken"), "{reasons:?}");
        running.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// The middle of 200 times, after one that warms up.
async fn p50<T>(mut ask: impl AsyncFnMut() -> T) -> Duration {
    let mut times = Vec::new();
    for _ in 0..=200 {
        let begun = Instant::now();
        ask().await;
        times.push(begun.elapsed());
    }
    times[1..].sort_unstable();
    times[101]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_status_are_cheap_enough_to_be_asked_each_second() {
    let dspex = start_without_lm(Carrier::Framed).await;
    let health = p50(async || dspex.health_check().await).await;
    let status = p50(async || assert!(dspex.status().await.store.is_some())).await;
    println!("health_check_p50_us = {}\nstatus_p50_us = {}", health.as_micros(), status.as_micros());
    // Far above what they take, without optimisation and on a busy machine.
    assert!(health < Duration::from_millis(2), "{health:?}");
    assert!(status < Duration::from_millis(20), "{status:?}");
}
