//! Readers that stop.

use std::pin::pin;
use std::time::Duration;

use dspex::{CallEvent, Error};
use futures::StreamExt;
use serde_json::json;

use crate::harness::{Census, Line, Outcome, Tally, builder, host_megabytes, run, worker_megabytes};

/// An item has a tenth of a megabyte; all of them together have two hundred.
const ITEMS: usize = 2000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_holds_its_generator_up_and_costs_no_memory() {
    let census = Census::begin().await;
    let dspex = builder(1).start().await.unwrap();
    let session = dspex.session();
    let _tool = session.tools().register_python("dspex_fault_programs.large_items").await.unwrap();
    let mut tally = Tally::default();
    let (mut of_host, mut of_worker) = (0.0_f64, 0.0_f64);
    let (host, worker) = (host_megabytes(), worker_megabytes(&dspex));
    let mut stream = pin!(session.tools().stream("large_items", json!({"count": ITEMS})).unwrap());
    let (mut seen, mut ahead, mut answers) = (0, 0, Vec::new());
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
                let made = run(&dspex, "items_made", json!({})).await.unwrap().as_u64().unwrap();
                ahead = ahead.max(made as usize - seen);
                tally.note(
                    &json!(number),
                    run(&dspex, "echo", json!({"value": number})).await,
                    |_: &Error| Outcome::Unexplained,
                );
                of_host = of_host.max(host_megabytes() - host);
                of_worker = of_worker.max(worker_megabytes(&dspex) - worker);
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
    let note =
        format!("items={seen} made_ahead={ahead} host_grew={of_host:.1}MB worker_grew={of_worker:.1}MB");
    Line { note, ..Line::new("slow_consumer", 2, tally, leftovers) }.check();
    // A window on the wire and one before the reader, of a megabyte each.
    assert!(ahead <= 64, "{ahead} items were made for a reader who had stopped");
    // Of two hundred; allocators keep some of what they are given back.
    assert!(
        of_host < 64.0 && of_worker < 32.0,
        "the host grew by {of_host:.1} MB, the worker by {of_worker:.1} MB"
    );
}
