//! Workers that an operator started, and that go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dspex::prelude::*;
use serde_json::json;

use crate::common::operator::{Fleet, Operator};
use crate::common::{eventually, kill, program};
use crate::harness::{Census, Line, Outcome, Tally};

const SIZE: usize = 3;
const TASKS: usize = 8;

/// Calls without a pause, and how long after the last kill each failure was told.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<(Tally, Vec<Instant>)>>,
}

impl Load {
    fn on(dspex: &Dspex) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let task = |task: usize| {
            let (dspex, stop, done) = (dspex.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                let (mut tally, mut told) = (Tally::default(), Vec::new());
                for number in 0.. {
                    let value = json!([task, number]);
                    let outcome = dspex.dspy().call(&program("echo"), &json!([value]), &json!({})).await;
                    let failed = tally.note(&value, outcome, |error| match error {
                        Error::OutcomeUnknown { .. } => Outcome::Explained("outcome unknown"),
                        _ => Outcome::Unexplained,
                    });
                    told.extend(failed.then(Instant::now));
                    done.fetch_add(1, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                (tally, told)
            })
        };
        let tasks = (0..TASKS).map(task).collect();
        Self { stop, done, tasks }
    }

    async fn of_calls(&self, calls: usize) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("calls are served", || self.done.load(Ordering::Relaxed) > before + calls).await;
    }

    async fn end(self) -> (Tally, Vec<Instant>) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut tally, mut told) = (Tally::default(), Vec::new());
        for task in self.tasks {
            let (came, when) = task.await.unwrap();
            tally.add(came);
            told.extend(when);
        }
        (tally, told)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_killed_costs_only_the_calls_that_it_had_and_serves_again_when_it_is_back() {
    const RUNS: usize = 2;
    let census = Census::begin().await;
    let mut fleet = Fleet::of(SIZE);
    let dspex = fleet.host().await;
    let load = Load::on(&dspex);
    let mut gone = Vec::new();
    let (mut kills, mut rotation, mut recovery) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        load.of_calls(200).await;
        let since = Instant::now();
        kill(fleet.pid(run), "KILL");
        kills.push(since);
        eventually("it is out of rotation", || dspex.load().ready_workers == SIZE - 1).await;
        rotation.push(since.elapsed());
        load.of_calls(200).await;
        fleet.operators[run].process.wait().unwrap();
        let listen = fleet.endpoints[run].to_string();
        let again = tokio::task::spawn_blocking(move || Operator::start(Some(&listen), None)).await.unwrap();
        // The old one has the directory that the socket is in.
        gone.push(std::mem::replace(&mut fleet.operators[run], again.0));
        let since = Instant::now();
        eventually("it is back", || dspex.load().ready_workers == SIZE).await;
        recovery.push(since.elapsed());
    }
    load.of_calls(200).await;
    let (tally, told) = load.end().await;
    // Those that were told, and those that came later and found it out of rotation.
    let since_kill = |told: Instant| kills.iter().filter(|kill| **kill < told).map(|kill| told - *kill).min();
    let mut detection: Vec<Duration> = told.into_iter().filter_map(since_kill).collect();
    detection.extend(&rotation);
    assert!(tally.failed() <= TASKS * RUNS, "more than the tasks had there: {tally:?}");
    drop((dspex, fleet, gone));
    let leftovers = census.end().await;
    Line { detection, recovery, ..Line::new("endpoint_killed", RUNS, tally, leftovers) }.check();
    assert!(rotation.iter().all(|took| *took < Duration::from_secs(1)), "{rotation:?}");
}
