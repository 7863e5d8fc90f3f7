//! What workers may use of the system: limits of the kernel, read from outside, and what happens to code that wants more.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::os::unix::fs::MetadataExt;

use common::{assert_serves, on_both_carriers, program, worker_pids};
use dspex::prelude::*;
use dspex::{Carrier, WorkerLimits};
use serde_json::{Value, json};

const PROGRAMS: &str = "dspex_security_programs";

async fn start(carrier: Carrier, limits: WorkerLimits) -> Dspex {
    common::builder(carrier).allow_module(PROGRAMS).worker_limits(limits).start().await.unwrap()
}

async fn call(dspex: &Dspex, name: &str, args: Value) -> dspex::Result<Value> {
    dspex.dspy().call(&format!("{PROGRAMS}.{name}"), &args, &json!({})).await
}

/// A limit of a process as the kernel tells it to others: soft and hard.
fn limit(pid: u32, name: &str) -> [String; 2] {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    let mut values = line.split_whitespace().map(str::to_owned);
    [values.next().unwrap(), values.next().unwrap()]
}

/// The user whom the kernel refuses more processes: not root.
fn ordinary_user() -> u32 {
    match rustix::process::geteuid().as_raw() {
        0 => 65534,
        own => own,
    }
}

/// How many threads and processes a user has.
fn threads_of(uid: u32) -> u64 {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let ours = processes.filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.uid() == uid));
    ours.filter_map(|entry| std::fs::read_dir(entry.path().join("task")).ok())
        .map(|tasks| tasks.count() as u64)
        .sum()
}

on_both_carriers! {
    async fn limits_are_the_kernels_soft_and_hard_and_no_worker_leaves_a_core_dump(carrier: Carrier) {
        let processes = threads_of(ordinary_user()) + 500;
        let limits = WorkerLimits::new().memory_bytes(1 << 30).open_files(128).user_processes(processes);
        let limited = start(carrier, limits).await;
        let free = start(carrier, WorkerLimits::new()).await;
        let (limited_pid, free_pid, host) = (worker_pids(&limited)[0], worker_pids(&free)[0], std::process::id());
        for (name, expected) in
            [("Max data size", 1 << 30), ("Max open files", 128), ("Max processes", processes)]
        {
            let expected = expected.to_string();
            assert_eq!(limit(limited_pid, name), [expected.clone(), expected.clone()], "{name}");
            assert_eq!(limit(free_pid, name), limit(host, name), "{name}: the host's own");
            assert_ne!(limit(host, name)[0], expected, "so it would be seen");
        }
        for pid in [limited_pid, free_pid] {
            assert_eq!(limit(pid, "Max core file size"), ["0", "0"]);
        }
    }

    async fn nobody_looks_into_a_worker_unless_it_is_debuggable(carrier: Carrier) {
        for (debuggable, dumpable) in [(false, 0), (true, 1)] {
            let dspex = start(carrier, WorkerLimits::new().debuggable(debuggable)).await;
            assert_eq!(call(&dspex, "dumpable", json!([])).await.unwrap(), dumpable);
            let environment = std::fs::read(format!("/proc/{}/environ", worker_pids(&dspex)[0]));
            // Root may all the same.
            let seen = debuggable || rustix::process::geteuid().is_root();
            assert_eq!(environment.is_ok_and(|bytes| !bytes.is_empty()), seen);
        }
    }

    async fn a_storm_of_open_files_is_an_error_of_its_call_alone(carrier: Carrier) {
        let dspex = start(carrier, WorkerLimits::new().open_files(128)).await;
        let Error::Python(error) = call(&dspex, "open_files", json!([500])).await.unwrap_err() else { panic!() };
        assert!(error.is_instance("OSError") && error.to_string().contains("Too many open files"), "{error}");
        assert_serves(&dspex).await;
        assert_eq!(call(&dspex, "open_files", json!([20])).await.unwrap(), 20);
        let free = start(carrier, WorkerLimits::new()).await;
        assert_eq!(call(&free, "open_files", json!([500])).await.unwrap(), 500);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_bomb_stops_at_the_limit_of_the_users_processes() {
    const ROOM: u64 = 40;
    // The kernel refuses root none, so that the bomb of root's worker goes off as somebody else.
    let root = rustix::process::geteuid().is_root();
    let uid = if root { ordinary_user() } else { 0 };
    let limits = WorkerLimits::new().user_processes(threads_of(ordinary_user()) + ROOM);
    let dspex = start(Carrier::Framed, limits).await;
    let bomb = call(&dspex, "fork_until_refused", json!([200, uid])).await.unwrap();
    println!("root: {root}, limit: {ROOM} more, {bomb}");
    assert_eq!(bomb["refused"], "EAGAIN");
    assert!(bomb["forked"].as_u64().unwrap() <= ROOM, "{bomb}");
    assert_serves(&dspex).await;
    assert_eq!(dspex.dspy().call(&program("sleep"), &json!([0]), &json!({})).await.unwrap(), "slept");
    let free = start(Carrier::Framed, WorkerLimits::new()).await;
    let bomb = call(&free, "fork_until_refused", json!([100, uid])).await.unwrap();
    assert_eq!(bomb, json!({"forked": 100, "refused": null}), "nothing else stopped it");
}
