//! The gRPC carrier: one bidirectional stream per call. The only place that knows tonic.

mod dial;
#[cfg(feature = "tls")]
mod secure;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use super::assembly::{Assembly, Received};
use super::outbox::{FRAGMENT_BYTES, fragments};
use super::room::Room;
use super::{CallTable, Carrier, Inbound, Link, LinkError, LinkLimits, LoseOnDrop};
use crate::pool::endpoint::Endpoint;
use crate::pool::events::WorkerEnd;
use crate::proto::worker_client::WorkerClient;
use crate::proto::{Down, Up, down, up};
use watch::Watch;

/// One message on the stream; larger ones are fragmented well below.
const MAX_GRPC_MESSAGE: usize = 4 * FRAGMENT_BYTES;

/// Sets a link up; completes when the worker has said who it is, and that it takes calls.
pub(crate) async fn connect(endpoint: &Endpoint, limits: LinkLimits) -> Result<Arc<Link>, LinkError> {
    let authorization = match &endpoint.token {
        Some(token) => Some(bearer(token.expose_secret())?),
        None => None,
    };
    let connection = dial::dial(endpoint).await?;
    let stub = Stub { channel: connection.channel.clone(), authorization };
    let (watch, hello, stats) = Watch::open(&stub).await.map_err(|status| connection.refusal(&status))?;
    super::check_version(&hello)?;
    if stats.draining {
        return Err(LinkError::Draining);
    }
    let calls = CallTable::new(true);
    let client = Client {
        stub,
        streams: Arc::default(),
        room: Arc::new(Room::new(limits.max_message_bytes)),
        questions: watch.questions.clone(),
    };
    let link = Link::new(Carrier::Grpc(client), calls.clone(), hello, limits);
    watch.follow(calls);
    Ok(link)
}

