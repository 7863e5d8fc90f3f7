//! Workers and zygotes that die.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dspex::prelude::*;
use dspex::{Carrier, Error, PoolChange, PoolEvent, PoolState, WorkerEnd};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;

use crate::common::{eventually, find, kill, parent_of, status, worker_pids};
use crate::harness::{
    Ask, Census, Dice, Line, Outcome, Parrot, Tally, ask, builder, builder_on, full_again, host_megabytes,
    keep, kept, run,
};

const WORKERS: usize = 4;
const TASKS: usize = 32;
const CALLS: usize = 1000;
const SEED: u64 = 6;

/// What becomes of a call whose worker dies.
fn lost_worker(error: &Error) -> Outcome {
    match error {
        Error::OutcomeUnknown { .. } => Outcome::Explained("outcome unknown"),
        _ => Outcome::Unexplained,
    }
}

/// Nothing explains a failure.
fn nothing(_: &Error) -> Outcome {
    Outcome::Unexplained
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_at_random_cost_only_the_calls_that_they_ran() {
    const ROUNDS: usize = 2;
    let census = Census::begin().await;
    let (mut tally, mut detection, mut recovery) = (Tally::default(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let dspex = builder(WORKERS).lm(Lm::host(Parrot(Duration::from_millis(10))));
        let dspex = dspex.start().await.unwrap();
        full_again(&dspex, WORKERS, &[], Instant::now()).await;
        let load = Load::start(&dspex).await;
        let mut dice = Dice(SEED + round as u64);
        while !load.is_done() {
            // Some five a second, each after the last one was made good: many more than anybody will see, and few enough that a call, which
            // takes some ten milliseconds, does not lose three workers in a row, which is where the pool gives it up.
            tokio::time::sleep(Duration::from_micros(50_000 + dice.below(100_000))).await;
            let pids = worker_pids(&dspex);
            // Those of one slot in a row would be waited with; here it counts how soon a worker is replaced.
            let victim = pids[recovery.len() % pids.len()];
            load.killed().await;
            let since = Instant::now();
            kill(victim, "KILL");
            recovery.push(full_again(&dspex, WORKERS, &[victim], since).await);
        }
        let (came, told) = load.end().await;
        tally.add(came);
        detection.extend(told);
    }
    let leftovers = census.end().await;
    let runs = recovery.len();
    assert!(runs >= 8, "only {runs} kills fell into {} calls", ROUNDS * CALLS);
    // Each worker has about an eighth of the tasks' calls that are not idempotent; if the others' were lost too, it would be half.
    assert!(tally.failed() <= runs * TASKS / 4, "{} calls were lost in {runs} kills", tally.failed());
    Line { detection, recovery, ..Line::new("worker_killed", runs, tally, leftovers) }.check();
}

/// What came of a caller's calls.
#[derive(Default)]
struct Came {
    tally: Tally,
    /// How long after the last kill each failure was told.
    told: Vec<Duration>,
    /// The writes that were acknowledged.
    acknowledged: Vec<usize>,
}

/// A thousand calls from many tasks: every second one is idempotent, and every fourth one writes what must be kept.
struct Load {
    tasks: Vec<tokio::task::JoinHandle<Came>>,
    session: Session,
    last_kill: Arc<Mutex<Option<Instant>>>,
    done: Arc<AtomicBool>,
}

impl Load {
    async fn start(dspex: &Dspex) -> Self {
        let session = dspex.session();
        let module = Arc::new(Ask::create(&session).await.unwrap());
        let (next, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let last_kill = Arc::new(Mutex::new(None::<Instant>));
        let caller = |_| {
            let (module, session, next) = (module.clone(), session.clone(), next.clone());
            let (done, last_kill) = (done.clone(), last_kill.clone());
            tokio::spawn(async move {
                let Came { mut tally, mut told, mut acknowledged } = Came::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= CALLS {
                        break;
                    }
                    let failed = match number % 4 {
                        0 => {
                            let outcome = keep(&session, number).await;
                            acknowledged.extend(outcome.is_ok().then_some(number));
                            tally.note(&json!(number), outcome, lost_worker)
                        }
                        2 => {
                            let question = format!("number {number}");
                            tally.note(&json!(question), ask(&module, &question, false).await, lost_worker)
                        }
                        _ => {
                            let question = format!("number {number}");
                            tally.note(&json!(question), ask(&module, &question, true).await, nothing)
                        }
                    };
                    if failed && let Some(killed) = *last_kill.lock().await {
                        told.push(killed.elapsed());
                    }
                }
                done.store(true, Ordering::Release);
                Came { tally, told, acknowledged }
            })
        };
        let tasks = (0..TASKS).map(caller).collect();
        Self { tasks, session, last_kill, done }
    }

    /// Somebody is killed now.
    async fn killed(&self) {
        *self.last_kill.lock().await = Some(Instant::now());
    }

    /// Whether the calls are at their end.
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    async fn end(self) -> (Tally, Vec<Duration>) {
        let (mut tally, mut told) = (Tally::default(), Vec::new());
        for task in self.tasks {
            let came = task.await.unwrap();
            tally.add(came.tally);
            told.extend(came.told);
            for number in came.acknowledged {
                if !kept(&self.session, number).await {
                    tally.lost.push(format!("variable {number}"));
                }
            }
        }
        (tally, told)
    }
}

/// The process of the only pool's zygote.
fn zygote_of(census: &Census) -> u32 {
    let processes = census.processes().into_iter().filter(|process| process.is_alive());
    let mut pids = processes.map(|process| process.pid);
    pids.find(|pid| parent_of(*pid) == std::process::id()).unwrap()
}

async fn zygote_lost(events: &mut Receiver<PoolEvent>) {
    find(events, |event| matches!(event.change, PoolChange::ZygoteLost { .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_zygote_costs_no_call_and_no_worker() {
    const RUNS: usize = 3;
    let census = Census::begin().await;
    let dspex = builder(2).lm(Lm::host(Parrot(Duration::from_millis(5)))).start().await.unwrap();
    full_again(&dspex, 2, &[], Instant::now()).await;
    let module = Ask::create(&dspex.session()).await.unwrap();
    let (mut tally, mut detection, mut recovery) = (Tally::default(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let (mut events, before) = (dspex.pool_events(), worker_pids(&dspex));
        let since = Instant::now();
        kill(zygote_of(&census), "KILL");
        zygote_lost(&mut events).await;
        detection.push(since.elapsed());
        for number in 0..50 {
            let question = format!("{run} and {number}");
            tally.note(&json!(question), ask(&module, &question, false).await, nothing);
        }
        assert_eq!(worker_pids(&dspex), before, "the workers go on");
        // Only a new zygote brings a worker back.
        kill(before[0], "KILL");
        recovery.push(full_again(&dspex, 2, &before[..1], since).await);
    }
    drop((module, dspex));
    let leftovers = census.end().await;
    Line { detection, recovery, ..Line::new("zygote_killed", RUNS, tally, leftovers) }.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zygote_killed_with_all_workers_costs_only_the_calls_that_ran() {
    const RUNS: usize = 2;
    let census = Census::begin().await;
    let dspex = builder(2).lm(Lm::host(Parrot(Duration::from_millis(5)))).start().await.unwrap();
    full_again(&dspex, 2, &[], Instant::now()).await;
    let module = Ask::create(&dspex.session()).await.unwrap();
    let (mut tally, mut detection, mut recovery) = (Tally::default(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        // Twice before one is warm is more than anybody is made to wait for.
        eventually("the zygote is warm", || status(&dspex).pools[0].state == PoolState::Ready).await;
        let (mut events, before) = (dspex.pool_events(), worker_pids(&dspex));
        let since = Instant::now();
        for pid in [zygote_of(&census)].iter().chain(&before) {
            kill(*pid, "KILL");
        }
        zygote_lost(&mut events).await;
        detection.push(since.elapsed());
        // There is no worker and nothing to fork one: whoever comes now waits for both. Some may still meet a socket whose
        // end was not seen yet.
        let calls = (0..50).map(|number| {
            let question = format!("{run} and {number}");
            let module = &module;
            async move { (json!(question), ask(module, &question, true).await) }
        });
        for (expected, outcome) in futures::future::join_all(calls).await {
            tally.note(&expected, outcome, nothing);
        }
        recovery.push(full_again(&dspex, 2, &before, since).await);
    }
    drop((module, dspex));
    let leftovers = census.end().await;
    Line { detection, recovery, ..Line::new("all_killed", RUNS, tally, leftovers) }.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_exits_or_crashes_costs_its_call_alone() {
    for carrier in [Carrier::Framed, Carrier::Grpc] {
        exits(carrier).await;
    }
}

async fn exits(carrier: Carrier) {
    let census = Census::begin().await;
    let dspex = builder_on(carrier, 2).start().await.unwrap();
    let (mut tally, mut recovery, mut detection) = (Tally::default(), Vec::new(), Vec::new());
    full_again(&dspex, 2, &[], Instant::now()).await;
    let endings = [
        ("exit_now", json!({"code": 3}), WorkerEnd::Exit(3)),
        ("exit_now", json!({"code": 0}), WorkerEnd::Exit(0)),
        ("segfault", json!({}), WorkerEnd::Signal(11)),
    ];
    let runs = endings.len();
    for (program, arguments, wanted) in endings {
        let before = worker_pids(&dspex);
        let since = Instant::now();
        tally.note(&json!("never"), run(&dspex, program, arguments).await, |error| match error {
            Error::OutcomeUnknown { end } if *end == wanted => Outcome::Explained("as it ended"),
            _ => Outcome::Unexplained,
        });
        detection.push(since.elapsed());
        let gone: Vec<u32> = before.into_iter().filter(|pid| !crate::common::is_alive(*pid)).collect();
        assert_eq!(gone.len(), 1, "one worker and no more");
        recovery.push(full_again(&dspex, 2, &gone, since).await);
        for number in 0..20 {
            tally.note(&json!(number), run(&dspex, "echo", json!({"value": number})).await, nothing);
        }
    }
    drop(dspex);
    let leftovers = census.end().await;
    let note = format!("carrier={carrier:?}");
    Line { detection, recovery, note, ..Line::new("worker_exits", runs, tally, leftovers) }.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_floods_its_output_holds_nobody_up_and_costs_no_memory() {
    const MEGABYTES: usize = 64;
    let census = Census::begin().await;
    let dspex = builder(1).start().await.unwrap();
    let mut tally = Tally::default();
    let before = host_megabytes();
    let flood = tokio::spawn({
        let dspex = dspex.clone();
        async move { run(&dspex, "flood_stdout", json!({"megabytes": MEGABYTES})).await }
    });
    for number in 0..50 {
        tally.note(&json!(number), run(&dspex, "echo", json!({"value": number})).await, nothing);
    }
    tally.note(&json!(MEGABYTES), flood.await.unwrap(), nothing);
    let grown = host_megabytes() - before;
    drop(dspex);
    let leftovers = census.end().await;
    let note = format!("host_grew={grown:.1}MB");
    Line { note, ..Line::new("stdout_flooded", 1, tally, leftovers) }.check();
    assert!(grown < 16.0, "the host grew by {grown:.1} MB");
}
