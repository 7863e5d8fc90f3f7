//! Workers that are there and do nothing, or the wrong thing.

use std::time::{Duration, Instant};

use dspex::prelude::*;
use dspex::{Error, PoolChange, Retirement, WorkerEnd};
use serde_json::{Value, json};

use crate::common::{is_alive, kill, worker_pids};
use crate::harness::{Census, Line, Outcome, Tally, builder, full_again, run, worker_megabytes};

/// A sign of life is wanted so often, and missed for so long at most.
const EVERY: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(2);

/// Half of the patience is for workers that are stopped; the rest is a loaded machine's.
const NOTICED: Duration = Duration::from_secs(7);

fn nothing(_: &Error) -> Outcome {
    Outcome::Unexplained
}

/// The error of a call whose worker was found to do nothing.
fn unresponsive(error: &Error) -> Outcome {
    match error {
        Error::OutcomeUnknown { end: WorkerEnd::Unresponsive { .. }, .. } => {
            Outcome::Explained("unresponsive")
        }
        _ => Outcome::Unexplained,
    }
}

async fn pool() -> Dspex {
    let dspex = builder(2).heartbeat(EVERY, PATIENCE).start().await.unwrap();
    full_again(&dspex, 2, &[], Instant::now()).await;
    dspex
}

/// Has a call hang its worker, and counts what becomes of it and of others meanwhile.
async fn hang(fault: &'static str, program: &'static str, arguments: Value) {
    let census = Census::begin().await;
    let dspex = pool().await;
    let (mut tally, since) = (Tally::default(), Instant::now());
    let before = worker_pids(&dspex);
    let hanging = tokio::spawn({
        let dspex = dspex.clone();
        async move { run(&dspex, program, arguments).await }
    });
    let outcome = hanging.await.unwrap();
    let detection = vec![since.elapsed()];
    tally.note(&json!("never"), outcome, unresponsive);
    let gone = || before.iter().copied().filter(|pid| !is_alive(*pid)).collect::<Vec<_>>();
    crate::common::eventually("the worker is ended", || !gone().is_empty()).await;
    assert_eq!(gone().len(), 1, "one worker and no more");
    let recovery = vec![full_again(&dspex, 2, &gone(), Instant::now()).await];
    for number in 0..20 {
        tally.note(&json!(number), run(&dspex, "echo", json!({"value": number})).await, nothing);
    }
    drop(dspex);
    let leftovers = census.end().await;
    assert!(detection[0] < NOTICED, "it took {:?}", detection[0]);
    Line { detection, recovery, ..Line::new(fault, 1, tally, leftovers) }.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_loop_is_blocked_is_replaced() {
    hang("loop_blocked", "block_the_loop", json!({"seconds": 600})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_spins_in_c_and_ignores_every_signal_is_replaced() {
    hang("spins_in_c", "spin_in_c", json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_is_replaced_and_costs_only_the_calls_that_it_ran() {
    const RUNS: usize = 2;
    let census = Census::begin().await;
    let dspex = pool().await;
    let (mut tally, mut detection, mut recovery) = (Tally::default(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let victim = worker_pids(&dspex)[0];
        // A call on each worker: one of them is on the one that stops.
        let waits = [0, 1].map(|_| {
            let dspex = dspex.clone();
            tokio::spawn(async move { run(&dspex, "wait", json!({"seconds": 3})).await })
        });
        crate::common::eventually("both calls run", || dspex.load().in_flight == 2).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let since = Instant::now();
        kill(victim, "STOP");
        let news = async {
            crate::common::eventually("the stopped worker is gone", || !is_alive(victim)).await;
            since.elapsed()
        };
        let others = async {
            let mut tally = Tally::default();
            // Until the worker is suspected, a call may still be given to it; those that were are told its end.
            for number in 0..40 {
                let outcome = run(&dspex, "echo", json!({"value": number})).await;
                tally.note(&json!(number), outcome, unresponsive);
            }
            tally
        };
        let (noticed, others) = tokio::join!(news, others);
        tally.add(others);
        detection.push(noticed);
        recovery.push(full_again(&dspex, 2, &[victim], since).await);
        for wait in waits {
            tally.note(&json!("waited"), wait.await.unwrap(), unresponsive);
        }
    }
    drop(dspex);
    let leftovers = census.end().await;
    assert!(detection.iter().all(|took| *took < NOTICED), "{detection:?}");
    assert!(tally.failed() >= RUNS, "those on the stopped worker are told");
    Line { detection, recovery, ..Line::new("stopped", RUNS, tally, leftovers) }.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_leaks_memory_is_replaced_and_costs_no_call() {
    const LIMIT_MEGABYTES: u64 = 256;
    let census = Census::begin().await;
    let dspex = builder(1)
        .heartbeat(EVERY, PATIENCE)
        .recycle_above_bytes(LIMIT_MEGABYTES << 20)
        .start()
        .await
        .unwrap();
    full_again(&dspex, 1, &[], Instant::now()).await;
    let mut events = dspex.pool_events();
    let (mut tally, mut peak, mut recycled) = (Tally::default(), 0.0_f64, 0);
    let (mut detection, mut recovery) = (Vec::new(), Vec::new());
    // When the worker was seen above the limit, and when its replacement was begun.
    let (mut above, mut noticed) = (None::<Instant>, None::<Instant>);
    let begun = Instant::now();
    while recycled < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the worker was not replaced: {peak:.0} MB");
        tally.note(&json!(8), run(&dspex, "leak", json!({"megabytes": 8})).await, nothing);
        let megabytes = worker_megabytes(&dspex);
        peak = peak.max(megabytes);
        if megabytes > LIMIT_MEGABYTES as f64 {
            above.get_or_insert_with(Instant::now);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        while let Ok(event) = events.try_recv() {
            if event.change == PoolChange::Starting {
                // The limit differs by a tenth, so that it may be noticed before.
                detection.push(above.map_or(Duration::ZERO, |above| above.elapsed()));
                noticed = Some(Instant::now());
            }
            if let PoolChange::Ended { end: WorkerEnd::Recycled(Retirement::Memory(bytes)), .. } =
                event.change
            {
                // Within a tenth, so that not all workers are replaced at once.
                assert!(bytes > (LIMIT_MEGABYTES << 20) / 10 * 9, "{bytes} bytes");
                recycled += 1;
                recovery.extend(noticed.take().map(|noticed| noticed.elapsed()));
                above = None;
            }
        }
    }
    drop((events, dspex));
    let leftovers = census.end().await;
    let note = format!("peak={peak:.0}MB");
    Line { detection, recovery, note, ..Line::new("memory_leaked", recycled, tally, leftovers) }.check();
    assert!(peak < 1024.0, "a worker had {peak:.0} MB");
}
