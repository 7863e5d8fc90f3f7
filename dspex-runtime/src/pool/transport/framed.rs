//! The framed carrier: length-delimited messages over one unix socket, all calls side by side.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use prost::Message;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use secrecy::zeroize::Zeroize;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::assembly::{Assembly, Received};
use super::outbox::{FRAGMENT_BYTES, Outbox};
use super::room::Room;
use super::spin::{self, Spin};
use super::{CallTable, Carrier, Link, LinkError, LinkLimits, LoseOnDrop};
use crate::pool::events::WorkerEnd;
use crate::proto::{Down, Hello, Up, down};

/// Larger frames are a broken peer: whole messages are fragmented well below.
const MAX_FRAME_BYTES: usize = FRAGMENT_BYTES + 64 * 1024;

/// What one look at the socket takes at most.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Sets a link up over a connected socket; completes when the worker has said who it is.
pub(crate) async fn connect(stream: UnixStream, limits: LinkLimits) -> Result<Arc<Link>, LinkError> {
    let (read, write) = stream.into_split();
    let mut frames = Frames::new(read);
    let hello = expect_hello(&mut frames).await?;
    super::check_version(&hello)?;
    let calls = CallTable::new(false);
    let writer = Writer::start(write, calls.clone(), limits);
    let link = Link::new(Carrier::Framed(writer), calls.clone(), hello, limits);
    tokio::spawn(read_all(frames, calls, limits));
    Ok(link)
}

async fn expect_hello(frames: &mut Frames) -> Result<Hello, LinkError> {
    match frames.next().await.map_err(|end| LinkError::Carrier(end.to_string()))?.kind {
        Some(down::Kind::Hello(hello)) => Ok(hello),
        _ => Err(LinkError::Carrier("the first message was not Hello".into())),
    }
}

/// Reads frames until the peer is gone.
async fn read_all(mut frames: Frames, calls: Arc<CallTable>, limits: LinkLimits) {
    let _guard = LoseOnDrop::of_all(calls.clone());
    let mut assembly = Assembly::new(limits.max_message_bytes);
    let end: WorkerEnd = loop {
        let message = tokio::select! {
            message = frames.next() => message,
            () = calls.lost.cancelled() => break String::new().into(),
        };
        let received = match message {
            // What no call waits for is not kept: a worker could send any number of such.
            Ok(Down { call, kind: Some(down::Kind::Fragment(_)) }) if !calls.contains(call) => {
                assembly.forget(call);
                continue;
            }
            Ok(message) => {
                calls.received.fetch_add(std::mem::take(&mut frames.taken), Ordering::Relaxed);
                assembly.receive(message)
            }
            Err(end) => break end,
        };
        match received {
            Ok(Received::Message(message)) => {
                if message.kind.as_ref().is_some_and(super::is_end) {
                    assembly.forget(message.call);
                }
                calls.deliver(message);
            }
            Ok(Received::Partial) => calls.hear(),
            Ok(Received::TooLarge { call, size }) => calls.deliver_too_large(call, size),
            Err(error) => break WorkerEnd::Garbage(format!("it sent a broken message: {error}")),
        }
    };
    calls.lose(end);
}

struct Frames {
    read: OwnedReadHalf,
    buffer: BytesMut,
    spin: Spin,
    scratch: Box<[u8]>,
    /// The bytes of frames that nobody counted yet.
    taken: u64,
}

impl Frames {
    fn new(read: OwnedReadHalf) -> Self {
        let scratch = vec![0; SCRATCH_BYTES].into_boxed_slice();
        Self {
            read,
            buffer: BytesMut::with_capacity(SCRATCH_BYTES),
            spin: Spin::default(),
            scratch,
            taken: 0,
        }
    }

    /// Looks for more without sleeping, where that has paid of late. The socket is asked directly, since tokio would
    /// first have to be told that it is readable.
    async fn look(&mut self) -> bool {
        if !self.spin.pays() {
            return false;
        }
        let begun = Instant::now();
        let found = loop {
            let socket: &UnixStream = self.read.as_ref();
            match rustix::net::recv(socket, &mut *self.scratch, RecvFlags::DONTWAIT) {
                Ok((_, count @ 1..)) => {
                    self.buffer.extend_from_slice(&self.scratch[..count]);
                    break true;
                }
                // The end, or an error: whoever reads next finds it too.
                Ok(_) => break false,
                Err(Errno::AGAIN) if begun.elapsed() < spin::WINDOW => tokio::task::yield_now().await,
                Err(_) => break false,
            }
        };
        self.spin.learn(found);
        found
    }

