//! The way to one worker: calls multiplexed over a carrier.
//!
//! [`Link`] is the seam. Two carriers stand behind it, [`framed`] (the default for local workers) and [`grpc`];
//! everything above sees only calls ([`Call`]) that send [`up::Kind`] and receive [`Inbound`].
//!
//! A call occupies its place at the worker (its [`Permit`]) until the worker itself has said that the call ended,
//! even where the caller stopped waiting long before. So a place is never given away while Python still works.

mod assembly;
pub(crate) mod framed;
mod grace;
pub(crate) mod grpc;
mod inbox;
mod outbox;
mod room;
mod spin;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::grace::Grace;
use crate::pool::events::WorkerEnd;
use crate::pool::scheduler::Permit;
use crate::proto::{Cancel, Down, Hello, Open, PROTOCOL_VERSION, Pong, Stats, Up, cancel, down, up};

/// How long a caller waits at most to be told how its worker ended. Mostly that is known within a millisecond or two.
const SETTLED_WITHIN: Duration = Duration::from_millis(500);

/// How long a worker may take to end itself when it was drained.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// What a call receives.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A message of the worker.
    Message(down::Kind),
    /// The worker's answer is over the limit and was not taken.
    TooLarge(u64),
    /// More waited to be received than the host keeps; the worker was given up.
    Flooded(String),
    /// The worker is gone, or the way to it.
    Lost,
    /// The worker could not be reached: nothing of the call left.
    Unsent,
}

/// Why a message could not be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Over the limit of this host or of the worker.
    #[error("a message of {size} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// The message's size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The worker is gone; the message did not leave.
    #[error("the worker is gone")]
    Lost,
}

/// Why a link could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The carrier broke.
    #[error("the worker could not be reached: {0}")]
    Carrier(String),
    /// The worker serves hosts with a token that it knows, or the other way about.
    #[error("{0}")]
    Unauthenticated(String),
    /// A certificate, of the host or of the worker, that does not do; or one that cannot be read.
    #[cfg(feature = "tls")]
    #[error("no encrypted connection: {0}")]
    Certificate(String),
    /// The worker takes no new calls.
    #[error("the worker is draining and takes no new calls")]
    Draining,
    /// The peer speaks another version, or no dspex at all.
    #[error(
        "the worker speaks protocol {got} and this host speaks {PROTOCOL_VERSION}; use the same dspex version on both sides"
    )]
    Version {
        /// What the worker said.
        got: u32,
    },
}

/// Limits of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkLimits {
    /// The largest message, either way, in bytes.
    pub(crate) max_message_bytes: u64,
    /// How long a cancelled call may go on before its worker is given up.
    pub(crate) cancel_grace: Duration,
}

/// A connection to one worker.
pub(crate) struct Link {
    carrier: Carrier,
    calls: Arc<CallTable>,
    next_call: AtomicU64,
    hello: Hello,
    limits: LinkLimits,
    runtime: tokio::runtime::Handle,
}

enum Carrier {
    Framed(framed::Writer),
    Grpc(grpc::Client),
}

impl Link {
    fn new(carrier: Carrier, calls: Arc<CallTable>, hello: Hello, limits: LinkLimits) -> Arc<Self> {
        let runtime = tokio::runtime::Handle::current();
        Arc::new(Self { carrier, calls, next_call: AtomicU64::new(1), hello, limits, runtime })
    }

    /// Who the worker said it is.
    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Starts a call. The permit is held until the worker says that the call ended.
    pub(crate) fn open(self: &Arc<Self>, open: Open, permit: Permit) -> Result<Call, SendError> {
        let id = self.next_call.fetch_add(1, Ordering::Relaxed);
        let message = Up { call: id, kind: Some(up::Kind::Open(open)) };
        self.check_size(&message)?;
        let (inbox, messages) = inbox::inbox(self.limits.max_message_bytes);
        self.calls.insert(id, inbox, permit)?;
        let call = Call { id, link: self.clone(), messages, ended: false };
        match &self.carrier {
            Carrier::Framed(writer) => drop(writer.send(message)),
            Carrier::Grpc(client) => client.open(message, self.calls.clone(), self.limits),
        }
        Ok(call)
    }

