//! The connection to one worker, whichever carrier it is on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::table::CallTable;
use super::{Call, Inbound, LinkLimits, SendError, framed, grpc, inbox};
use crate::pool::events::WorkerEnd;
use crate::pool::scheduler::Permit;
use crate::proto::{Cancel, Hello, Open, Stats, Up, cancel, up};

/// How long a caller waits at most to be told how its worker ended. Mostly that is known within a millisecond or two.
const SETTLED_WITHIN: Duration = Duration::from_millis(500);

/// How long a worker may take to end itself when it was drained.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// A connection to one worker.
pub(crate) struct Link {
    carrier: Carrier,
    calls: Arc<CallTable>,
    next_call: AtomicU64,
    hello: Hello,
    limits: LinkLimits,
    runtime: tokio::runtime::Handle,
}

/// What moves the messages.
pub(super) enum Carrier {
    Framed(framed::Writer),
    Grpc(grpc::Client),
}

impl Link {
    /// A link over a carrier that is set up.
    pub(super) fn new(
        carrier: Carrier,
        calls: Arc<CallTable>,
        hello: Hello,
        limits: LinkLimits,
    ) -> Arc<Self> {
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
        let call = Call::new(id, self.clone(), messages);
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
        self.calls.end_so_far()
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
        self.calls.stats()
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
        for call in self.calls.ids() {
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
    pub(super) fn send(&self, call: u64, kind: up::Kind) -> Result<bool, SendError> {
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
    pub(super) fn cancel(self: &Arc<Self>, call: u64, reason: cancel::Reason) {
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
