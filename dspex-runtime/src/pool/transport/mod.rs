//! The way to one worker: calls multiplexed over a carrier.
//!
//! [`Link`] is the seam. Two carriers stand behind it, [`framed`] (the default for local workers) and [`grpc`];
//! everything above sees only calls ([`Call`]) that send [`up::Kind`](crate::proto::up::Kind) and receive [`Inbound`].
//!
//! A call occupies its place at the worker (its [`Permit`](crate::pool::scheduler::Permit)) until the worker itself has said that the call ended,
//! even where the caller stopped waiting long before. So a place is never given away while Python still works.

mod assembly;
mod call;
pub(crate) mod framed;
mod grace;
pub(crate) mod grpc;
mod inbox;
mod link;
mod outbox;
mod room;
mod spin;
mod table;

use std::time::Duration;

pub(crate) use call::{Call, CallSender};
use link::Carrier;
pub(crate) use link::Link;
use table::{CallTable, LoseOnDrop};

use crate::proto::{Hello, PROTOCOL_VERSION, down};

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

/// Whether the peer speaks this host's version of the protocol.
fn check_version(hello: &Hello) -> Result<(), LinkError> {
    if hello.protocol == PROTOCOL_VERSION { Ok(()) } else { Err(LinkError::Version { got: hello.protocol }) }
}

fn is_end(kind: &down::Kind) -> bool {
    matches!(kind, down::Kind::Done(_) | down::Kind::Failed(_))
}
