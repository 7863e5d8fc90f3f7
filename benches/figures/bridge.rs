//! What it costs to cross from Rust to Python, beside the usual way to do that.
//!
//! Both sides carry the same 200 bytes of JSON. The usual way is a unary `grpc.aio` server that gives back the bytes
//! that it got. dspex's side is a whole call on a warm instance: leased, scheduled, cancellable, with a deadline, its
//! JSON read, checked against the method's parameters, and written again.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dspex::prelude::*;
use dspex::{Carrier, DynInstance};
use serde_json::{Value, json};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};

use crate::catalogue::{Figure, Goal, Measured};
use crate::python::{Python, Script};
use crate::stats::{median, quantile, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "bridge_p50_ratio",
        unit: "x",
        goal: Goal::AtLeast(6.0),
        method: "p50 of a unary grpc.aio echo over a unix socket (tonic client) / p50 of a call on a warm instance of a \
                 trivial Python class over the framed carrier, 200 bytes of JSON, one call in flight, one Python \
                 process each; rounds by turns, median of the rounds' ratios.",
    },
    Figure {
        name: "bridge_throughput_ratio",
        unit: "x",
        goal: Goal::AtLeast(10.0),
        method: "The same with 16 calls in flight: calls per second by dspex / calls per second by grpc.aio.",
    },
];

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(400);
const IN_FLIGHT: usize = 16;
const PAYLOAD_BYTES: usize = 200;

/// The message of the baseline.
#[derive(Clone, PartialEq, prost::Message)]
struct Echo {
    #[prost(bytes = "bytes", tag = "1")]
    value: prost::bytes::Bytes,
}

/// Measures them.
pub async fn measure(python: &Python) -> Result<Vec<Measured>> {
    // What both sides carry.
    let document = json!({"text": "x".repeat(PAYLOAD_BYTES - r#"{"text":""}"#.len())});
    let json = serde_json::to_vec(&document)?;
    ensure!(json.len() == PAYLOAD_BYTES, "the payload has {} bytes", json.len());

    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("echo.sock");
    let _server = Script::start(python, "grpc_echo.py", &[&socket]).await?;
    let channel = dial(&socket).await?;
    let bytes = prost::bytes::Bytes::from(json.clone());
    ensure!(unary(channel.clone(), bytes.clone()).await? == bytes, "grpc.aio does not echo");
    let baseline = move || unary(channel.clone(), bytes.clone());

    let dspex = Dspex::builder()
        .workers(1)
        .carrier(Carrier::Framed)
        .allow_module("dspex_worker.testing")
        .start()
        .await?;
    let dspy = dspex.dspy();
    let instance = dspy.create_instance(InstanceSpec::new("dspex_worker.testing.Echo")).await?;
    let shared = Arc::new((dspy, instance, document));
    let echoed = call(shared.clone()).await?;
    ensure!(echoed == shared.2, "dspex does not echo");
    let ours = move || call(shared.clone());

    // Rounds that do not count, for both to be warm.
    round(1, baseline.clone()).await?;
    round(1, ours.clone()).await?;
    let (mut alone, mut together) = (Sides::default(), Sides::default());
    for _ in 0..ROUNDS {
        alone.push(round(1, baseline.clone()).await?.p50, round(1, ours.clone()).await?.p50);
        let theirs = round(IN_FLIGHT, baseline.clone()).await?.per_second;
        together.push(theirs, round(IN_FLIGHT, ours.clone()).await?.per_second);
    }
    let p50: Vec<f64> = alone.pairs().map(|(theirs, ours)| theirs / ours).collect();
    let throughput: Vec<f64> = together.pairs().map(|(theirs, ours)| ours / theirs).collect();
    let sides = |sides: &Sides, what: &str| {
        format!("grpc.aio {:.0} {what}, dspex {:.0} {what}", median(&sides.theirs), median(&sides.ours))
    };
    Ok(vec![
        Measured {
            name: "bridge_p50_ratio",
            value: median(&p50),
            details: format!("{}; {}", spread(&p50, 2), sides(&alone, "us")),
        },
        Measured {
            name: "bridge_throughput_ratio",
            value: median(&throughput),
            details: format!("{}; {}", spread(&throughput, 2), sides(&together, "calls/s")),
        },
    ])
}

/// Values of both sides, round by round.
#[derive(Default)]
struct Sides {
    theirs: Vec<f64>,
    ours: Vec<f64>,
}

impl Sides {
    fn push(&mut self, theirs: f64, ours: f64) {
        self.theirs.push(theirs);
        self.ours.push(ours);
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        self.theirs.iter().copied().zip(self.ours.iter().copied())
    }
}

async fn call(shared: Arc<(dspex::Dspy, DynInstance, Value)>) -> Result<Value> {
    let (dspy, instance, document) = &*shared;
    Ok(dspy.call_instance_method(instance, "execute", document).await?)
}

async fn dial(socket: &Path) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("unix:{}", socket.display()))?.connect().await?)
}

async fn unary(channel: Channel, value: prost::bytes::Bytes) -> Result<prost::bytes::Bytes> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let codec = tonic_prost::ProstCodec::<Echo, Echo>::default();
    let path = PathAndQuery::from_static("/figures.Echo/Echo");
    Ok(client.unary(tonic::Request::new(Echo { value }), path, codec).await?.into_inner().value)
}

/// What one round yields.
struct Round {
    /// In microseconds.
    p50: f64,
    per_second: f64,
}

/// Calls for a while, with so many in flight.
async fn round<C, F, T>(in_flight: usize, call: C) -> Result<Round>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<T>> + Send,
{
    let begun = Instant::now();
    let callers = (0..in_flight).map(|_| {
        let call = call.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < ROUND {
                let sent = Instant::now();
                call().await?;
                times.push(sent.elapsed().as_secs_f64() * 1e6);
            }
            Ok::<_, anyhow::Error>(times)
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await??);
    }
    let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
    Ok(Round { p50: quantile(&times, 0.5), per_second })
}
