//! What waits for one call to be received, with bounds: a worker that sends what nobody reads must not fill the
//! host's memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::Inbound;

/// So many messages of one call may wait. What DSPy sends is received in microseconds; a call whose events nobody
/// reads has its generator stopped after 32.
const MESSAGES: u64 = 16 * 1024;

/// Beside one message of the largest size, so many bytes may wait.
const BYTES: u64 = 16 << 20;

/// The two ends of a call's inbox. `max_message_bytes`: the largest message.
pub(super) fn inbox(max_message_bytes: u64) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(Waiting::default());
    let limit = max_message_bytes.saturating_add(BYTES);
    (Sender { channel: sender, waiting: waiting.clone(), limit }, Receiver { channel: receiver, waiting })
}

#[derive(Default)]
struct Waiting {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// The end that the carrier fills.
pub(super) struct Sender {
    channel: mpsc::UnboundedSender<(Inbound, u64)>,
    waiting: Arc<Waiting>,
    limit: u64,
}

/// The messages and bytes that wait, which are too many.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Sender {
    /// Adds a message of this size, unless too much waits.
    pub(super) fn send(&self, inbound: Inbound, bytes: u64) -> Result<(), Full> {
        // One task sends, so the figures only ever shrink meanwhile.
        let messages = self.waiting.messages.load(Ordering::Relaxed) + 1;
        let total = self.waiting.bytes.load(Ordering::Relaxed).saturating_add(bytes);
        if messages > MESSAGES || total > self.limit {
            return Err(Full { messages, bytes: total });
        }
        self.waiting.messages.fetch_add(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Nobody may wait any more.
        let _ = self.channel.send((inbound, bytes));
        Ok(())
    }

    /// Adds the call's end, for which there is always room.
    pub(super) fn end(self, inbound: Inbound) {
        let _ = self.channel.send((inbound, 0));
    }
}

/// The end that the call takes from.
pub(super) struct Receiver {
    channel: mpsc::UnboundedReceiver<(Inbound, u64)>,
    waiting: Arc<Waiting>,
}

impl Receiver {
    /// The next message; `None` where the sender went without the call's end.
    pub(super) async fn next(&mut self) -> Option<Inbound> {
        let (inbound, bytes) = self.channel.recv().await?;
        // The end was not counted, and is the last.
        let _ =
            self.waiting.messages.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        self.waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Some(inbound)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.channel.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Event, down};

    fn event() -> Inbound {
        Inbound::Message(down::Kind::Event(Event::default()))
    }

    #[tokio::test]
    async fn what_is_read_makes_room() {
        let (sender, mut receiver) = inbox(0);
        for _ in 0..10 * MESSAGES {
            sender.send(event(), 1000).unwrap();
            assert!(receiver.next().await.is_some());
        }
        sender.end(Inbound::Lost);
        assert!(matches!(receiver.next().await, Some(Inbound::Lost)));
        assert!(receiver.next().await.is_none());
    }

    #[test]
    fn too_many_messages_and_too_many_bytes_are_refused() {
        let (sender, _receiver) = inbox(0);
        for _ in 0..MESSAGES {
            sender.send(event(), 1).unwrap();
        }
        assert_eq!(sender.send(event(), 1), Err(Full { messages: MESSAGES + 1, bytes: MESSAGES + 1 }));
        let (sender, _receiver) = inbox(100);
        sender.send(event(), BYTES + 100).unwrap();
        assert!(sender.send(event(), 1).is_err());
    }
}
