//! What it costs a call that somebody listens to its spans and metrics.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::{program, recorder, start_without_lm};
use serde_json::json;

const CALLS: usize = 200;

/// The times of calls that do nothing, one after the other.
async fn calls(dspex: &dspex::Dspex) -> Vec<Duration> {
    let (dspy, path) = (dspex.dspy(), program("echo"));
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        dspy.call(&path, &json!([7]), &json!({})).await.unwrap();
        times.push(begun.elapsed());
    }
    times
}

fn p50(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// On one thread, so that a listener of this thread hears everything, and by turns, so that both meet the same machine.
#[tokio::test]
async fn a_call_that_is_listened_to_is_hardly_slower_than_one_that_is_not() {
    let dspex = start_without_lm(dspex::Carrier::Framed).await;
    calls(&dspex).await;
    let (mut alone, mut heard) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        alone.extend(calls(&dspex).await);
        let spans = tracing_subscriber::fmt().with_writer(std::io::sink).with_max_level(tracing::Level::INFO);
        let spans = spans.with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE).finish();
        let _spans = tracing::subscriber::set_default(spans);
        let _metrics = recorder::for_this_thread();
        heard.extend(calls(&dspex).await);
    }
    assert!(recorder::observed("dspex_call_seconds{pool=default,outcome=ok}").len() >= heard.len());
    let (alone, heard) = (p50(alone), p50(heard));
    println!("call_p50_us = {}\nlistened_to_call_p50_us = {}", alone.as_micros(), heard.as_micros());
    // Far above what it takes, without optimisation and on a busy machine.
    assert!(heard < alone * 2 + Duration::from_millis(1), "{heard:?} against {alone:?}");
}
