//! Three workers that an operator started, under load: one is stopped, one drains, one serves another host.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::operator::Fleet;
use common::{eventually, kill, program};
use dspex::prelude::*;
use serde_json::{Value, json};

async fn call(dspex: &Dspex, name: &str, args: Value) -> dspex::Result<Value> {
    dspex.dspy().call(&program(name), &args, &json!({})).await
}

/// Calls without a pause from eight tasks, until it is dropped.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Error>>>,
}

impl Load {
    fn on(dspex: &Dspex) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let task = || {
            let (dspex, stop, done) = (dspex.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match call(&dspex, "echo", json!([7])).await {
                        Ok(value) => {
                            assert_eq!(value, json!(7));
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => failed.push(error),
                    }
                }
                failed
            })
        };
        let tasks = (0..8).map(|_| task()).collect();
        Self { stop, done, tasks }
    }

    async fn of_calls(&self, calls: usize) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("calls are served", || self.done.load(Ordering::Relaxed) > before + calls).await;
    }

    async fn end(self) -> Vec<Error> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for task in self.tasks {
            failed.extend(task.await.unwrap());
        }
        failed
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_stopped_gets_no_calls_within_seconds_and_serves_again_when_it_goes_on() {
    let fleet = Fleet::of(3);
    let dspex = fleet.host().await;
    let stopped = Instant::now();
    kill(fleet.pid(0), "STOP");
    eventually("it is out of rotation", || dspex.load().ready_workers == 2).await;
    let noticed = stopped.elapsed();
    assert!(noticed < Duration::from_secs(8), "{noticed:?}");
    for _ in 0..50 {
        assert_eq!(call(&dspex, "echo", json!([7])).await.unwrap(), json!(7));
    }
    kill(fleet.pid(0), "CONT");
    eventually("it is back", || dspex.load().ready_workers == 3).await;
    println!("fault=endpoint_stopped noticed={noticed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_drains_gets_no_new_calls_and_ends_those_that_it_has() {
    let fleet = Fleet::of(3);
    let dspex = fleet.host().await;
    let long: Vec<_> = (0..9)
        .map(|_| {
            let dspex = dspex.clone();
            tokio::spawn(async move { call(&dspex, "sleep", json!([1.5])).await })
        })
        .collect();
    eventually("the long calls run", || dspex.load().in_flight == 9).await;
    let load = Load::on(&dspex);
    kill(fleet.pid(2), "TERM");
    // Nobody had to be refused for it: the worker said so.
    eventually("it is out of rotation", || dspex.load().ready_workers == 2).await;
    load.of_calls(200).await;
    for call in long {
        assert_eq!(call.await.unwrap().unwrap(), json!("slept"), "what ran may finish");
    }
    assert_eq!(load.end().await.len(), 0, "nothing fails because of a drain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_where_other_hosts_have_none() {
    let fleet = Fleet::of(3);
    let (busy, here) = (Dspex::builder().endpoint(fleet.endpoints[0].clone()), fleet.host().await);
    let busy = busy.start().await.unwrap();
    let long: Vec<_> = (0..16)
        .map(|_| {
            let busy = busy.clone();
            tokio::spawn(async move { call(&busy, "sleep", json!([60])).await })
        })
        .collect();
    eventually("the other host's calls run", || busy.load().in_flight == 16).await;
    // The endpoint tells of them when it is asked next, which is each second.
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        let mut served: HashMap<u64, usize> = HashMap::new();
        for calls in futures::future::join_all((0..8).map(|_| call(&here, "process_id", json!([])))).await {
            *served.entry(calls.unwrap().as_u64().unwrap()).or_default() += 1;
        }
        if !served.contains_key(&u64::from(fleet.pid(0))) {
            assert_eq!(served.len(), 2, "{served:?}");
            break;
        }
        assert!(Instant::now() < give_up, "{served:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for call in long {
        call.abort();
    }
}
