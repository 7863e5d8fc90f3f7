//! Hosts that die. The host is this program itself, started again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dspex::Carrier;
use dspex::prelude::*;
use serde_json::json;

use crate::common::process::Process;
use crate::common::{parent_of, worker_pids};
use crate::harness::{Ask, Census, Line, Parrot, Tally, ask, builder_on, full_again, run};

const ROLE: &str = "DSPEX_TEST_FAULTS_HOST";

/// Runs as the host that dies: says which Python processes it has, and calls until its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host() {
    let Ok(role) = std::env::var(ROLE) else {
        assert!(std::env::var_os(ROLE).is_none());
        return;
    };
    let (ending, carrier) = role.split_once(' ').unwrap();
    let carrier = if carrier == "grpc" { Carrier::Grpc } else { Carrier::Framed };
    let dspex = builder_on(carrier, 2).lm(Lm::host(Parrot(Duration::from_millis(1)))).start().await.unwrap();
    full_again(&dspex, 2, &[], Instant::now()).await;
    let module = Ask::create(&dspex.session()).await.unwrap();
    // One that no signal handler and no event loop would end.
    let stuck = tokio::spawn({
        let dspex = dspex.clone();
        async move { run(&dspex, "spin_in_c", json!({})).await }
    });
    let mut pids = worker_pids(&dspex);
    pids.push(parent_of(pids[0]));
    println!("PIDS {}", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    std::io::stdout().flush().unwrap();
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

/// Starts the host and returns it with its Python processes: the workers and their zygote.
fn start_host(role: &str, temporary: &Path) -> (Child, Vec<Process>) {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hosts::the_host", "--nocapture"])
        .env(ROLE, role)
        .env("TMPDIR", temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let pids: Option<Vec<u32>> = lines.map_while(Result::ok).find_map(|line| {
        let (_, pids) = line.split_once("PIDS ")?;
        Some(pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
    });
    let pids = pids.expect("the host says which processes it has");
    (host, pids.into_iter().filter_map(Process::of).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_dead_hosts_leave_no_process_behind() {
    const RUNS: usize = 100;
    let census = Census::begin().await;
    let temporary = tempfile::tempdir().unwrap();
    let (mut gone, mut left) = (Vec::new(), 0);
    let mut leftovers = crate::harness::Leftovers::default();
    for run in 0..RUNS {
        // Most are killed, at a moment that differs; the others end themselves in the middle.
        let ending = ["kill", "kill", "kill", "abort", "exit"][run % 5];
        // Every sixth has sockets and a directory for them.
        let carrier = if run % 6 == 0 { "grpc" } else { "framed" };
        let (mut host, processes) = start_host(&format!("{ending} {carrier}"), temporary.path());
        assert_eq!(processes.len(), 3);
        if ending == "kill" {
            tokio::time::sleep(Duration::from_millis(run as u64 % 40)).await;
            host.kill().unwrap();
        }
        let status = host.wait().unwrap();
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
    // Not its status: nobody reads any more what its test says at the end.
    host.wait().unwrap();
    let remains = directories(temporary.path());
    leftovers.leaks.extend((remains > 0).then(|| format!("{remains} directories of dead hosts")));
    assert!(left > 0, "no dead host left a directory: this tests nothing");
    leftovers.add(census.end().await);
    let worst = gone.iter().max().unwrap().as_secs_f64();
    let note = format!("worst={worst:.3}s");
    Line { recovery: gone, note, ..Line::new("host_killed", RUNS, Tally::default(), leftovers) }.check();
    assert!(worst < 1.0, "it took {worst:.2} s");
}

/// The directories that hosts have among their temporary files.
fn directories(temporary: &Path) -> usize {
    let entries = std::fs::read_dir(temporary).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("dspex-pool-")).count()
}