    /// Bytes of messages to the worker and from it.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.calls.sent.load(Ordering::Relaxed), self.calls.received.load(Ordering::Relaxed))
    }

    /// Completes when a message may be sent: at once, unless the worker reads more slowly than the host sends. Who
    /// sends without waiting here makes the host hold what waits.
    pub(crate) async fn room(&self) {
        match &self.carrier {
            Carrier::Framed(writer) => writer.room(&self.calls.lost).await,
            Carrier::Grpc(client) => client.room(&self.calls.lost).await,
        }
    }

    /// The calls that the worker runs for other hosts, as far as it told.
    pub(crate) fn elsewhere(&self) -> usize {
        self.calls.elsewhere.load(Ordering::Relaxed)
    }

    /// Completes when the worker is gone, however it went.
    pub(crate) async fn lost(&self) {
        self.calls.lost.cancelled().await;
    }

    /// Whether the worker is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.calls.lost.is_cancelled()
    }

    /// Whether new calls may be sent.
    pub(crate) fn takes_calls(&self) -> bool {
        !self.is_lost() && !self.calls.draining.load(Ordering::Acquire) && !self.is_suspected()
    }

    /// The worker refused a call because it is draining: it gets no more, and the link ends with its last call.
    pub(crate) fn refused_as_draining(&self) {
        self.calls.lose_when_idle();
    }

    /// How the worker ended, as far as it is known now.
    pub(crate) fn end_so_far(&self) -> WorkerEnd {
        self.calls.end.get().or_else(|| self.calls.first_end.get()).cloned().unwrap_or_else(unknown_end)
    }

    /// How the worker ended. The loss of its connection arrives before anybody knows why, so this waits for whoever knows;
    /// shortly, since callers wait for it.
    pub(crate) async fn end(&self) -> WorkerEnd {
        let _ = tokio::time::timeout(SETTLED_WITHIN, self.calls.settled.cancelled()).await;
        self.end_so_far()
    }

    /// Says how the worker of a lost link ended: the first word counts.
    pub(crate) fn settle(&self, end: WorkerEnd) {
        self.calls.settle(end);
    }

    /// Whether calls ended with it.
    pub(crate) fn lost_calls(&self) -> bool {
        self.calls.lost_calls.load(Ordering::Acquire)
    }

    /// Grows with each message of the worker: whoever looks twice knows whether it said something.
    pub(crate) fn heard(&self) -> u64 {
        self.calls.heard.load(Ordering::Relaxed)
    }

    /// The calls that were sent to the worker.
    pub(crate) fn calls_begun(&self) -> u64 {
        self.next_call.load(Ordering::Relaxed) - 1
    }

    /// What the worker said of itself last.
    pub(crate) fn stats(&self) -> Option<Stats> {
        *self.calls.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the worker for a sign of life.
    pub(crate) fn ping(&self) {
        let nonce = self.heard();
        match &self.carrier {
            Carrier::Framed(writer) => {
                writer.send(Up { call: 0, kind: Some(up::Kind::Ping(crate::proto::Ping { nonce })) });
            }
            Carrier::Grpc(client) => client.ping(nonce),
        }
    }

    /// A worker that is suspected to hang gets no new calls until it answers.
    pub(crate) fn suspect(&self, suspected: bool) {
        self.calls.suspected.store(suspected, Ordering::Release);
    }

    /// Whether it is suspected to hang.
    pub(crate) fn is_suspected(&self) -> bool {
        self.calls.suspected.load(Ordering::Acquire)
    }

    /// Asks Python to stop every call of this link. Their ends still arrive.
    pub(crate) fn cancel_all(self: &Arc<Self>, reason: cancel::Reason) {
        let calls: Vec<u64> = self.calls.lock().keys().copied().collect();
        for call in calls {
            self.cancel(call, reason);
        }
    }

    /// Ends the link after its last call. Framed, the worker belongs to this host and ends itself as well; over gRPC
    /// it may serve others, so it is only left alone.
    pub(crate) fn drain(self: &Arc<Self>) {
        if matches!(self.carrier, Carrier::Grpc(_)) {
            return self.calls.lose_when_idle();
        }
        // A call that is sent behind a Drain reaches a worker that has ended. So none begins from here on, and the worker is told
        // when the last one has ended.
        self.calls.tell_when_idle();
        let link = self.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                () = link.calls.idle.cancelled() => {}
                () = link.calls.lost.cancelled() => return,
            }
            if let Carrier::Framed(writer) = &link.carrier {
                writer.send(Up { call: 0, kind: Some(up::Kind::Drain(crate::proto::Drain {})) });
            }
            tokio::select! {
                () = tokio::time::sleep(ENDS_WITHIN) => link.give_up("the link was drained".to_owned()),
                () = link.calls.lost.cancelled() => {}
            }
        });
    }

    /// Gives the worker up: every call on it is told, and the supervisor replaces it.
    pub(crate) fn give_up(&self, end: impl Into<WorkerEnd>) {
        self.calls.lose(end);
    }

    fn check_size(&self, message: &Up) -> Result<(), SendError> {
        let size = message.encoded_len() as u64;
        let limit = match self.hello.max_message_bytes {
            0 => self.limits.max_message_bytes,
            peer => peer.min(self.limits.max_message_bytes),
        };
        if size > limit {
            return Err(SendError::TooLarge { size, limit });
        }
        self.calls.sent.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the worker hears of it: not so of the cancellation of a call of which nothing has left.
    fn send(&self, call: u64, kind: up::Kind) -> Result<bool, SendError> {
        let message = Up { call, kind: Some(kind) };
        self.check_size(&message)?;
        if self.is_lost() {
            return Err(SendError::Lost);
        }
        match &self.carrier {
            Carrier::Framed(writer) => Ok(writer.send(message)),
            Carrier::Grpc(client) => {
                client.send(message);
                Ok(true)
            }
        }
    }

    /// Tells the worker to stop the call, and gives the worker up if it does not within the grace period.
    fn cancel(self: &Arc<Self>, call: u64, reason: cancel::Reason) {
        if !self.calls.mark_cancelled(call) {
            return;
        }
        let heard = self.send(call, up::Kind::Cancel(Cancel { reason: reason.into() }));
        if matches!(heard, Ok(false)) {
            // The worker never hears of the call, and will not say that it ended.
            return self.calls.end_call(call, Inbound::Unsent);
        }
        // The clock cannot name every moment.
        let grace = self.limits.cancel_grace.min(Duration::from_secs(30 * 365 * 24 * 3600));
        if self.calls.grace.add(call, Instant::now() + grace) {
            self.runtime.spawn(end_grace(Arc::downgrade(self), self.calls.lost.clone()));
        }
    }
}

