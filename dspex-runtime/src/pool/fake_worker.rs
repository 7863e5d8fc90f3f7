//! A worker in Rust that speaks the true protocol over the framed carrier, for tests of everything above it.

use std::sync::Arc;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::scheduler::Scheduler;
use super::transport::{Link, LinkError, LinkLimits, framed};
use crate::proto::{Done, Down, Hello, PROTOCOL_VERSION, Payload, Up, down, up};

/// The worker's end of a connection.
pub(crate) struct FakeWorker {
    stream: UnixStream,
}

impl FakeWorker {
    /// A worker that said Hello, and the host's link to it.
    pub(crate) async fn connect(limits: LinkLimits) -> (Self, Arc<Link>) {
        let hello = Hello { protocol: PROTOCOL_VERSION, ..Hello::default() };
        let (worker, link) = Self::connect_as(hello, limits).await;
        (worker, link.expect("the fake worker's Hello is right"))
    }

    /// A worker that says this Hello.
    pub(crate) async fn connect_as(hello: Hello, limits: LinkLimits) -> (Self, Result<Arc<Link>, LinkError>) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let mut worker = Self { stream: theirs };
        worker.send(0, down::Kind::Hello(hello)).await;
        (worker, framed::connect(ours, limits).await)
    }

    /// A scheduler with one slot, at which a fake worker is ready.
    pub(crate) async fn ready(limits: LinkLimits, in_flight: usize, queue: usize) -> (Self, Arc<Scheduler>) {
        let (worker, link) = Self::connect(limits).await;
        let scheduler = Scheduler::new(1, in_flight, queue);
        scheduler.publish(0, 1, link);
        (worker, scheduler)
    }

    /// The host's next message.
    pub(crate) async fn receive(&mut self) -> (u64, up::Kind) {
        let length = self.stream.read_u32_le().await.expect("the host speaks");
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame).await.expect("a whole frame");
        let message = Up::decode(&*frame).expect("a message");
        (message.call, message.kind.expect("a known kind"))
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, call: u64, kind: down::Kind) {
        let message = Down { call, kind: Some(kind) }.encode_to_vec();
        self.stream.write_u32_le(message.len() as u32).await.expect("the host listens");
        self.stream.write_all(&message).await.expect("the host listens");
    }

    /// Sends a message to a host that may hang up.
    pub(crate) async fn try_send(&mut self, call: u64, kind: down::Kind) -> std::io::Result<()> {
        let message = Down { call, kind: Some(kind) }.encode_to_vec();
        self.stream.write_u32_le(message.len() as u32).await?;
        self.stream.write_all(&message).await
    }

    /// Sends raw bytes, whatever they mean.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the host listens");
    }

    /// Ends a call with an answer.
    pub(crate) async fn done(&mut self, call: u64, json: &str) {
        let output = Some(Payload { json: json.to_owned().into(), attachments: Vec::new() });
        self.send(call, down::Kind::Done(Done { output, run_us: 0 })).await;
    }
}
