//! What it costs Python to call back into the program: a tool of Rust, beside a server of the host as one would write it.
//!
//! The usual way to let Python call a function of a Rust program is a unary gRPC method: the program serves it with tonic, the
//! Python side calls it with `grpc.aio`. Both sides carry the same 200 bytes of JSON, from the same worker and its event loop, to
//! this process. gRPC's side gives the bytes back as they came. dspex's is a whole run of a tool: found by its name, its
//! arguments read, checked against the schema, given to the function, cancellable, and its answer written again.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dspex::prelude::*;
use serde_json::{Value, json};

use crate::catalogue::{Figure, Goal, Measured};
use crate::common::worker_pids;
use crate::grpc;
use crate::process;
use crate::stats::{median, quantile, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "tool_callback_ratio",
        unit: "x",
        goal: Goal::AtLeast(6.0),
        method: "p50 of a unary call by grpc.aio from a worker to a tonic server in this process, over a unix socket / p50 of \
                 `await session().tools[..].acall(..)` of a Rust tool from the same worker over the framed carrier; 200 bytes \
                 of JSON there and back, one call at a time, timed in Python; rounds by turns, median of the rounds' ratios.",
    },
    Figure {
        name: "tool_leak_kb",
        unit: "kB",
        goal: Goal::Below(500.0),
        method: "Growth of Pss of this process and the worker together over 10,000 runs of a Rust tool called by Python, after \
                 the first 1,000; in calls of 100 runs each.",
    },
];

const ROUNDS: usize = 9;
const CALLS: usize = 1500;
const PAYLOAD_BYTES: usize = 200;

/// Gives its argument back.
#[dspex_tool]
async fn echo(text: String) -> Echoed {
    Echoed { text }
}

/// What came.
#[derive(FieldType, Debug)]
struct Echoed {
    text: String,
}

/// Measures them.
pub async fn measure() -> Result<Vec<Measured>> {
    let payload = json!({"text": "x".repeat(PAYLOAD_BYTES - r#"{"text":""}"#.len())});
    ensure!(
        payload.to_string().len() == PAYLOAD_BYTES,
        "the payload has {} bytes",
        payload.to_string().len()
    );
    let dspex = Dspex::builder()
        .workers(1)
        .worker_limits(process::readable())
        .allow_module("figure_tools")
        .python_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/figures/python"))
        .start()
        .await?;
    let session = dspex.session();
    let _registered = session.tools().register(tools![echo]).await?;
    let leak = leak(&dspex, &session, &payload).await?;
    let ratio = ratio(&session, &payload).await?;
    Ok(vec![ratio, leak])
}

async fn run<T: serde::de::DeserializeOwned>(
    session: &Session,
    function: &str,
    arguments: Value,
) -> Result<T> {
    let answer = session.dspy().call(&format!("figure_tools.{function}"), &json!([]), &arguments).await?;
    Ok(serde_json::from_value(answer)?)
}

// ---------------------------------------------------------------------------------------------- one call back

async fn ratio(session: &Session, payload: &Value) -> Result<Measured> {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("host.sock");
    let server = grpc::serve(&socket, |echo: EchoMessage| echo)?;
    let by_dspex = || async {
        let times: Vec<f64> = run(session, "by_dspex", json!({"count": CALLS, "payload": payload})).await?;
        anyhow::Ok(quantile(&times, 0.5))
    };
    let by_grpc = || async {
        let arguments = json!({"count": CALLS, "payload": payload, "socket": socket});
        let times: Vec<f64> = run(session, "by_grpc", arguments).await?;
        anyhow::Ok(quantile(&times, 0.5))
    };
    // Rounds that do not count, for both to be warm.
    by_grpc().await?;
    by_dspex().await?;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (grpc, dspex) = (by_grpc().await?, by_dspex().await?);
        ratios.push(grpc / dspex);
        theirs.push(grpc);
        ours.push(dspex);
    }
    server.abort();
    let details =
        format!("{}; grpc.aio {:.0} us, dspex {:.0} us", spread(&ratios, 2), median(&theirs), median(&ours));
    Ok(Measured { name: "tool_callback_ratio", value: median(&ratios), details })
}

/// The message of the baseline.
#[derive(Clone, PartialEq, prost::Message)]
struct EchoMessage {
    #[prost(bytes = "bytes", tag = "1")]
    value: prost::bytes::Bytes,
}

// ------------------------------------------------------------------------------------------------------ many

async fn leak(dspex: &Dspex, session: &Session, payload: &Value) -> Result<Measured> {
    const RUNS: usize = 100;
    let worker = *worker_pids(dspex).first().context("no worker runs")?;
    let call = |calls: usize| async move {
        for _ in 0..calls {
            let done: usize = run(session, "call_often", json!({"count": RUNS, "payload": payload})).await?;
            ensure!(done == RUNS, "the tool ran {done} times");
        }
        Ok((process::pss(std::process::id())?, process::pss(worker)?))
    };
    let (host_before, worker_before) = call(1_000 / RUNS).await?;
    let (host_after, worker_after) = call(10_000 / RUNS).await?;
    let growth = |before: u64, after: u64| (after as f64 - before as f64) / 1000.0;
    let (host, worker) = (growth(host_before, host_after), growth(worker_before, worker_after));
    let details = format!("host {host:+.0} kB, worker {worker:+.0} kB");
    Ok(Measured { name: "tool_leak_kb", value: host + worker, details })
}
