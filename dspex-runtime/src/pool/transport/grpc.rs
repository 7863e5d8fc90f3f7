//! The gRPC carrier: one bidirectional stream per call. The only place that knows tonic.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};

use super::assembly::{Assembly, Received};
use super::outbox::{FRAGMENT_BYTES, fragments};
use super::{CallTable, Carrier, Inbound, Link, LinkError, LinkLimits, LoseOnDrop};
use crate::proto::worker_client::WorkerClient;
use crate::proto::{Down, Hello, Up, down, up};

/// One message on the stream; larger ones are fragmented well below.
const MAX_GRPC_MESSAGE: usize = 4 * FRAGMENT_BYTES;

/// Where a worker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// Sets a link up; completes when the worker has said who it is.
pub(crate) async fn connect(address: &Address, limits: LinkLimits) -> Result<Arc<Link>, LinkError> {
    let channel = dial(address).await?;
    let client = WorkerClient::new(channel)
        .max_decoding_message_size(MAX_GRPC_MESSAGE)
        .max_encoding_message_size(MAX_GRPC_MESSAGE);
    let hello = greet(client.clone()).await?;
    let calls = CallTable::new();
    Link::new(Carrier::Grpc(Client { client, streams: Arc::default() }), calls, hello, limits)
}

async fn dial(address: &Address) -> Result<Channel, LinkError> {
    let carrier = |error: tonic::transport::Error| LinkError::Carrier(describe(&error));
    match address {
        Address::Tcp(authority) => {
            configure(Endpoint::from_shared(format!("http://{authority}")).map_err(carrier)?)
                .connect()
                .await
                .map_err(carrier)
        }
        Address::Unix(path) => {
            let path: Arc<Path> = Arc::from(path.as_path());
            // The authority is not used to connect, yet HTTP/2 wants one.
            configure(Endpoint::from_static("http://worker.invalid"))
                .connect_with_connector(tower::service_fn(move |_| {
                    let path = path.clone();
                    async move { UnixStream::connect(&path).await.map(TokioIo::new) }
                }))
                .await
                .map_err(carrier)
        }
    }
}

fn configure(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(5))
        // Well above the minimum that grpcio accepts, else it hangs up with "too many pings".
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_connection_window_size(16 << 20)
        .initial_stream_window_size(4 << 20)
        .tcp_nodelay(true)
}

/// A stream of its own, for the worker's first message; nothing is asked.
async fn greet(mut client: WorkerClient<Channel>) -> Result<Hello, LinkError> {
    let status = |status: tonic::Status| LinkError::Carrier(status.message().to_owned());
    let mut answers = client.call(futures::stream::empty()).await.map_err(status)?.into_inner();
    match answers.message().await.map_err(status)?.and_then(|down| down.kind) {
        Some(down::Kind::Hello(hello)) => Ok(hello),
        _ => Err(LinkError::Carrier("the first message was not Hello".into())),
    }
}

/// The calls of one channel.
pub(crate) struct Client {
    client: WorkerClient<Channel>,
    streams: Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Up>>>>,
}

impl Client {
    /// Opens the call's stream with its first message.
    pub(crate) fn open(&self, message: Up, calls: Arc<CallTable>, limits: LinkLimits) {
        let call = message.call;
        let (sender, mut receiver) = mpsc::unbounded_channel::<Up>();
        lock(&self.streams).insert(call, sender);
        self.send(message);
        let outgoing = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        let (mut client, streams) = (self.client.clone(), self.streams.clone());
        tokio::spawn(async move {
            // A runtime that ends drops this task; the call is told by the guard's drop.
            let _guard = LoseOnDrop::of_call(calls.clone(), call);
            let ended = tokio::select! {
                ended = run_stream(&mut client, outgoing, &calls, limits) => ended,
                () = calls.lost.cancelled() => Ok(()),
            };
            lock(&streams).remove(&call);
            match ended {
                // Nothing was ever sent: the call may go elsewhere, and this worker gets no more.
                Err(status) if is_unreachable(&status) => {
                    calls.end_call(call, Inbound::Unsent);
                    calls.lose(describe(&status));
                }
                // A stream that ends without the call's end broke the protocol; a call that ended is not in the table.
                Ok(()) => calls.lose_call(call),
                Err(status) if is_connection_loss(&status) => calls.lose(describe(&status)),
                Err(status) => {
                    tracing::warn!(target: "dspex::pool", call, status = %status.message(), "a call's stream broke");
                    calls.lose_call(call);
                }
            }
        });
    }

    /// Asks for a sign of life: the worker greets each stream, and nothing is asked on this one.
    pub(crate) fn ping(&self, calls: Arc<CallTable>) {
        let client = self.client.clone();
        tokio::spawn(async move {
            tokio::select! {
                greeted = greet(client) => if greeted.is_ok() { calls.hear() },
                () = calls.lost.cancelled() => {}
            }
        });
    }

    /// Sends a message of an open call; nothing where the call ended.
    pub(crate) fn send(&self, message: Up) {
        let streams = lock(&self.streams);
        let Some(stream) = streams.get(&message.call) else { return };
        if message.encoded_len() <= FRAGMENT_BYTES {
            let _ = stream.send(message);
            return;
        }
        for fragment in fragments(&message.encode_to_vec().into()) {
            let _ = stream.send(Up { call: message.call, kind: Some(up::Kind::Fragment(fragment)) });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Map operations leave the map whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run_stream(
    client: &mut WorkerClient<Channel>,
    outgoing: impl futures::Stream<Item = Up> + Send + 'static,
    calls: &CallTable,
    limits: LinkLimits,
) -> Result<(), tonic::Status> {
    let mut incoming = client.call(outgoing).await?.into_inner();
    let mut assembly = Assembly::new(limits.max_message_bytes);
    while let Some(message) = incoming.message().await? {
        calls.received.fetch_add(message.encoded_len() as u64, Ordering::Relaxed);
        match assembly.receive(message) {
            Ok(Received::Message(Down { kind: Some(down::Kind::Hello(_)), .. }) | Received::Partial) => {}
            Ok(Received::Message(message)) => {
                let end = message.kind.as_ref().is_some_and(super::is_end);
                calls.deliver(message);
                if end {
                    return Ok(());
                }
            }
            Ok(Received::TooLarge { call, size }) => calls.deliver_too_large(call, size),
            Err(error) => return Err(tonic::Status::data_loss(error.to_string())),
        }
    }
    Ok(())
}

/// Application errors are `Failed` messages, so these statuses mean that the worker or the way to it is gone.
fn is_connection_loss(status: &tonic::Status) -> bool {
    matches!(
        status.code(),
        tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::Cancelled
    )
}

/// Whether the connection could not even be set up.
fn is_unreachable(status: &tonic::Status) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(status);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound);
        }
        cause = error.source();
    }
    false
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
