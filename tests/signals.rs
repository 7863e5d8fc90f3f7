//! A host that the system asks to end: it takes no new calls, those that run may finish, and no process is left.
//!
//! The host is this test program itself, started again: the test that plays it does so only when a variable asks for
//! it, and checks that it is not asked for otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use common::{assert_serves, builder, eventually, is_alive, kill, parent_of, program, worker_pids};
use dspex::Error;
use serde_json::json;

const ROLE: &str = "DSPEX_TEST_SIGNALLED_HOST";

/// Runs as the host that is asked to end: prints its Python processes, with a call running for so many seconds, and later what became of
/// that call and of one that came too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host() {
    let Ok(seconds) = std::env::var(ROLE) else {
        assert!(std::env::var_os(ROLE).is_none());
        return;
    };
    let seconds: f64 = seconds.parse().unwrap();
    let programs = "dspex_supervised_programs";
    let dspex = builder(dspex::Carrier::Framed).workers(2).allow_module(programs).start().await.unwrap();
    eventually("both workers are ready", || worker_pids(&dspex).len() == 2).await;
    let child =
        dspex.dspy().call(&format!("{programs}.start_child"), &json!([false]), &json!({})).await.unwrap();
    let running = tokio::spawn({
        let dspy = dspex.dspy();
        async move { dspy.call(&program("sleep"), &json!([seconds]), &json!({})).await }
    });
    eventually("the call runs", || dspex.load().in_flight == 1).await;
    assert_serves(&dspex).await;
    let ended = dspex.shutdown_on_signals(Duration::from_secs(15)).unwrap();
    let mut pids = worker_pids(&dspex);
    pids.extend([parent_of(pids[0]), u32::try_from(child.as_u64().unwrap()).unwrap()]);
    println!("\nPIDS {}", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    let late = tokio::spawn({
        let dspex = dspex.clone();
        async move {
            loop {
                match dspex.dspy().call(&program("echo"), &json!([1]), &json!({})).await {
                    Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(error) => return error,
                }
            }
        }
    });
    let signal = ended.await;
    match running.await.unwrap() {
        Ok(answer) => println!("\nRUNNING {answer}"),
        Err(Error::Cancelled(_)) => println!("\nRUNNING cancelled"),
        Err(error) => println!("\nRUNNING {error}"),
    }
    println!("\nLATE {}", late.await.unwrap());
    std::process::exit(signal.exit_code().into());
}

struct Host {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pids: Vec<u32>,
}

impl Host {
    fn start(seconds: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_host", "--nocapture"])
            .env(ROLE, seconds)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut host = Self { process, lines, pids: Vec::new() };
        host.pids = host.said("PIDS").split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(host.pids.len(), 4);
        assert!(host.pids.iter().all(|pid| is_alive(*pid)));
        host
    }

    /// What follows on the next line that begins so.
    fn said(&mut self, word: &str) -> String {
        let said = self
            .lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix(word).map(|rest| rest.trim().to_owned()));
        said.unwrap_or_else(|| panic!("the host says {word}"))
    }

    fn signal(&self, signal: &str) {
        kill(self.process.id(), signal);
    }

    async fn all_gone(&self) {
        eventually("every Python process is gone", || !self.pids.iter().any(|pid| is_alive(*pid))).await;
    }
}

#[tokio::test]
async fn a_host_that_gets_a_signal_finishes_its_calls_takes_no_new_ones_and_leaves_nothing() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut host = Host::start("1.5");
        host.signal(signal);
        assert_eq!(host.said("RUNNING"), "\"slept\"");
        assert_eq!(host.said("LATE"), "the pool was shut down");
        assert_eq!(host.process.wait().unwrap().code(), Some(code));
        host.all_gone().await;
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_patience() {
    let mut host = Host::start("600");
    let begun = Instant::now();
    host.signal("TERM");
    // The first one was taken when calls are refused; two that come as one would be one.
    tokio::time::sleep(Duration::from_millis(300)).await;
    host.signal("INT");
    assert_eq!(host.said("RUNNING"), "cancelled");
    assert_eq!(host.process.wait().unwrap().code(), Some(143));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    host.all_gone().await;
}

#[tokio::test]
async fn what_a_worker_started_is_gone_with_a_host_that_is_killed() {
    let mut host = Host::start("600");
    let begun = Instant::now();
    host.signal("KILL");
    host.process.wait().unwrap();
    host.all_gone().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