/// Gives the worker up when one of its calls goes on for too long after its cancellation.
async fn end_grace(link: Weak<Link>, lost: CancellationToken) {
    let next = || {
        let link = link.upgrade()?;
        link.calls.grace.next(|call| !link.calls.contains(call))
    };
    while let Some((until, call)) = next() {
        tokio::select! {
            () = lost.cancelled() => return,
            () = tokio::time::sleep_until(until) => {}
        }
        if let Some(link) = link.upgrade().filter(|link| link.calls.contains(call)) {
            let grace = link.limits.cancel_grace;
            return link.give_up(WorkerEnd::IgnoredCancellation { grace });
        }
    }
}

impl Drop for Link {
    /// What reads and writes for it ends with it.
    fn drop(&mut self) {
        if !self.is_lost() {
            self.calls.lose(WorkerEnd::Disconnected("nobody uses the connection any more".to_owned()));
        }
    }
}

/// Whether the peer speaks this host's version of the protocol.
fn check_version(hello: &Hello) -> Result<(), LinkError> {
    if hello.protocol == PROTOCOL_VERSION { Ok(()) } else { Err(LinkError::Version { got: hello.protocol }) }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Hello { worker, generation, pid, .. } = &self.hello;
        f.debug_struct("Link")
            .field("worker", worker)
            .field("generation", generation)
            .field("pid", pid)
            .finish()
    }
}

/// One call on its way. Dropping it before its end cancels it in Python.
pub(crate) struct Call {
    id: u64,
    link: Arc<Link>,
    messages: inbox::Receiver,
    ended: bool,
}

impl Call {
    /// What arrives next. After `Done`, `Failed`, `TooLarge` or `Lost` nothing more comes.
    pub(crate) async fn next(&mut self) -> Inbound {
        // The table drops the sender only after it sent the call's end, so `None` cannot come before one.
        let inbound = self.messages.next().await.unwrap_or(Inbound::Lost);
        self.ended = match &inbound {
            Inbound::Message(kind) => is_end(kind),
            Inbound::Flooded(_) | Inbound::Lost | Inbound::Unsent => true,
            Inbound::TooLarge(_) => false,
        };
        inbound
    }

    /// Whether something has arrived that was not received yet.
    pub(crate) fn has_more(&self) -> bool {
        !self.messages.is_empty()
    }

    /// Sends a message of this call.
    pub(crate) fn send(&self, kind: up::Kind) -> Result<(), SendError> {
        self.link.send(self.id, kind).map(drop)
    }

