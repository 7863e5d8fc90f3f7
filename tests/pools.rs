//! Several pools in one program, and the workers of optimizers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::{PROGRAMS, eventually, is_alive, pids_of, program, worker_pids};
use dspex::bindings::Example;
use dspex::prelude::*;
use dspex::{Carrier, Load, PoolError, PoolOptions};
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
    let spec = InstanceSpec::new("dspy.LabeledFewShot").arg("k", 1);
    let optimizer = spec.create(session).await.unwrap();
    let student = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
    optimizer
        .method::<Value>("compile")
        .module("student", student)
        .examples("trainset", [Example::new().input("question", "?").field("answer", "!")])
        .await
        .unwrap()
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
