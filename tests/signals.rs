//! A host that the system asks to end: it takes no new calls, those that run may finish, and no process is left.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::host::{Host, command, role, say, say_pids};
use common::{assert_serves, builder, eventually, is_alive, kill, parent_of, program, worker_pids};
use dspex::Error;
use serde_json::json;

/// Runs as the host that is asked to end: prints its Python processes, with a call running for so many seconds, and later what became of
/// that call and of one that came too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host() {
    let Some(seconds) = role() else { return };
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
    say_pids(&pids);
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
        Ok(answer) => say("RUNNING", answer),
        Err(Error::Cancelled(_)) => say("RUNNING", "cancelled"),
        Err(error) => say("RUNNING", error),
    }
    say("LATE", late.await.unwrap());
    std::process::exit(signal.exit_code().into());
}

struct Signalled {
    host: Host,
    pids: Vec<u32>,
}

impl Signalled {
    fn start(seconds: &str) -> Self {
        let mut host = Host::start(&mut command("the_host", seconds));
        let pids = host.pids();
        assert_eq!(pids.len(), 4);
        assert!(pids.iter().all(|pid| is_alive(*pid)));
        Self { host, pids }
    }

    fn signal(&self, signal: &str) {
        kill(self.host.process.id(), signal);
    }

    async fn all_gone(&self) {
        eventually("every Python process is gone", || !self.pids.iter().any(|pid| is_alive(*pid))).await;
    }
}

#[tokio::test]
async fn a_host_that_gets_a_signal_finishes_its_calls_takes_no_new_ones_and_leaves_nothing() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut host = Signalled::start("1.5");
        host.signal(signal);
        assert_eq!(host.host.said("RUNNING"), "\"slept\"");
        assert_eq!(host.host.said("LATE"), "the pool was shut down");
        assert_eq!(host.host.process.wait().unwrap().code(), Some(code));
        host.all_gone().await;
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_patience() {
    let mut host = Signalled::start("600");
    let begun = Instant::now();
    host.signal("TERM");
    // The first one was taken when calls are refused; two that come as one would be one.
    tokio::time::sleep(Duration::from_millis(300)).await;
    host.signal("INT");
    assert_eq!(host.host.said("RUNNING"), "cancelled");
    assert_eq!(host.host.process.wait().unwrap().code(), Some(143));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    host.all_gone().await;
}

#[tokio::test]
async fn what_a_worker_started_is_gone_with_a_host_that_is_killed() {
    let mut host = Signalled::start("600");
    let begun = Instant::now();
    host.signal("KILL");
    host.host.process.wait().unwrap();
    host.all_gone().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
