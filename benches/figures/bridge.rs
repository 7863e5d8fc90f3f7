//! What it costs to cross from Rust to Python, beside the usual way to do that.
//!
//! Both sides carry the same 200 bytes of JSON. The usual way is a unary `grpc.aio` server that gives back the bytes
//! that it got. dspex's side is a whole call on a warm instance: leased, scheduled, cancellable, with a deadline, its
//! JSON read, checked against the method's parameters, and written again.

use anyhow::{Result, ensure};
use tonic::transport::Channel;

use crate::catalogue::{Figure, Goal, Measured};
use crate::python::{Python, Script};
use crate::rounds::{ROUNDS, Sides, round};
use crate::stats::{median, spread};
use crate::{echo, grpc};

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

/// Callers of the throughput's rounds.
const IN_FLIGHT: usize = 16;

/// The message of the baseline.
#[derive(Clone, PartialEq, prost::Message)]
struct Echo {
    #[prost(bytes = "bytes", tag = "1")]
    value: prost::bytes::Bytes,
}

/// Measures them.
pub async fn measure(python: &Python) -> Result<Vec<Measured>> {
    let document = echo::document()?;
    let json = serde_json::to_vec(&document)?;
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("echo.sock");
    let _server = Script::start(python, "grpc_echo.py", &[&socket]).await?;
    let channel = grpc::dial(&socket).await?;
    let bytes = prost::bytes::Bytes::from(json.clone());
    ensure!(unary(channel.clone(), bytes.clone()).await? == bytes, "grpc.aio does not echo");
    let baseline = move || unary(channel.clone(), bytes.clone());

    let ours = echo::warm(document).await?;
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
    Ok(vec![
        Measured {
            name: "bridge_p50_ratio",
            value: median(&p50),
            details: format!("{}; {}", spread(&p50, 2), alone.described("grpc.aio", "us")),
        },
        Measured {
            name: "bridge_throughput_ratio",
            value: median(&throughput),
            details: format!("{}; {}", spread(&throughput, 2), together.described("grpc.aio", "calls/s")),
        },
    ])
}

async fn unary(channel: Channel, value: prost::bytes::Bytes) -> Result<prost::bytes::Bytes> {
    Ok(grpc::unary::<Echo, Echo>(channel, "/figures.Echo/Echo", Echo { value }).await?.value)
}
