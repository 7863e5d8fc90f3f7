//! What runs out: descriptors, the disk, memory.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dspex::prelude::*;
use dspex::state::VarSpec;
use dspex::{Error, PoolError};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::SignalKind;

use crate::common::{host, kill, worker_pids};
use crate::harness::{
    Ask, Census, Line, Outcome, Parrot, Tally, ask, builder, full_again, keep, kept, run, run_within,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_running_workers_go_on_and_lost_ones_come_back_when_there_are_some() {
    let census = Census::begin().await;
    let dspex = builder(2).lm(Lm::host(Parrot(Duration::from_millis(1)))).start().await.unwrap();
    full_again(&dspex, 2, &[], Instant::now()).await;
    let module = Ask::create(&dspex.session()).await.unwrap();
    let mut tally = Tally::default();
    let before = worker_pids(&dspex);

    let hoard = Hoard::of_all_descriptors();
    for number in 0..50 {
        let question = format!("number {number}");
        tally.note(&json!(question), ask(&module, &question, false).await, |_| Outcome::Unexplained);
    }
    let since = Instant::now();
    kill(before[0], "KILL");
    crate::common::eventually("the loss is known", || dspex.load().ready_workers == 1).await;
    let detection = vec![since.elapsed()];
    for number in 0..50 {
        let question = format!("one worker and {number}");
        tally.note(&json!(question), ask(&module, &question, false).await, |_| Outcome::Unexplained);
    }
    assert_eq!(worker_pids(&dspex), before[1..], "nothing can be started");
    drop(hoard);
    let since = Instant::now();
    let recovery = vec![full_again(&dspex, 2, &before[..1], since).await];
    drop((module, dspex));
    let leftovers = census.end().await;
    Line { detection, recovery, ..Line::new("descriptors_exhausted", 1, tally, leftovers) }.check();
}

/// Every descriptor that the process may have, until it is dropped.
struct Hoard {
    limit: Rlimit,
    _files: Vec<File>,
}

impl Hoard {
    fn of_all_descriptors() -> Self {
        let limit = getrlimit(Resource::Nofile);
        // A limit in the thousands would only take longer.
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: limit.maximum }).unwrap();
        let files = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        Self { limit, _files: files }
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.limit).unwrap();
    }
}

/// What makes the disk of such a host small, whose role names the place of its store.
const SMALL: &str = "DSPEX_TEST_FAULTS_SMALL";

/// What fits on the disk, in bytes.
const DISK_BYTES: u64 = 4 << 20;

/// Runs as a host whose store is on a disk of a few megabytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_of_a_full_disk() {
    let Some(disk) = host::role() else { return };
    let (disk, census) = (Path::new(&disk), Census::begin().await);
    let (file, ballast) = (disk.join("state.db"), disk.join("ballast"));
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let limited = std::env::var_os(SMALL).is_some_and(|small| small == "limit").then(FileLimit::set);
    let mut tally = Tally::default();
    let dspex = builder(1).durable(&file).lm(Lm::host(Parrot(Duration::ZERO))).start().await.unwrap();
    let session = dspex.sessions().create("kept", SessionConfig::new()).await.unwrap();
    let module = Ask::create(&session).await.unwrap();
    let full = |error: &Error| match error {
        // From Rust and from Python.
        Error::Variable(_) | Error::Store(_) => Outcome::Explained("store full"),
        Error::Python(error) if error.class.contains("Variable") || error.class.contains("Unavailable") => {
            Outcome::Explained("store full, said by Python")
        }
        _ => Outcome::Unexplained,
    };
    let (mut acknowledged, mut refused, mut detection) = (Vec::new(), 0, Vec::new());
    let filler = "x".repeat(64 * 1024);
    for number in 0..400 {
        let since = Instant::now();
        let written =
            session.variables().create(format!("filler-{number}"), VarSpec::string(), filler.as_str()).await;
        if tally.note(&json!(null), written.map(|_| json!(null)).map_err(Error::from), full) {
            refused += 1;
            detection.push(since.elapsed());
            if refused == 3 {
                break;
            }
        }
    }
    assert_eq!(refused, 3, "the disk never was full");
    for number in 0..20 {
        let outcome = keep(&session, number).await;
        acknowledged.extend(outcome.is_ok().then_some(number));
        tally.note(&json!(number), outcome, full);
        // What needs no disk goes on.
        let question = format!("number {number}");
        tally.note(&json!(question), ask(&module, &question, false).await, |_| Outcome::Unexplained);
        let read = session.variables().read::<String>("filler-0").await;
        tally.note(&json!(filler), read.map(|read| json!(read.value)).map_err(Error::from), |_| {
            Outcome::Unexplained
        });
    }
    let since = Instant::now();
    std::fs::remove_file(&ballast).unwrap();
    drop(limited);
    for number in 100..120 {
        let outcome = keep(&session, number).await;
        acknowledged.extend(outcome.is_ok().then_some(number));
        tally.note(&json!(number), outcome, |_| Outcome::Unexplained);
    }
    let recovery = vec![since.elapsed()];
    drop((module, session));
    dspex.shutdown(Duration::from_secs(1)).await;
    drop(dspex);

    let dspex = builder(1).durable(&file).start().await.unwrap();
    let session = dspex.sessions().get("kept").await.unwrap();
    for number in acknowledged {
        if !kept(&session, number).await {
            tally.lost.push(format!("variable {number}"));
        }
    }
    drop((session, dspex));
    let leftovers = census.end().await;
    Line { detection, recovery, ..Line::new("disk_full", 1, tally, leftovers) }.check();
}

