//! One call over a link, as whoever makes it holds it.

use std::sync::Arc;

use super::{Inbound, Link, SendError, inbox, is_end};
use crate::proto::{cancel, up};

/// One call on its way. Dropping it before its end cancels it in Python.
pub(crate) struct Call {
    id: u64,
    link: Arc<Link>,
    messages: inbox::Receiver,
    ended: bool,
}

impl Call {
    /// A call that is in the link's table.
    pub(super) fn new(id: u64, link: Arc<Link>, messages: inbox::Receiver) -> Self {
        Self { id, link, messages, ended: false }
    }

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
