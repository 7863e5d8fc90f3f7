//! Readers that stop: of a stream in the host, and of the connection in a worker.

use std::cell::OnceCell;
use std::pin::pin;
use std::time::{Duration, Instant};

use dspex::{CallEvent, Carrier, Error, WorkerEnd};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::common::{kill, worker_pids};
use crate::harness::{
    Allocated, Census, Line, Outcome, Tally, builder, builder_on, full_again, run, worker_megabytes,
};

/// An item has a tenth of a megabyte; all of them together have two hundred.
const ITEMS: usize = 2000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_holds_its_generator_up_and_costs_no_memory() {
    let census = Census::begin().await;
    // Items that one message holds are the answer as well, all together.
    let dspex = builder(1).max_message_bytes(1 << 20).start().await.unwrap();
    let session = dspex.session();
    let _tool = session.tools().register_python("dspex_fault_programs.large_items").await.unwrap();
    let mut tally = Tally::default();
    let (host, worker, mut of_worker) = (Allocated::since_now(), worker_megabytes(&dspex), 0.0_f64);
    let mut recovery = Vec::new();
    let mut went_on = None::<Instant>;
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
        recovery.extend(went_on.take().map(|since| since.elapsed()));
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
                of_worker = of_worker.max(worker_megabytes(&dspex) - worker);
            }
            went_on = Some(Instant::now());
        }
    }
    assert_eq!(answers, [Value::Null], "they are more than one message holds");
    if seen != ITEMS {
        tally.lost.push(format!("{} items", ITEMS - seen));
    }
    let of_host = host.most_megabytes();
    drop((_tool, answers));
    drop((session, dspex));
    let leftovers = census.end().await;
    let note =
        format!("items={seen} made_ahead={ahead} host_grew={of_host:.1}MB worker_grew={of_worker:.1}MB");
    Line { recovery, note, ..Line::new("slow_consumer", 2, tally, leftovers) }.check();
    // A window on the wire and one before the reader, of a megabyte each.
    assert!(ahead <= 64, "{ahead} items were made for a reader who had stopped");
    // Of two hundred. A worker's allocator keeps some of what it is given back.
    assert!(
        of_host < 16.0 && of_worker < 32.0,
        "the host grew by {of_host:.1} MB, the worker by {of_worker:.1} MB"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_does_not_read_is_replaced_and_costs_the_host_no_memory() {
    for (carrier, how) in
        [(Carrier::Framed, "stopped"), (Carrier::Framed, "blocked"), (Carrier::Grpc, "stopped")]
    {
        deaf(carrier, how).await;
    }
}

/// Sends far more than may wait for one worker to one that reads nothing.
async fn deaf(carrier: Carrier, how: &str) {
    const CALLS: usize = 100;
    const LETTERS: usize = 400_000;
    let census = Census::begin().await;
    let dspex = builder_on(carrier, 1)
        .in_flight_per_worker(CALLS)
        .max_message_bytes(1 << 20)
        .heartbeat(Duration::from_millis(200), Duration::from_secs(2))
        .start()
        .await
        .unwrap();
    full_again(&dspex, 1, &[], Instant::now()).await;
    let session = dspex.session();
    let (dspy, none) = (session.dspy(), json!([]));
    let arguments = json!({"text": "x".repeat(LETTERS)});
    let letters = || dspy.call("dspex_fault_programs.letters", &none, &arguments);
    // What is allocated once, and kept.
    letters().await.unwrap();
    let (mut tally, victim, memory) = (Tally::default(), worker_pids(&dspex)[0], Allocated::since_now());
    let explain = |error: &Error| match error {
        Error::OutcomeUnknown { end: WorkerEnd::Unresponsive { .. } } => Outcome::Explained("unresponsive"),
        _ => Outcome::Unexplained,
    };
    let since = Instant::now();
    let blocked = tokio::spawn({
        let (dspex, how) = (dspex.clone(), how.to_owned());
        async move {
            match how.as_str() {
                "blocked" => run(&dspex, "block_the_loop", json!({"seconds": 600})).await.map(drop),
                _ => {
                    kill(victim, "STOP");
                    Ok(())
                }
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Until the first call ends: while the worker reads nothing.
    let grown = OnceCell::new();
    let calls = (0..CALLS).map(|_| async {
        let outcome = letters().await;
        grown.get_or_init(|| memory.most_megabytes());
        (outcome, since.elapsed())
    });
    let calls = futures::future::join_all(calls).await;
    let mut detection = Vec::new();
    for (outcome, told) in calls {
        if tally.note(&json!(LETTERS), outcome, explain) {
            detection.push(told);
        }
    }
    if let Err(error) = blocked.await.unwrap() {
        tally.note(&json!("never"), Err(error), explain);
    }
    let recovery = vec![full_again(&dspex, 1, &[victim], since).await];
    drop((dspy, session, dspex));
    let leftovers = census.end().await;
    let grown = grown.into_inner().expect("a call ended");
    let inputs = (CALLS * LETTERS) as f64 / 1048576.0;
    let note = format!("carrier={carrier:?} how={how} inputs={inputs:.0}MB host_grew={grown:.0}MB");
    let failed = tally.failed();
    Line { detection, recovery, note, ..Line::new("worker_reads_nothing", 1, tally, leftovers) }.check();
    assert!(failed > 0, "nothing was on the worker");
    // Those that ended with the worker are those that were given to it: one message over the limit of what may wait, and what the
    // socket holds. All others waited with their callers, and were served by its successor.
    assert!(failed * LETTERS < 4 << 20, "{failed} calls of {LETTERS} bytes were queued for it");
    // Each call holds its inputs, in a buffer that has grown to at most twice their size. What is queued for the worker comes on top.
    assert!(grown < inputs * 2.0 + 8.0, "the host grew by {grown:.0} MB");
}