/// The metadata that shows a token. Nothing prints it.
fn bearer(token: &str) -> Result<MetadataValue<Ascii>, LinkError> {
    let mut value = MetadataValue::try_from(format!("Bearer {token}")).map_err(|_| {
        LinkError::Unauthenticated(
            "a token is made of visible ASCII characters, and this one is not".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Opens streams on one connection.
#[derive(Clone)]
struct Stub {
    channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Stub {
    async fn call(
        &self,
        outgoing: impl futures::Stream<Item = Up> + Send + 'static,
    ) -> Result<tonic::Streaming<Down>, tonic::Status> {
        let mut request = tonic::Request::new(outgoing);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        let mut client = WorkerClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_GRPC_MESSAGE)
            .max_encoding_message_size(MAX_GRPC_MESSAGE);
        Ok(client.call(request).await?.into_inner())
    }
}

/// The calls of one channel.
pub(crate) struct Client {
    stub: Stub,
    streams: Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Queued>>>>,
    room: Arc<Room>,
    /// To the stream that belongs to no call.
    questions: mpsc::UnboundedSender<Up>,
}

impl Client {
    /// Opens the call's stream with its first message.
    pub(super) fn open(&self, message: Up, calls: Arc<CallTable>, limits: LinkLimits) {
        let call = message.call;
        let (sender, receiver) = mpsc::unbounded_channel::<Queued>();
        lock(&self.streams).insert(call, sender);
        self.send(message);
        let outgoing = outgoing(receiver);
        let (stub, streams) = (self.stub.clone(), self.streams.clone());
        tokio::spawn(async move {
            // A runtime that ends drops this task; the call is told by the guard's drop.
            let _guard = LoseOnDrop::of_call(calls.clone(), call);
            let ended = tokio::select! {
                ended = run_stream(&stub, call, outgoing, &calls, limits) => ended,
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

    /// Sends a message of an open call; nothing where the call ended.
    pub(crate) fn send(&self, message: Up) {
        let streams = lock(&self.streams);
        let Some(stream) = streams.get(&message.call) else { return };
        let bytes = message.encoded_len();
        if bytes <= FRAGMENT_BYTES {
            let _ = stream.send(Queued::new(message, bytes, &self.room));
            return;
        }
        for fragment in fragments(&message.encode_to_vec().into()) {
            let bytes = fragment.data.len();
            let message = Up { call: message.call, kind: Some(up::Kind::Fragment(fragment)) };
            let _ = stream.send(Queued::new(message, bytes, &self.room));
        }
    }

    /// Asks for a sign of life, on the stream that belongs to no call.
    pub(crate) fn ping(&self, nonce: u64) {
        let _ = self.questions.send(watch::ping(nonce));
    }

    /// Completes when a message may be queued, or the worker is `lost`.
    pub(crate) async fn room(&self, lost: &CancellationToken) {
        self.room.free(lost).await;
    }
}

/// A message that waits to be sent.
struct Queued {
    message: Up,
    held: Held,
}

/// What one message takes of the room.
struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Queued {
    fn new(message: Up, bytes: usize, room: &Arc<Room>) -> Self {
        room.add(bytes);
        Self { message, held: Held { room: room.clone(), bytes } }
    }
}

/// What a stream sends. HTTP/2 keeps a message that it took until the peer's window lets it go, and asks for the next
/// one only then: so long, a message counts as waiting.
fn outgoing(mut queue: mpsc::UnboundedReceiver<Queued>) -> impl futures::Stream<Item = Up> {
    let mut last = None;
    futures::stream::poll_fn(move |cx| {
        drop(last.take());
        queue.poll_recv(cx).map(|next| {
            next.map(|Queued { message, held }| {
                last = Some(held);
                message
            })
        })
    })
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.remove(self.bytes);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Map operations leave the map whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run_stream(
    stub: &Stub,
    call: u64,
    outgoing: impl futures::Stream<Item = Up> + Send + 'static,
    calls: &CallTable,
    limits: LinkLimits,
) -> Result<(), tonic::Status> {
    let mut incoming = stub.call(outgoing).await?;
    let mut assembly = Assembly::new(limits.max_message_bytes);
    let mut greeted = false;
    while let Some(message) = incoming.message().await? {
        let greeting = message.call == 0 && matches!(message.kind, Some(down::Kind::Hello(_)));
        if greeting && std::mem::replace(&mut greeted, true) {
            return Err(tonic::Status::data_loss("the worker said Hello a second time"));
        }
        if message.call != call && !greeting {
            return Err(tonic::Status::data_loss("the worker sent a message of another call"));
        }
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

#[cfg(test)]
mod tests {
    use futures::{FutureExt, Stream, StreamExt};

    use super::*;

    /// Two messages, of which each is more than may wait.
    fn two_large(room: &Arc<Room>) -> (mpsc::UnboundedSender<Queued>, impl Stream<Item = Up> + use<>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        for bytes in [11, 11] {
            assert!(sender.send(Queued::new(Up::default(), bytes, room)).is_ok());
        }
        (sender, outgoing(receiver))
    }

    fn has_room(room: &Room) -> bool {
        room.free(&CancellationToken::new()).now_or_never().is_some()
    }

    #[test]
    fn a_message_waits_until_the_next_one_is_asked_for() {
        let room = Arc::new(Room::new(10));
        let (_sender, mut outgoing) = two_large(&room);
        assert!(outgoing.next().now_or_never().flatten().is_some());
        assert!(outgoing.next().now_or_never().flatten().is_some());
        assert!(!has_room(&room), "the second one has not left");
        assert!(outgoing.next().now_or_never().is_none(), "there is no third one");
        assert!(has_room(&room), "it has left");
    }

    #[test]
    fn a_stream_that_ends_takes_what_waits_with_it() {
        let room = Arc::new(Room::new(10));
        let (_sender, mut outgoing) = two_large(&room);
        assert!(outgoing.next().now_or_never().flatten().is_some());
        drop(outgoing);
        assert!(has_room(&room));
    }
}