/// No file may be larger than the disk is meant to be: for systems that give nobody a disk of their own.
struct FileLimit {
    before: Rlimit,
    _listened: tokio::signal::unix::Signal,
}

impl FileLimit {
    fn set() -> Self {
        // Whoever does not listen is ended by the first write beyond the limit.
        let listened = tokio::signal::unix::signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).unwrap();
        let limit = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, Rlimit { current: Some(DISK_BYTES), maximum: limit.maximum }).unwrap();
        Self { before: limit, _listened: listened }
    }
}

impl Drop for FileLimit {
    fn drop(&mut self) {
        setrlimit(Resource::Fsize, self.before).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_must_be_written_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // A small disk of its own, in a namespace of its own, where the system lets us.
    let small_disk = |command: &Command| {
        let mount = format!("mount -t tmpfs -o size={DISK_BYTES} none \"$0\" && exec \"$@\"");
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
            .arg(dir.path())
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        unshare
    };
    let mut host = host::command("exhaustion::the_host_of_a_full_disk", dir.path().to_str().unwrap());
    let status = if small_disk(&Command::new("true")).output().is_ok_and(|output| output.status.success()) {
        small_disk(&host).status().unwrap()
    } else {
        host.env(SMALL, "limit").status().unwrap()
    };
    assert!(status.success(), "the host failed, as it says above");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_full_says_so_at_once_and_loses_nobody_who_waits() {
    const CALLS: usize = 300;
    let census = Census::begin().await;
    let dspex = builder(1).in_flight_per_worker(4).queue_limit(32).start().await.unwrap();
    let session = dspex.session();
    let calls = (0..CALLS).map(|number| {
        let session = &session;
        async move {
            let begun = Instant::now();
            let waited =
                run_within(session, "wait_and_answer", json!({"seconds": 0.02, "value": number})).await;
            (number, waited, begun.elapsed())
        }
    });
    let (mut tally, mut detection) = (Tally::default(), Vec::new());
    for (number, outcome, took) in futures::future::join_all(calls).await {
        detection.extend(outcome.is_err().then_some(took));
        tally.note(&json!(number), outcome, |error| match error {
            Error::Pool(PoolError::Saturated(_)) => Outcome::Explained("saturated"),
            _ => Outcome::Unexplained,
        });
    }
    assert!(tally.answered >= 36, "{tally:?}");
    let since = Instant::now();
    tally.note(&json!(1), run(&dspex, "echo", json!({"value": 1})).await, |_| Outcome::Unexplained);
    let recovery = vec![since.elapsed()];
    drop((session, dspex));
    let leftovers = census.end().await;
    Line { detection, recovery, ..Line::new("queue_full", 1, tally, leftovers) }.check();
}
