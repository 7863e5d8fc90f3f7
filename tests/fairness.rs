//! A session with many calls does not hold up one with few.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::{builder, eventually, program};
use dspex::PoolError;
use dspex::prelude::*;
use serde_json::json;

const CALL: Duration = Duration::from_millis(10);

async fn sleep(session: &Session, time: Duration) -> dspex::Result<()> {
    let args = json!([time.as_secs_f64()]);
    session.dspy().call(&program("sleep"), &args, &json!({})).await.map(drop)
}

/// How much longer than their work the calls of a session take, one after the other: the median and the 99th percentile.
async fn waits(session: &Session, calls: usize) -> (Duration, Duration) {
    let mut waits = Vec::new();
    for _ in 0..calls {
        let started = Instant::now();
        sleep(session, CALL).await.unwrap();
        waits.push(started.elapsed().saturating_sub(CALL));
    }
    waits.sort();
    (waits[calls / 2], waits[calls * 99 / 100])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_session_costs_a_quiet_one_no_more_than_about_one_place() {
    let dspex = builder(dspex::Carrier::Framed).in_flight_per_worker(2).start().await.unwrap();
    let (noisy, quiet) = (dspex.session(), dspex.session());
    let alone = waits(&quiet, 100).await;
    let crowd: Vec<_> = (0..32)
        .map(|_| {
            let noisy = noisy.clone();
            tokio::spawn(async move {
                loop {
                    sleep(&noisy, CALL).await.unwrap();
                }
            })
        })
        .collect();
    eventually("thirty of them wait", || dspex.load().queued >= 30).await;
    let beside = waits(&quiet, 100).await;
    let started = Instant::now();
    sleep(&noisy, CALL).await.unwrap();
    let own = started.elapsed().saturating_sub(CALL);
    println!(
        "fairness: a quiet session waits p50 {:.1?}, p99 {:.1?} beside 32 noisy tasks on 2 places; alone p50 {:.1?}, p99 {:.1?}; \
         one more noisy call waits {own:.1?}",
        beside.0, beside.1, alone.0, alone.1
    );
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
    // It waits for one place at most, which comes free within one call; in one line with all others it would be sixteen.
    assert!(beside.0 < CALL * 8, "{beside:?}");
    assert!(own > beside.0 * 3, "the noisy session waits for itself: {own:?} and {beside:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_session_finds_room_in_a_queue_that_a_noisy_one_has_filled() {
    let dspex = builder(dspex::Carrier::Framed).in_flight_per_worker(1).queue_limit(8).start().await.unwrap();
    let (noisy, quiet) = (dspex.session(), dspex.session());
    let spawn = |session: &Session, time| {
        let session = session.clone();
        tokio::spawn(async move { sleep(&session, time).await })
    };
    let running = spawn(&noisy, Duration::from_secs(600));
    eventually("the place is taken", || dspex.load().in_flight == 1).await;
    let mut waiting = Vec::new();
    for number in 1..=8 {
        waiting.push(spawn(&noisy, Duration::from_secs(600)));
        // One after the other, so that it is known who came last.
        eventually("it waits", || dspex.load().queued == number).await;
    }
    let error = sleep(&noisy, CALL).await.unwrap_err();
    assert!(matches!(error, Error::Pool(PoolError::Saturated(_))), "{error}");
    let served = spawn(&quiet, CALL);
    eventually("it has a line of its own", || dspex.load().waiting_sessions == 2).await;
    assert_eq!(dspex.load().queued, 8, "one of the others made room");
    running.abort();
    // Whoever came last of the noisy ones was turned away, and the first of them is served first.
    let turned_away = waiting.pop().unwrap().await.unwrap().unwrap_err();
    assert!(matches!(turned_away, Error::Pool(PoolError::Saturated(_))), "{turned_away}");
    eventually("the next one runs", || dspex.load().queued == 7).await;
    waiting.remove(0).abort();
    served.await.unwrap().unwrap();
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("all is free again", || dspex.load().in_flight == 0 && dspex.load().queued == 0).await;
}
