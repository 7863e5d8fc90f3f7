//! Hosts that die. The host is this program itself, started again.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use dspex::Carrier;
use dspex::prelude::*;
use serde_json::json;

use crate::common::host::{self, Host};
use crate::common::process::Process;
use crate::common::{parent_of, worker_pids};
use crate::harness::{Ask, Census, Line, Parrot, Tally, ask, builder_on, full_again, run};

/// Runs as the host that dies: says which Python processes it has, and calls until its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host() {
    let Some(role) = host::role() else { return };
    let (ending, carrier) = role.split_once(' ').unwrap();
    let dspex = builder_on(carrier_of(carrier), 2)
        .lm(Lm::host(Parrot(Duration::from_millis(1))))
        .start()
        .await
        .unwrap();
    full_again(&dspex, 2, &[], Instant::now()).await;
    let module = Ask::create(&dspex.session()).await.unwrap();
    // One that no signal handler and no event loop would end.
    let stuck = tokio::spawn({
        let dspex = dspex.clone();
        async move { run(&dspex, "spin_in_c", json!({})).await }
    });
    let mut pids = worker_pids(&dspex);
    pids.push(parent_of(pids[0]));
    host::say_pids(&pids);
    let begun = Instant::now();
    for number in 0.. {
        let _ =
            tokio::time::timeout(Duration::from_millis(50), ask(&module, &number.to_string(), false)).await;
        match ending {
            "end" => break,
            "abort" if begun.elapsed() > Duration::from_millis(30) => std::process::abort(),
            "exit" if begun.elapsed() > Duration::from_millis(30) => std::process::exit(1),
            // Nobody ended it, or whoever should have is gone.
            _ if begun.elapsed() > Duration::from_secs(30) => break,
            _ => {}
        }
    }
    stuck.abort();
}

/// The carrier of this name.
pub fn carrier_of(name: &str) -> Carrier {
    if name == "grpc" { Carrier::Grpc } else { Carrier::Framed }
}

/// Starts the host and returns it with its Python processes: the workers and their zygote.
fn start_host(role: &str, temporary: &Path) -> (Host, Vec<Process>) {
    let mut command = host::command("hosts::the_host", role);
    let mut host = Host::start(command.env("TMPDIR", temporary).stderr(Stdio::null()));
    let pids = host.pids();
    (host, pids.into_iter().filter_map(Process::of).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_dead_hosts_leave_no_process_behind() {
    const RUNS: usize = 100;
    let census = Census::begin().await;
    let temporary = tempfile::tempdir().unwrap();
    let (mut gone, mut starts, mut left) = (Vec::new(), Vec::new(), 0);
    let mut leftovers = crate::harness::Leftovers::default();
    for run in 0..RUNS {
        // Most are killed, at a moment that differs; the others end themselves in the middle.
        let ending = ["kill", "kill", "kill", "abort", "exit"][run % 5];
        // Every sixth has sockets and a directory for them.
        let carrier = if run % 6 == 0 { "grpc" } else { "framed" };
        let begun = Instant::now();
        let (mut host, processes) = start_host(&format!("{ending} {carrier}"), temporary.path());
        // What a killed one leaves holds up nobody.
        starts.push(begun.elapsed());
        assert_eq!(processes.len(), 3);
        if ending == "kill" {
            tokio::time::sleep(Duration::from_millis(run as u64 % 40)).await;
            host.process.kill().unwrap();
        }
        let status = host.process.wait().unwrap();
        let since = Instant::now();
        assert!(!status.success(), "the host ended by itself");
        while processes.iter().any(|process| process.is_alive()) && since.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        gone.push(since.elapsed());
        left = left.max(directories(temporary.path()));
        leftovers.orphans.extend(processes.into_iter().filter(|process| process.is_alive()));
    }
    // What the dead left is removed by the next one, and what that one has by itself.
    let (mut host, _) = start_host("end grpc", temporary.path());
    assert!(host.process.wait().unwrap().success());
    let remains = directories(temporary.path());
    leftovers.leaks.extend((remains > 0).then(|| format!("{remains} directories of dead hosts")));
    assert!(left > 0, "no dead host left a directory: this tests nothing");
    leftovers.add(census.end().await);
    let worst = gone.iter().max().unwrap().as_secs_f64();
    let note = format!("worst={worst:.3}s");
    Line {
        detection: gone,
        recovery: starts,
        note,
        ..Line::new("host_killed", RUNS, Tally::default(), leftovers)
    }
    .check();
    assert!(worst < 1.0, "it took {worst:.2} s");
}

/// The directories that hosts have among their temporary files.
pub fn directories(temporary: &Path) -> usize {
    let entries = std::fs::read_dir(temporary).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("dspex-pool-")).count()
}
