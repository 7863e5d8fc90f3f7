//! What the integration tests share: a running dspex on a carrier, and the Python module of test programs.

#![allow(dead_code, unused_macros, unused_imports)]

pub mod host;
pub mod operator;
pub mod process;
pub mod provider;
pub mod recorder;
mod running;

use std::path::PathBuf;

use dspex::prelude::*;
use dspex::{Carrier, DspexBuilder, PoolEvent};
pub use process::is_alive;
pub use running::{breakers, pids_of, pool, status, worker_pids};
use serde_json::{Value, json};

/// The Python module with the programs that tests call.
pub const PROGRAMS: &str = "dspex_test_programs";

/// A builder with one worker, the test programs allowed.
pub fn builder(carrier: Carrier) -> DspexBuilder {
    Dspex::builder()
        .workers(1)
        .carrier(carrier)
        .allow_module(PROGRAMS)
        .python_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python"))
}

/// A running dspex with one worker and this model.
pub async fn start(carrier: Carrier, lm: impl LanguageModel) -> Dspex {
    builder(carrier).lm(Lm::host(lm)).start().await.expect("dspex starts")
}

/// A running dspex with one worker and no model.
pub async fn start_without_lm(carrier: Carrier) -> Dspex {
    builder(carrier).start().await.expect("dspex starts")
}

/// The path of a test program.
pub fn program(name: &str) -> String {
    format!("{PROGRAMS}.{name}")
}

/// The pool answers: what every fault must leave behind.
pub async fn assert_serves(dspex: &Dspex) {
    let answer = dspex.dspy().call(&program("echo"), &json!([7]), &json!({})).await;
    assert_eq!(answer.expect("the pool serves the next call"), json!(7));
}

/// The process that started another, which runs.
pub fn parent_of(pid: u32) -> u32 {
    process::parent(pid).unwrap()
}

/// Sends a signal to a process that the test started.
pub fn kill(pid: u32, signal: &str) {
    let status = std::process::Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// Waits for a condition that must come true; the limit is far above what it takes.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < give_up, "never came true: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// The next event that says what is looked for; those before it are passed over.
pub async fn find<T>(
    events: &mut tokio::sync::broadcast::Receiver<PoolEvent>,
    mut look: impl FnMut(&PoolEvent) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let event = events.recv().await.expect("the pool goes on");
            if let Some(found) = look(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), found).await.expect("the event comes")
}

/// Runs each test on both carriers.
macro_rules! on_both_carriers {
    ($($(#[$meta:meta])* async fn $name:ident($carrier:ident: Carrier) $body:block)*) => {
        $($(#[$meta])* async fn $name($carrier: dspex::Carrier) $body)*
        mod framed {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(dspex::Carrier::Framed).await; })*
        }
        mod grpc {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(dspex::Carrier::Grpc).await; })*
        }
    };
}
pub(crate) use on_both_carriers;