    /// A handle for tasks that answer the call's callbacks.
    pub(crate) fn sender(&self) -> CallSender {
        CallSender { id: self.id, link: self.link.clone() }
    }

    /// Asks Python to stop. The call's end still arrives.
    pub(crate) fn cancel(&self, reason: cancel::Reason) {
        self.link.cancel(self.id, reason);
    }

    /// The worker that runs the call.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            self.link.cancel(self.id, cancel::Reason::Dropped);
        }
    }
}

/// Sends messages of one call from elsewhere.
#[derive(Clone)]
pub(crate) struct CallSender {
    id: u64,
    link: Arc<Link>,
}

impl CallSender {
    /// Completes when a message of this call may be sent; see [`Link::room`].
    pub(crate) async fn room(&self) {
        self.link.room().await;
    }

    /// Sends a message of this call.
    pub(crate) fn send(&self, kind: up::Kind) -> Result<(), SendError> {
        self.link.send(self.id, kind).map(drop)
    }
}

/// The calls that are on their way over one link.
pub(crate) struct CallTable {
    shared: bool,
    calls: Mutex<HashMap<u64, Entry>>,
    lost: CancellationToken,
    /// What was known when the link was lost.
    first_end: OnceLock<WorkerEnd>,
    /// How the worker ended, once that is certain, or once nobody will know more.
    end: OnceLock<WorkerEnd>,
    settled: CancellationToken,
    draining: AtomicBool,
    grace: Grace,
    /// Somebody waits for the last call to have ended, with `draining` set.
    tells: AtomicBool,
    idle: CancellationToken,
    suspected: AtomicBool,
    lost_calls: AtomicBool,
    heard: AtomicU64,
    stats: Mutex<Option<Stats>>,
    sent: AtomicU64,
    received: AtomicU64,
    elsewhere: AtomicUsize,
}

struct Entry {
    inbox: inbox::Sender,
    cancelled: bool,
    // Held for its `Drop`: the place at the worker.
    _permit: Permit,
}

