//! How soon a pool is itself again, and how soon nothing is left of one whose host died.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dspex::prelude::*;

use crate::catalogue::{Figure, Goal, Measured};
use crate::common::worker_pids;
use crate::process::{self, Process};
use crate::stats::{quantile, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "worker_recovery_ms",
        unit: "ms",
        goal: Goal::Below(100.0),
        method: "Each of the eight workers of a warm pool is killed with SIGKILL once, one after the other; from the kill to the \
                 moment when eight workers take calls and none of them is the dead one. The worst over two pools.",
    },
    Figure {
        name: "host_death_s",
        unit: "s",
        goal: Goal::Below(1.0),
        method: "A program with a pool of two workers that are busy is killed with SIGKILL; from its end to the end of the last \
                 Python process. The worst of 100 programs, one after the other.",
    },
];

const WORKERS: usize = 8;
const POOLS: usize = 2;
const HOSTS: usize = 100;
/// What this program is to be instead.
const HOST: &str = "--be-a-host";

/// Measures them.
pub async fn measure() -> Result<Vec<Measured>> {
    let mut recoveries = Vec::new();
    for _ in 0..POOLS {
        recoveries.extend(recover().await?);
    }
    let deaths =
        tokio::task::spawn_blocking(|| (0..HOSTS).map(|_| die()).collect::<Result<Vec<_>>>()).await??;
    Ok(vec![
        Measured {
            name: "worker_recovery_ms",
            value: quantile(&recoveries, 1.0),
            details: spread(&recoveries, 1),
        },
        Measured { name: "host_death_s", value: quantile(&deaths, 1.0), details: spread(&deaths, 3) },
    ])
}

async fn recover() -> Result<Vec<f64>> {
    let dspex = Dspex::builder().workers(WORKERS).start().await?;
    complete(&dspex, 0).await?;
    let mut times = Vec::new();
    for pid in worker_pids(&dspex) {
        let begun = Instant::now();
        process::kill(pid)?;
        complete(&dspex, pid).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// Waits until all workers take calls, and none of them is this one.
async fn complete(dspex: &Dspex, dead: u32) -> Result<()> {
    let begun = Instant::now();
    loop {
        let ready = dspex.load().ready_workers;
        if ready == WORKERS {
            let pids: BTreeSet<u32> = worker_pids(dspex).into_iter().collect();
            if pids.len() == WORKERS && !pids.contains(&dead) {
                return Ok(());
            }
        }
        ensure!(begun.elapsed() < Duration::from_secs(20), "only {ready} workers take calls");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// If this process is a host that is to be killed: what it came to, should nobody do so.
pub fn victim(arguments: &[String]) -> Option<Result<()>> {
    (arguments == [HOST]).then(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(host())
    })
}

/// Says which Python processes it has, and keeps them busy.
async fn host() -> Result<()> {
    let dspex = Dspex::builder().workers(2).allow_module("dspex_worker.testing").start().await?;
    while dspex.load().ready_workers < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let dspy = dspex.dspy();
    let instance = dspy.create_instance(InstanceSpec::new("dspex_worker.testing.Echo")).await?;
    let mut pids = worker_pids(&dspex);
    pids.push(process::parent(pids[0])?);
    println!("{}", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    std::io::stdout().flush()?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        dspy.call_instance_method(&instance, "execute", &serde_json::json!({"text": "busy"})).await?;
    }
    Ok(())
}

fn die() -> Result<f64> {
    let mut host = Command::new(std::env::current_exe()?).arg(HOST).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(host.stdout.take().context("it has no stdout")?).read_line(&mut line)?;
    let processes: Vec<Process> =
        line.split_whitespace().filter_map(|pid| Process::of(pid.parse().ok()?)).collect();
    ensure!(processes.len() == 3, "the host did not start");
    host.kill()?;
    let begun = Instant::now();
    host.wait()?;
    while processes.iter().any(|process| process.is_alive()) {
        ensure!(begun.elapsed() < Duration::from_secs(20), "a process is left");
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(begun.elapsed().as_secs_f64())
}
