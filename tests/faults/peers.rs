//! Workers that break the protocol.

use std::time::Instant;

use dspex::{Error, WorkerEnd};
use serde_json::json;

use crate::common::worker_pids;
use crate::harness::{Census, Line, Outcome, Tally, builder, full_again, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_answer_of_a_call_is_nobodys_answer() {
    const RUNS: usize = 200;
    let census = Census::begin().await;
    let dspex = builder(1).start().await.unwrap();
    let mut tally = Tally::default();
    for number in 0..RUNS {
        let (twice, beside) = tokio::join!(
            run(&dspex, "answer_twice", json!({"value": number})),
            run(&dspex, "echo", json!({"value": number}))
        );
        // The first one counts; the worker's own comes too late.
        tally.note(&json!("by hand"), twice, |_| Outcome::Unexplained);
        tally.note(&json!(number), beside, |_| Outcome::Unexplained);
        tally.note(&json!(-1), run(&dspex, "echo", json!({"value": -1})).await, |_| Outcome::Unexplained);
    }
    drop(dspex);
    let leftovers = census.end().await;
    Line::new("answered_twice", RUNS, tally, leftovers).check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_wire_costs_the_worker_that_sent_it() {
    let kinds = ["length", "frame", "noise", "hello"];
    let census = Census::begin().await;
    let (mut tally, mut detection, mut recovery) = (Tally::default(), Vec::new(), Vec::new());
    for kind in kinds {
        let dspex = builder(2).start().await.unwrap();
        full_again(&dspex, 2, &[], Instant::now()).await;
        let before = crate::common::worker_pids(&dspex);
        let since = Instant::now();
        tally.note(&json!("never"), run(&dspex, "send_garbage", json!({"kind": kind})).await, |error| {
            match error {
                Error::OutcomeUnknown { end: WorkerEnd::Garbage(_) } => Outcome::Explained("garbage"),
                _ => Outcome::Unexplained,
            }
        });
        detection.push(since.elapsed());
        let gone = || before.iter().copied().filter(|pid| !crate::common::is_alive(*pid)).collect::<Vec<_>>();
        crate::common::eventually("the worker is ended", || gone().len() == 1).await;
        recovery.push(full_again(&dspex, 2, &gone(), since).await);
        for number in 0..20 {
            tally.note(&json!(number), run(&dspex, "echo", json!({"value": number})).await, |_| {
                Outcome::Unexplained
            });
        }
    }
    let leftovers = census.end().await;
    Line { detection, recovery, ..Line::new("garbage_frames", kinds.len(), tally, leftovers) }.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_announced_as_longer_than_any_may_be_costs_the_call_that_it_is_of_and_no_worker() {
    let census = Census::begin().await;
    let dspex = builder(1).start().await.unwrap();
    let (before, mut tally, since) = (worker_pids(&dspex), Tally::default(), Instant::now());
    // It is of the worker's first call, which is this one.
    let announced = run(&dspex, "send_garbage", json!({"kind": "fragment"})).await;
    let detection = vec![since.elapsed()];
    tally.note(&json!("never"), announced, |error| match error {
        Error::TooLarge { size, .. } if *size == 1 << 60 => Outcome::Explained("too large"),
        _ => Outcome::Unexplained,
    });
    crate::common::eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
    let recovery = vec![since.elapsed()];
    for number in 0..20 {
        let answer = run(&dspex, "echo", json!({"value": number})).await;
        tally.note(&json!(number), answer, |_| Outcome::Unexplained);
    }
    assert_eq!(worker_pids(&dspex), before);
    drop(dspex);
    let leftovers = census.end().await;
    Line { detection, recovery, ..Line::new("length_announced", 1, tally, leftovers) }.check();
}