impl CallTable {
    /// `shared`: the worker may serve other hosts beside this one.
    fn new(shared: bool) -> Arc<Self> {
        Arc::new(Self {
            shared,
            calls: Mutex::default(),
            lost: CancellationToken::new(),
            first_end: OnceLock::new(),
            end: OnceLock::new(),
            settled: CancellationToken::new(),
            draining: AtomicBool::new(false),
            grace: Grace::default(),
            tells: AtomicBool::new(false),
            idle: CancellationToken::new(),
            suspected: AtomicBool::new(false),
            lost_calls: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            stats: Mutex::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            elsewhere: AtomicUsize::new(0),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Entry>> {
        // No panic can happen under this lock, so a poisoned map is still whole.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, id: u64, inbox: inbox::Sender, permit: Permit) -> Result<(), SendError> {
        let mut calls = self.lock();
        // Checked under the lock: `lose` takes it too, so that no call is added behind its back.
        if self.lost.is_cancelled() || self.draining.load(Ordering::Acquire) {
            return Err(SendError::Lost);
        }
        calls.insert(id, Entry { inbox, cancelled: false, _permit: permit });
        Ok(())
    }

    fn contains(&self, id: u64) -> bool {
        self.lock().contains_key(&id)
    }

    /// Marks a call; false if it ended or was marked before.
    fn mark_cancelled(&self, id: u64) -> bool {
        match self.lock().get_mut(&id) {
            Some(entry) => !std::mem::replace(&mut entry.cancelled, true),
            None => false,
        }
    }

    /// The worker said something.
    fn hear(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    fn settle(&self, end: WorkerEnd) {
        let _ = self.end.set(end);
        self.settled.cancel();
    }

    /// Hands a message to its call.
    fn deliver(&self, message: Down) {
        self.hear();
        let Some(kind) = message.kind else { return };
        if message.call == 0 {
            return self.deliver_own(kind);
        }
        let end = is_end(&kind);
        let mut calls = self.lock();
        if end {
            let entry = calls.remove(&message.call);
            drop(calls);
            if let Some(Entry { inbox, _permit: permit, .. }) = entry {
                // The place is free before the caller goes on, so that it finds it free.
                drop(permit);
                inbox.end(Inbound::Message(kind));
            }
            self.lose_if_drained();
        } else if let Some(entry) = calls.get(&message.call) {
            let bytes = kind.encoded_len() as u64;
            let sent = entry.inbox.send(Inbound::Message(kind), bytes);
            drop(calls);
            self.lose_if_full(message.call, sent);
        }
    }

    /// A message of the connection itself.
    fn deliver_own(&self, kind: down::Kind) {
        match kind {
            down::Kind::Pong(Pong { stats: Some(stats), .. }) | down::Kind::Stats(stats) => {
                let own = self.lock().len();
                self.elsewhere.store((stats.in_flight as usize).saturating_sub(own), Ordering::Relaxed);
                let draining = stats.draining;
                *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats);
                // A worker that other hosts share drains without being told to by this one.
                if draining && self.shared {
                    self.lose_when_idle();
                }
            }
            // The first one was taken when the link was set up. Whoever says it again is somebody else, or confused.
            down::Kind::Hello(_) => self.lose(WorkerEnd::Garbage("it said Hello a second time".to_owned())),
            _ => {}
        }
    }

    fn deliver_too_large(&self, call: u64, size: u64) {
        let calls = self.lock();
        if let Some(entry) = calls.get(&call) {
            let sent = entry.inbox.send(Inbound::TooLarge(size), 0);
            drop(calls);
            self.lose_if_full(call, sent);
        }
    }

    /// A worker that sends what nobody reads is not to be trusted with any call.
    fn lose_if_full(&self, call: u64, sent: Result<(), inbox::Full>) {
        let Err(inbox::Full { messages, bytes }) = sent else { return };
        let what =
            format!("it flooded a call: {messages} messages of {bytes} bytes together waited to be read");
        self.end_call(call, Inbound::Flooded(format!("the worker was given up: {what}")));
        self.lose(WorkerEnd::Garbage(what));
    }

    /// Ends one call whose own stream broke.
    fn lose_call(&self, call: u64) {
        self.end_call(call, Inbound::Lost);
    }

    fn end_call(&self, call: u64, end: Inbound) {
        let entry = self.lock().remove(&call);
        if let Some(Entry { inbox, _permit: permit, .. }) = entry {
            drop(permit);
            inbox.end(end);
        }
        self.lose_if_drained();
    }

    /// Ends the link when its last call ended, now or later.
    fn lose_when_idle(&self) {
        self.stop_inserting();
        self.lose_if_drained();
    }

    /// Takes no new calls, and says when the last one ended.
    fn tell_when_idle(&self) {
        self.tells.store(true, Ordering::Release);
        self.lose_when_idle();
    }

    fn stop_inserting(&self) {
        // Under the lock, so that no call is added behind its back.
        let _calls = self.lock();
        self.draining.store(true, Ordering::Release);
    }

    fn lose_if_drained(&self) {
        if self.draining.load(Ordering::Acquire) && self.lock().is_empty() {
            if self.tells.load(Ordering::Acquire) {
                self.idle.cancel();
            } else {
                self.lose("the link was drained".to_owned());
            }
        }
    }

    /// Ends every call.
    fn lose(&self, end: impl Into<WorkerEnd>) {
        let end = end.into();
        if self.first_end.set(end.clone()).is_ok() && !end.is_vague() {
            self.settle(end);
        }
        let calls = {
            let mut calls = self.lock();
            if !calls.is_empty() {
                self.lost_calls.store(true, Ordering::Release);
            }
            self.lost.cancel();
            std::mem::take(&mut *calls)
        };
        for (_, entry) in calls {
            entry.inbox.end(Inbound::Lost);
        }
    }
}

/// What a task that a runtime's end drops leaves behind: calls that are told, not calls that hang.
struct LoseOnDrop {
    calls: Arc<CallTable>,
    /// One call, or all of them.
    call: Option<u64>,
}

impl LoseOnDrop {
    fn of_all(calls: Arc<CallTable>) -> Self {
        Self { calls, call: None }
    }

    fn of_call(calls: Arc<CallTable>, call: u64) -> Self {
        Self { calls, call: Some(call) }
    }
}

impl Drop for LoseOnDrop {
    fn drop(&mut self) {
        match self.call {
            Some(call) => self.calls.lose_call(call),
            None if self.calls.lost.is_cancelled() => {}
            None => self.calls.lose("the tokio runtime that dspex was started on has ended".to_owned()),
        }
    }
}

fn unknown_end() -> WorkerEnd {
    WorkerEnd::Disconnected("the connection ended".to_owned())
}

fn is_end(kind: &down::Kind) -> bool {
    matches!(kind, down::Kind::Done(_) | down::Kind::Failed(_))
}
