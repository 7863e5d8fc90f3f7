//! The protocol's messages, generated from `proto/dspex/v1/worker.proto` and checked in.

#![allow(missing_docs, unreachable_pub, rust_2018_idioms, clippy::all, clippy::pedantic)]

include!("generated/dspex.v1.rs");

/// The version of the protocol that this host speaks; a worker with another one is refused.
pub const PROTOCOL_VERSION: u32 = 3;

impl std::fmt::Debug for LmSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LmSpec").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("target", &self.target)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for open::Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Instance(call) => call.fmt(f),
            Self::Function(call) => call.fmt(f),
            Self::Introspect(call) => call.fmt(f),
            Self::Check(call) => call.fmt(f),
            Self::Tool(call) => call.fmt(f),
        }
    }
}
