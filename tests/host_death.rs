//! Whatever kills the host, no Python process is left a second later.
//!
//! The host is this test program itself, started again: the test that plays it does so only when a variable asks for
//! it, and checks that it is not asked for otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{builder, eventually, is_alive, kill, parent_of, program, worker_pids};
use serde_json::json;

const ROLE: &str = "DSPEX_TEST_HOST";

/// Runs as the host that dies: prints its Python processes, with one of them stuck in C code, and waits for its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host() {
    let Ok(ending) = std::env::var(ROLE) else {
        assert!(std::env::var_os(ROLE).is_none());
        return;
    };
    let dspex = builder(dspex::Carrier::Framed).workers(3).start().await.unwrap();
    eventually("three workers are ready", || worker_pids(&dspex).len() == 3).await;
    let stuck = tokio::spawn({
        let dspy = dspex.dspy();
        async move { dspy.call(&program("hold_the_gil"), &json!([]), &json!({})).await }
    });
    eventually("one of them is stuck", || dspex.load().in_flight == 1).await;
    let mut pids = worker_pids(&dspex);
    pids.push(parent_of(pids[0]));
    println!("PIDS {}", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    match ending.as_str() {
        "abort" => std::process::abort(),
        "exit" => std::process::exit(1),
        _ => drop(stuck.await),
    }
}

/// Starts the host and returns it with its Python processes: the workers and their zygote.
fn start_host(ending: &str) -> (Child, Vec<u32>) {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_host", "--nocapture"])
        .env(ROLE, ending)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let pids = lines.map_while(Result::ok).find_map(|line| {
        let (_, pids) = line.split_once("PIDS ")?;
        Some(pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
    });
    (host, pids.expect("the host says which processes it has"))
}

async fn assert_all_gone_within_a_second(pids: &[u32], since: Instant) {
    assert_eq!(pids.len(), 4);
    eventually("every Python process is gone", || !pids.iter().any(|pid| is_alive(*pid))).await;
    assert!(since.elapsed() < Duration::from_secs(1), "it took {:?}", since.elapsed());
}

#[tokio::test]
async fn a_killed_host_leaves_no_process_behind_not_even_one_stuck_in_c_code() {
    let (mut host, pids) = start_host("wait");
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    let since = Instant::now();
    kill(host.id(), "KILL");
    host.wait().unwrap();
    assert_all_gone_within_a_second(&pids, since).await;
}

#[tokio::test]
async fn a_host_that_aborts_or_exits_in_the_middle_leaves_no_process_behind() {
    for ending in ["abort", "exit"] {
        let (mut host, pids) = start_host(ending);
        host.wait().unwrap();
        assert_all_gone_within_a_second(&pids, Instant::now()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_survive_the_loss_of_the_zygote_and_a_new_one_replaces_it() {
    let dspex = builder(dspex::Carrier::Framed).workers(2).start().await.unwrap();
    eventually("both workers are ready", || worker_pids(&dspex).len() == 2).await;
    let before = worker_pids(&dspex);
    kill(parent_of(before[0]), "KILL");
    common::assert_serves(&dspex).await;
    assert_eq!(worker_pids(&dspex), before, "the workers went on");
    // With a worker lost as well, only a new zygote can bring the pool back to two.
    kill(before[0], "KILL");
    let full = || worker_pids(&dspex).len() == 2 && !worker_pids(&dspex).contains(&before[0]);
    eventually("the pool is complete again", full).await;
    common::assert_serves(&dspex).await;
}
