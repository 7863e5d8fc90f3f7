//! Workers that break the protocol.

use std::time::{Duration, Instant};

use dspex::Error;
use serde_json::json;

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
    let kinds = ["length", "frame", "noise"];
    let census = Census::begin().await;
    let (mut tally, mut detection, mut recovery) = (Tally::default(), Vec::new(), Vec::new());
    for kind in kinds {
        let dspex = builder(2).cancel_grace(Duration::from_millis(200)).start().await.unwrap();
        full_again(&dspex, 2, &[], Instant::now()).await;
        let before = crate::common::worker_pids(&dspex);
        let since = Instant::now();
        tally.note(&json!("never"), run(&dspex, "send_garbage", json!({"kind": kind})).await, |error| {
            match error {
                Error::OutcomeUnknown { .. } => Outcome::Explained("outcome unknown"),
                Error::TooLarge { .. } => Outcome::Explained("too large"),
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
