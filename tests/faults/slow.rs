//! Readers that stop.

use std::pin::pin;
use std::time::Duration;

use dspex::{CallEvent, Error};
use futures::StreamExt;
use serde_json::json;

use crate::crashes::resident_megabytes;
use crate::harness::{Census, Line, Outcome, Tally, builder, run, worker_megabytes};

/// An item has a tenth of a megabyte; all of them together have two hundred.
const ITEMS: usize = 2000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_holds_its_generator_up_and_costs_no_memory() {
    let census = Census::begin().await;
    let dspex = builder(1).start().await.unwrap();
    let session = dspex.session();
    let _tool = session.tools().register_python("dspex_fault_programs.large_items").await.unwrap();
    let mut tally = Tally::default();
    let mut peak = 0.0_f64;
    let (host, worker) = (resident_megabytes(), worker_megabytes(&dspex));
    let mut stream = pin!(session.tools().stream("large_items", json!({"count": ITEMS})).unwrap());
    let (mut seen, mut answers) = (0, Vec::new());
    while let Some(event) = stream.next().await {
        let (index, value) = match event {
            Ok(CallEvent::Item { index, value }) => (index, value),
            Ok(CallEvent::Done(answer)) => {
                answers.push(answer);
                continue;
            }
            other => {
                tally.unexplained.push(format!("{other:?}"));
                continue;
            }
        };
        let letters = value.as_str().map(str::len);
        if index != seen || letters != Some(100_000) {
            tally.unexplained.push(format!("item {index} of {letters:?} letters came as number {seen}"));
        }
        seen += 1;
        if seen == 3 || seen == ITEMS / 2 {
            // Meanwhile the worker is there for others.
            for number in 0..20 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                tally.note(
                    &json!(number),
                    run(&dspex, "echo", json!({"value": number})).await,
                    |_: &Error| Outcome::Unexplained,
                );
                peak = peak.max(resident_megabytes() - host).max(worker_megabytes(&dspex) - worker);
            }
        }
    }
    assert_eq!(answers.len(), 1, "one answer: {answers:?}");
    if seen != ITEMS {
        tally.lost.push(format!("{} items", ITEMS - seen));
    }
    drop((_tool, answers));
    drop((session, dspex));
    let leftovers = census.end().await;
    let note = format!("items={seen} grew={peak:.1}MB");
    Line { note, ..Line::new("slow_consumer", 2, tally, leftovers) }.check();
    assert!(peak < 24.0, "memory grew by {peak:.1} MB");
}
