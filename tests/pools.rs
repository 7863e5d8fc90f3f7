//! Several pools in one program, and the workers of optimizers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::process::parent;
use common::{PROGRAMS, eventually, is_alive, pids_of, program, worker_pids};
use dspex::bindings::{Example, Metric};
use dspex::lm::{LmResponse, lm_fn};
use dspex::prelude::*;
use dspex::{Carrier, Judged, Load, PoolError, PoolOptions, WorkerLimits};
use serde_json::{Value, json};

const OWN: &str = "dspex_call_programs";

/// The pool of the optimizers of the pool `default`.
const OPTIMIZERS: &str = "default/optimizers";

fn builder(carrier: Carrier) -> dspex::DspexBuilder {
    common::builder(carrier).allow_module(OWN)
}

fn options() -> PoolOptions {
    PoolOptions::new()
        .workers(1)
        .allow_module(PROGRAMS)
        .allow_module(OWN)
        .python_path(std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python"))
}

fn load(dspex: &Dspex, pool: &str) -> Option<Load> {
    common::pool(dspex, pool).map(|pool| pool.load)
}

fn pids(dspex: &Dspex, pool: &str) -> Vec<u32> {
    pids_of(&common::pool(dspex, pool).expect("the pool is there"))
}

async fn pid(dspy: dspex::Dspy) -> u32 {
    let pid = dspy.call(&format!("{OWN}.process_id"), &json!([]), &json!({})).await.unwrap();
    u32::try_from(pid.as_u64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_and_calls_choose_their_pool_by_name() {
    let dspex =
        builder(Carrier::Framed).pool("gpu", options().in_flight_per_worker(1)).start().await.unwrap();
    let (usual, gpu) = (worker_pids(&dspex), pids(&dspex, "gpu"));
    assert_eq!(pid(dspex.dspy()).await, usual[0]);
    assert_eq!(pid(dspex.dspy().pool("gpu")).await, gpu[0]);
    let session = dspex.sessions().create("vision", SessionConfig::new().pool("gpu")).await.unwrap();
    assert_eq!(pid(session.dspy()).await, gpu[0]);
    assert_eq!(pid(session.dspy().pool("default")).await, usual[0], "a call has the last word");
    let temporary = dspex.sessions().temporary(SessionConfig::new().pool("gpu"));
    assert_eq!(pid(temporary.dspy()).await, gpu[0]);
}

/// A pool whose modules lie in a place of their own, with limits of its own.
fn branch(place: &Path, name: &str, workers: usize, memory: u64, in_flight: usize) -> PoolOptions {
    let dir = place.join(name);
    std::fs::create_dir(&dir).unwrap();
    let code = format!(
        "import os, resource\n\
         def who():\n    return [{name:?}, os.getpid(), resource.getrlimit(resource.RLIMIT_DATA)[0]]\n"
    );
    std::fs::write(dir.join("dspex_branch.py"), code).unwrap();
    let limits = WorkerLimits::new().memory_bytes(memory);
    let options = PoolOptions::new().workers(workers).in_flight_per_worker(in_flight).worker_limits(limits);
    options.allow_module("dspex_branch").python_path(dir)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_of_other_modules_limits_and_sizes_keep_their_calls_apart() {
    let place = tempfile::tempdir().unwrap();
    let (small, large) = (1 << 30, 2 << 30);
    let dspex = builder(Carrier::Framed)
        .pool("paris", branch(place.path(), "paris", 1, small, 3))
        .pool("tokyo", branch(place.path(), "tokyo", 2, large, 5))
        .start()
        .await
        .unwrap();
    let capacity = |name: &str| load(&dspex, name).map_or(0, |load| load.capacity);
    eventually("all workers are ready", || (capacity("paris"), capacity("tokyo")) == (3, 10)).await;
    let pids = |name: &str| pids(&dspex, name);
    assert_eq!((pids("paris").len(), pids("tokyo").len()), (1, 2));
    // The same name is another function in each pool, and all of them run at once.
    let calls = (0..60).map(|number| {
        let name = ["paris", "tokyo", "tokyo"][number % 3];
        let dspy = dspex.dspy().pool(name);
        async move { (name, dspy.call("dspex_branch.who", &json!([]), &json!({})).await.unwrap()) }
    });
    for (name, answer) in futures::future::join_all(calls).await {
        let (who, pid, limit): (String, u32, u64) = serde_json::from_value(answer).unwrap();
        assert_eq!(who, name);
        assert!(pids(name).contains(&pid), "{name} answered from {pid}, it has {:?}", pids(name));
        assert_eq!(limit, if name == "paris" { small } else { large });
    }
    let error = dspex.dspy().call("dspex_branch.who", &json!([]), &json!({})).await.unwrap_err();
    assert!(matches!(error, Error::NotAllowed(_) | Error::NotFound(_)), "{error}");
}

/// Where a call of the instance ran, and how often the instance was built there.
async fn counted(session: &Session, seconds: f64) -> (u32, u32) {
    let instance = InstanceSpec::new(format!("{OWN}.Counted")).create(session).await.unwrap();
    let answer = instance.execute::<Value>(json!({"seconds": seconds})).await.unwrap();
    serde_json::from_value(json!([answer["process"], answer["built"]])).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_to_the_worker_that_has_built_its_instance_and_elsewhere_when_that_one_is_busy() {
    let dspex = builder(Carrier::Framed).workers(2).in_flight_per_worker(1).start().await.unwrap();
    eventually("both workers are ready", || dspex.load().ready_workers == 2).await;
    let session = dspex.session();
    // Where both are free and nothing is built, one of them is preferred: the instance is built at the other one.
    let blocker = tokio::spawn({
        let dspy = dspex.dspy();
        async move { dspy.call(&program("sleep"), &json!([600]), &json!({})).await }
    });
    eventually("one worker is busy", || dspex.load().in_flight == 1).await;
    let (home, built) = counted(&session, 0.0).await;
    assert_eq!(built, 1);
    blocker.abort();
    eventually("both are free", || dspex.load().in_flight == 0).await;
    for _ in 0..20 {
        assert_eq!(counted(&session, 0.0).await, (home, 1), "where it is built, and only once");
    }
    let busy = tokio::spawn({
        let session = session.clone();
        async move { counted(&session, 600.0).await }
    });
    eventually("its worker is busy", || dspex.load().in_flight == 1).await;
    let (elsewhere, built) = counted(&session, 0.0).await;
    assert_ne!(elsewhere, home);
    assert_eq!(built, 1, "it is built there too");
    busy.abort();
    eventually("its worker is free again", || dspex.load().in_flight == 0).await;
    for _ in 0..20 {
        let (worker, built) = counted(&session, 0.0).await;
        assert!([home, elsewhere].contains(&worker) && built == 1, "nowhere is it built a second time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_full_leaves_the_others_alone() {
    let dspex = builder(Carrier::Framed)
        .pool("small", options().in_flight_per_worker(1).queue_limit(0))
        .start()
        .await
        .unwrap();
    let stuck = tokio::spawn({
        let dspy = dspex.dspy().pool("small");
        async move { dspy.call(&program("sleep"), &json!([600]), &json!({})).await }
    });
    eventually("the place is taken", || load(&dspex, "small").unwrap().in_flight == 1).await;
    let refused =
        dspex.dspy().pool("small").call(&program("echo"), &json!([1]), &json!({})).await.unwrap_err();
    let Error::Pool(PoolError::Saturated(load)) = refused else { panic!("{refused}") };
    assert_eq!((load.in_flight, load.capacity, load.queue_limit), (1, 1, 0));
    common::assert_serves(&dspex).await;
    stuck.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_there_is_not_is_an_error_that_names_those_there_are() {
    let dspex = builder(Carrier::Framed).pool("gpu", options()).start().await.unwrap();
    let error = pid_error(dspex.dspy().pool("gpus")).await;
    assert_eq!(
        error.to_string(),
        "there is no pool `gpus`; there are default, gpu; others are made with `Dspex::builder().pool(..)`"
    );
    let error = dspex.sessions().create("a", SessionConfig::new().pool("gpus")).await.unwrap_err();
    assert!(
        matches!(&error, Error::PoolNotFound { pool, pools } if pool == "gpus" && pools == &["default", "gpu"])
    );
}

async fn pid_error(dspy: dspex::Dspy) -> Error {
    dspy.call(&format!("{OWN}.process_id"), &json!([]), &json!({})).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_pool_allows_another_one_does_not() {
    let dspex = builder(Carrier::Framed).pool("bare", PoolOptions::new().workers(1)).start().await.unwrap();
    let error = pid_error(dspex.dspy().pool("bare")).await;
    assert!(matches!(error, Error::NotAllowed(_) | Error::NotFound(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_cannot_start_is_named_and_none_of_the_others_stays() {
    let broken = PoolOptions::new().workers(1).allow_module("no_such_team.vision");
    let error = builder(Carrier::Framed).pool("gpu", broken).start().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the pool `gpu`") && text.contains("no_such_team"), "{text}");
    let error = builder(Carrier::Framed).pool("", options()).start().await.unwrap_err();
    assert!(matches!(error, Error::Pool(PoolError::Name(_))), "{error}");
}

async fn compile(session: &Session) -> Value {
    try_compile(session).await.unwrap()
}

async fn try_compile(session: &Session) -> dspex::Result<Value> {
    let spec = InstanceSpec::new("dspy.LabeledFewShot").arg("k", 1);
    let optimizer = spec.create(session).await.unwrap();
    let student = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
    optimizer
        .method::<Value>("compile")
        .module("student", student)
        .examples("trainset", [Example::new().input("question", "?").field("answer", "!")])
        .await
}

/// The processes that this one has started and that live.
fn children() -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_alive(*pid) && parent(*pid).is_ok_and(|parent| parent == std::process::id()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn optimizers_run_in_workers_of_their_own_which_come_and_go() {
    let dspex = builder(Carrier::Framed).optimizer_idle(Duration::from_millis(200)).start().await.unwrap();
    assert_eq!(load(&dspex, OPTIMIZERS), None, "nobody needs them yet");
    let session = dspex.session();
    let state = compile(&session).await;
    assert_eq!(state["demos"].as_array().map(Vec::len), Some(1), "{state}");
    let theirs = load(&dspex, OPTIMIZERS).expect("they are there");
    assert_eq!((theirs.ready_workers, theirs.queued), (1, 0));
    eventually("they are let go", || load(&dspex, OPTIMIZERS).is_none()).await;
    assert_eq!(compile(&session).await, state, "and come again");
    dspex.shutdown(Duration::from_secs(10)).await;
    assert_eq!(load(&dspex, OPTIMIZERS).map_or(0, |load| load.ready_workers), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_waits_for_no_workers_of_optimizers_that_are_only_started() {
    let dspex = builder(Carrier::Framed).start().await.unwrap();
    let session = dspex.session();
    let before = children();
    let run = tokio::spawn(async move { try_compile(&session).await });
    eventually("they are started", || children().len() > before.len()).await;
    let started: Vec<u32> = children().into_iter().filter(|pid| !before.contains(pid)).collect();
    dspex.shutdown(Duration::ZERO).await;
    eventually("none of them is left", || !started.iter().any(|pid| is_alive(*pid))).await;
    let error = run.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Pool(PoolError::Closed)), "{error}");
}

/// How long calls take that are made one after the other, until somebody has seen enough.
async fn latencies(session: &Session, mut enough: impl FnMut(usize) -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !enough(times.len()) {
        let begun = Instant::now();
        session.dspy().call(&program("echo"), &json!([1]), &json!({})).await.unwrap();
        times.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort();
    times
}

/// A compile that asks its model and its metric for a hundred examples, one after the other.
async fn bootstrap(session: Session, judged: Arc<AtomicUsize>) -> (Duration, Value) {
    const EXAMPLES: usize = 100;
    let metric = Metric::new(move |_: Judged<Value, Value>| {
        judged.fetch_add(1, Ordering::Relaxed);
        true
    });
    let spec = InstanceSpec::new("dspy.BootstrapFewShot")
        .arg("max_bootstrapped_demos", EXAMPLES)
        .callable("metric", metric);
    let optimizer = spec.create(&session).await.unwrap();
    let student = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
    let example = |number| Example::new().input("question", format!("number {number}")).field("answer", "42");
    let begun = Instant::now();
    let compiled = optimizer
        .method::<Value>("compile")
        .module("student", student)
        .examples("trainset", (0..EXAMPLES).map(example))
        .await;
    (begun.elapsed(), compiled.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_served_beside_a_long_compile_as_if_there_were_none() {
    let lm = lm_fn(|_| async {
        tokio::time::sleep(Duration::from_millis(15)).await;
        Ok(LmResponse::text("[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]"))
    });
    // With one place, a compile that ran among the calls would hold all of them up until its end.
    let dspex = builder(Carrier::Framed).in_flight_per_worker(1).lm(Lm::host(lm)).start().await.unwrap();
    let session = dspex.session();
    compile(&session).await;
    let alone = latencies(&session, |seen| seen == 200).await;
    let judged = Arc::new(AtomicUsize::new(0));
    let run = tokio::spawn(bootstrap(session.clone(), judged.clone()));
    eventually("the compile is under way", || judged.load(Ordering::Relaxed) > 0).await;
    let beside = latencies(&session, |_| run.is_finished()).await;
    let (took, state) = run.await.unwrap();
    assert_eq!(state["demos"].as_array().map(Vec::len), Some(100), "DSPy compiled it");
    assert_eq!(judged.load(Ordering::Relaxed), 100);
    let figures = |times: &[Duration]| (times[times.len() / 2], times[times.len() * 99 / 100]);
    let (calm, loaded) = (figures(&alone), figures(&beside));
    println!(
        "a compile of {took:.1?}: {} calls beside it, p50 {:.2?}, p99 {:.2?}; alone p50 {:.2?}, p99 {:.2?}",
        beside.len(),
        loaded.0,
        loaded.1,
        calm.0,
        calm.1
    );
    assert!(beside.len() > 100, "only {} calls were served in {took:?}", beside.len());
    assert!(loaded.1 < took / 4, "a call waited for the compile: {loaded:?} of {took:?}");
    assert!(loaded.0 < (calm.0 * 5).max(Duration::from_millis(5)), "{loaded:?}, alone {calm:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn optimizers_run_among_all_other_calls_where_that_is_wanted() {
    let dspex = builder(Carrier::Framed).optimizer_workers(0).start().await.unwrap();
    compile(&dspex.session()).await;
    assert_eq!(load(&dspex, OPTIMIZERS), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_last_handle_ends_the_workers_of_all_pools() {
    let dspex = builder(Carrier::Framed).pool("gpu", options()).start().await.unwrap();
    let pids: Vec<u32> = common::status(&dspex).pools.iter().flat_map(pids_of).collect();
    assert_eq!(pids.len(), 2);
    drop(dspex);
    eventually("all workers are gone", || !pids.iter().any(|pid| is_alive(*pid))).await;
}