    async fn next(&mut self) -> Result<Down, WorkerEnd> {
        loop {
            if self.buffer.len() >= 4 {
                let length =
                    u32::from_le_bytes([self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]]);
                let length = length as usize;
                if length > MAX_FRAME_BYTES {
                    return Err(WorkerEnd::Garbage(format!("it sent a frame of {length} bytes")));
                }
                if self.buffer.len() >= 4 + length {
                    self.buffer.advance(4);
                    self.taken += 4 + length as u64;
                    let frame = self.buffer.split_to(length).freeze();
                    return Down::decode(frame)
                        .map_err(|error| WorkerEnd::Garbage(format!("it sent a broken frame: {error}")));
                }
                self.buffer.reserve(4 + length - self.buffer.len());
            }
            if self.look().await {
                continue;
            }
            match self.read.read_buf(&mut self.buffer).await {
                Ok(0) => return Err("the worker closed its socket".to_owned().into()),
                Ok(_) => {}
                Err(error) => return Err(format!("the worker's socket failed: {error}").into()),
            }
        }
    }
}

/// The sending half. Whoever sends a small message while nothing else waits writes it at once; the rest is
/// written by a task of its own.
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    socket: OwnedWriteHalf,
    outbox: Mutex<State>,
    wake: Notify,
    room: Room,
}

#[derive(Default)]
struct State {
    outbox: Outbox,
    // The task is in the middle of a write: nobody else may write.
    writing: bool,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Queueing cannot panic half-way, so the state is whole.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    fn start(socket: OwnedWriteHalf, calls: Arc<CallTable>, limits: LinkLimits) -> Self {
        let room = Room::new(limits.max_message_bytes);
        let shared = Arc::new(Shared { socket, outbox: Mutex::default(), wake: Notify::new(), room });
        tokio::spawn(write_all(shared.clone(), calls));
        Self { shared }
    }

    /// Queues a message, and writes it where that needs no waiting. False for the cancellation of a call of which nothing has left.
    pub(crate) fn send(&self, message: Up) -> bool {
        let mut state = self.shared.lock();
        let heard = state.outbox.push(message);
        if !state.writing && state.outbox.only_small() {
            let secret = state.outbox.holds_secret();
            let ready = state.outbox.ready();
            while !ready.is_empty() {
                match self.shared.socket.try_write(ready) {
                    Ok(written) => {
                        if secret {
                            ready[..written].zeroize();
                        }
                        ready.advance(written);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // Full, or broken: the task finds out which.
                    Err(_) => break,
                }
            }
            if ready.is_empty() {
                return heard;
            }
            if secret {
                state.outbox.still_holds_secret();
            }
        }
        self.shared.room.set(state.outbox.bytes());
        drop(state);
        self.shared.wake.notify_one();
        heard
    }

    /// Completes when a message may be queued, or the worker is `lost`.
    pub(crate) async fn room(&self, lost: &CancellationToken) {
        self.shared.room.free(lost).await;
    }
}

async fn write_all(shared: Arc<Shared>, calls: Arc<CallTable>) {
    loop {
        let next = {
            let mut state = shared.lock();
            let next = state.outbox.next();
            let secret = state.outbox.holds_secret();
            state.writing = next.is_some();
            shared.room.set(state.outbox.bytes() + next.as_ref().map_or(0, BytesMut::len));
            next.map(|bytes| (bytes, secret))
        };
        let Some((bytes, secret)) = next else {
            tokio::select! {
                () = shared.wake.notified() => continue,
                () = calls.lost.cancelled() => return,
            }
        };
        let written = tokio::select! {
            written = write_chunk(&shared.socket, bytes, secret) => written,
            () = calls.lost.cancelled() => return,
        };
        if let Err(error) = written {
            return calls.lose(format!("the worker's socket failed: {error}"));
        }
    }
}

/// `secret`: what was written is wiped.
async fn write_chunk(socket: &OwnedWriteHalf, mut bytes: BytesMut, secret: bool) -> std::io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(&bytes) {
            Ok(written) => {
                if secret {
                    bytes[..written].zeroize();
                }
                bytes.advance(written);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
