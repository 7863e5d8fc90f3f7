//! dspex beside the usual design of such a bridge: a gRPC server on either side, and a session that is set up for each call.
//!
//! The stand-in does what bridges of that design do for a call, and nothing else. The host calls a unary method of a `grpc.aio`
//! server, `ExecuteTool`, with the session's id, the tool's name and its parameters as JSON in `Any`s. The server asks the
//! host, by a blocking unary call on its event loop, for the session (`InitializeSession`), makes an adapter for it,
//! registers the adapter's tools where the session is new, runs the tool in a thread, encodes the answer, and cleans the adapter
//! up. Its stubs and channels are made once and kept.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tonic::transport::Channel;

use crate::catalogue::{Figure, Goal, Measured};
use crate::python::{Python, Script};
use crate::rounds::{ROUNDS, Sides, round};
use crate::stats::{median, spread};
use crate::{echo, grpc};

/// What is measured here.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "usual_design_p50_ratio",
        unit: "x",
        goal: Goal::AtLeast(10.0),
        method: "p50 of a call of a stand-in for the usual design (unary grpc.aio over a unix socket, a session set up with the \
                 host by a unary call back for each call, a new adapter, the tool in a thread) / p50 of a call on a warm instance \
                 of a trivial Python class by dspex, which is async and so needs no thread; 200 bytes of JSON there and back, one call in flight, one Python process \
                 each; rounds by turns, median of the rounds' ratios.",
    },
    Figure {
        name: "usual_design_throughput_ratio",
        unit: "x",
        goal: Goal::AtLeast(20.0),
        method: "The same with 16 calls in flight: calls per second by dspex / calls per second by the stand-in.",
    },
];

/// Callers of the throughput's rounds.
const IN_FLIGHT: usize = 16;

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl Any {
    fn json(value: &Value) -> Self {
        Self {
            type_url: "type.googleapis.com/google.protobuf.StringValue".to_owned(),
            value: value.to_string().into(),
        }
    }
}

/// A tool is to be run.
#[derive(Clone, PartialEq, prost::Message)]
struct ExecuteTool {
    #[prost(string, tag = "1")]
    session_id: String,
    #[prost(string, tag = "2")]
    tool_name: String,
    #[prost(map = "string, message", tag = "3")]
    parameters: HashMap<String, Any>,
    #[prost(map = "string, string", tag = "4")]
    metadata: HashMap<String, String>,
}

/// What it answered.
#[derive(Clone, PartialEq, prost::Message)]
struct ToolExecuted {
    #[prost(bool, tag = "1")]
    success: bool,
    #[prost(message, optional, tag = "2")]
    result: Option<Any>,
    #[prost(string, tag = "3")]
    error_message: String,
    #[prost(map = "string, string", tag = "4")]
    metadata: HashMap<String, String>,
    #[prost(int64, tag = "5")]
    execution_time_ms: i64,
}

/// The Python side asks for a session.
#[derive(Clone, PartialEq, prost::Message)]
struct InitializeSession {
    #[prost(string, tag = "1")]
    session_id: String,
    #[prost(map = "string, string", tag = "2")]
    metadata: HashMap<String, String>,
}

/// The session.
#[derive(Clone, PartialEq, prost::Message)]
struct SessionInitialized {
    #[prost(bool, tag = "1")]
    success: bool,
    #[prost(string, tag = "2")]
    error_message: String,
    #[prost(map = "string, string", tag = "3")]
    available_tools: HashMap<String, String>,
}

/// Measures them.
pub async fn measure(python: &Python) -> Result<Vec<Measured>> {
    let document = echo::document()?;
    let dir = tempfile::tempdir()?;
    let (host, worker) = (dir.path().join("host.sock"), dir.path().join("worker.sock"));
    let server = grpc::serve(&host, initialize_session)?;
    let _script = Script::start(python, "usual_design.py", &[&worker, &host]).await?;
    let channel = grpc::dial(&worker).await?;
    let text = document["text"].clone();
    ensure!(execute(channel.clone(), text.clone()).await? == text, "the stand-in does not echo");
    let theirs = move || execute(channel.clone(), text.clone());
    let ours = echo::warm(document).await?;

    // Rounds that do not count, for both to be warm.
    round(1, theirs.clone()).await?;
    round(1, ours.clone()).await?;
    let (mut alone, mut together) = (Sides::default(), Sides::default());
    for _ in 0..ROUNDS {
        alone.push(round(1, theirs.clone()).await?.p50, round(1, ours.clone()).await?.p50);
        let usual = round(IN_FLIGHT, theirs.clone()).await?.per_second;
        together.push(usual, round(IN_FLIGHT, ours.clone()).await?.per_second);
    }
    server.abort();
    let p50: Vec<f64> = alone.pairs().map(|(theirs, ours)| theirs / ours).collect();
    let throughput: Vec<f64> = together.pairs().map(|(theirs, ours)| ours / theirs).collect();
    Ok(vec![
        Measured {
            name: "usual_design_p50_ratio",
            value: median(&p50),
            details: format!("{}; {}", spread(&p50, 1), alone.described("usual", "us")),
        },
        Measured {
            name: "usual_design_throughput_ratio",
            value: median(&throughput),
            details: format!("{}; {}", spread(&throughput, 1), together.described("usual", "calls/s")),
        },
    ])
}

fn initialize_session(asked: InitializeSession) -> SessionInitialized {
    let success = !asked.session_id.is_empty();
    SessionInitialized { success, error_message: String::new(), available_tools: HashMap::new() }
}

async fn execute(channel: Channel, text: Value) -> Result<Value> {
    let call = ExecuteTool {
        session_id: "session-1".to_owned(),
        tool_name: "echo".to_owned(),
        parameters: HashMap::from([("text".to_owned(), Any::json(&text))]),
        metadata: HashMap::new(),
    };
    let answer: ToolExecuted = grpc::unary(channel, "/usual.Worker/ExecuteTool", call).await?;
    ensure!(answer.success, "the stand-in failed: {}", answer.error_message);
    Ok(serde_json::from_slice(&answer.result.context("no result")?.value)?)
}
