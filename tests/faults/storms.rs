//! Calls that nobody waits for any more, thousands of them.

use std::time::{Duration, Instant};

use dspex::prelude::*;
use serde_json::json;

use crate::common::{eventually, worker_pids};
use crate::harness::{
    Ask, Census, Dice, Line, Outcome, Parrot, Tally, ask, builder, full_again, host_megabytes,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_dropped_at_random_leave_nothing_behind() {
    const CALLS: usize = 10_000;
    const AT_ONCE: usize = 100;
    let census = Census::begin().await;
    let dspex = builder(2).lm(Lm::host(Parrot(Duration::from_millis(3)))).start().await.unwrap();
    full_again(&dspex, 2, &[], Instant::now()).await;
    let before = worker_pids(&dspex);
    let module = Ask::create(&dspex.session()).await.unwrap();
    let mut tally = Tally::default();
    let mut dice = Dice(9);
    let mut storm = async |calls: usize| {
        let (mut dropped, mut tally) = (0, Tally::default());
        for _ in 0..calls / AT_ONCE {
            let batch = (0..AT_ONCE).map(|number| {
                let patience = Duration::from_micros(dice.below(60_000));
                let (module, question) = (&module, format!("number {number}"));
                async move {
                    let outcome = tokio::time::timeout(patience, ask(module, &question, false)).await;
                    (question, outcome)
                }
            });
            for (question, outcome) in futures::future::join_all(batch).await {
                match outcome {
                    Ok(outcome) => drop(tally.note(&json!(question), outcome, |_| Outcome::Unexplained)),
                    Err(_) => dropped += 1,
                }
            }
        }
        (dropped, tally)
    };
    // What is allocated once, and kept.
    storm(1000).await;
    eventually("the places are free", || dspex.load().in_flight == 0).await;
    let memory = host_megabytes();
    let (dropped, came) = storm(CALLS).await;
    tally.add(came);
    let since = Instant::now();
    eventually("every place is free again", || dspex.load().in_flight == 0 && dspex.load().queued == 0).await;
    let recovery = vec![since.elapsed()];
    let grown = host_megabytes() - memory;
    assert_eq!(worker_pids(&dspex), before, "no worker was given up");
    assert!(dropped > CALLS / 10 && dropped < CALLS, "{dropped} were dropped");
    drop((module, dspex));
    let leftovers = census.end().await;
    let note = format!("dropped={dropped} host_grew={grown:.1}MB");
    Line { recovery, note, ..Line::new("cancelled_storm", CALLS, tally, leftovers) }.check();
    assert!(grown < 16.0, "the host grew by {grown:.1} MB");
}
