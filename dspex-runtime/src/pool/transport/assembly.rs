//! The receiving half of both carriers: fragments back into messages, with the size limit.

use std::collections::HashMap;

use prost::Message;

use crate::proto::{Down, Fragment, down};

/// What one received message led to.
pub(crate) enum Received {
    /// A whole message.
    Message(Down),
    /// A fragment that others follow.
    Partial,
    /// The call announced a message of this many bytes, which is over the limit; its fragments are dropped.
    TooLarge {
        /// The call.
        call: u64,
        /// The announced size in bytes.
        size: u64,
    },
}

/// Joins the fragments of each call.
pub(crate) struct Assembly {
    limit: u64,
    partial: HashMap<u64, Partial>,
}

enum Partial {
    Growing(Vec<u8>),
    Refused,
}

impl Assembly {
    /// Refuses messages of more than `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, partial: HashMap::new() }
    }

    /// Takes one message from the wire. An error means that the peer broke the protocol.
    pub(crate) fn receive(&mut self, message: Down) -> Result<Received, prost::DecodeError> {
        match message.kind {
            Some(down::Kind::Fragment(fragment)) => self.fragment(message.call, fragment),
            _ => Ok(Received::Message(message)),
        }
    }

    fn fragment(&mut self, call: u64, fragment: Fragment) -> Result<Received, prost::DecodeError> {
        let last = fragment.last;
        let partial = self.partial.entry(call).or_insert_with(|| Partial::Growing(Vec::new()));
        let Partial::Growing(buffer) = partial else {
            if last {
                self.partial.remove(&call);
            }
            return Ok(Received::Partial);
        };
        let size = fragment.total.max((buffer.len() + fragment.data.len()) as u64);
        if size > self.limit {
            if last {
                self.partial.remove(&call);
            } else {
                *partial = Partial::Refused;
            }
            return Ok(Received::TooLarge { call, size });
        }
        if buffer.is_empty() {
            buffer.reserve_exact(fragment.total as usize);
        }
        buffer.extend_from_slice(&fragment.data);
        if !last {
            return Ok(Received::Partial);
        }
        let encoded = std::mem::take(buffer);
        self.partial.remove(&call);
        Down::decode(bytes::Bytes::from(encoded)).map(Received::Message)
    }

    /// Forgets what a call that ended had begun.
    pub(crate) fn forget(&mut self, call: u64) {
        self.partial.remove(&call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Done, Payload};

    fn fragments_of(size: usize) -> Vec<Down> {
        let json = vec![b'x'; size].into();
        let done = Done { output: Some(Payload { json, attachments: vec![] }), run_us: 0 };
        let whole = Down { call: 7, kind: Some(down::Kind::Done(done)) };
        super::super::outbox::fragments(&whole.encode_to_vec().into())
            .map(|fragment| Down { call: 7, kind: Some(down::Kind::Fragment(fragment)) })
            .collect()
    }

    #[test]
    fn a_message_of_a_megabyte_arrives_whole() {
        let mut assembly = Assembly::new(2 << 20);
        let mut got = None;
        for fragment in fragments_of(1 << 20) {
            if let Received::Message(message) = assembly.receive(fragment).unwrap() {
                got = Some(message);
            }
        }
        let Some(down::Kind::Done(done)) = got.unwrap().kind else { panic!("not the message that was sent") };
        assert_eq!(done.output.unwrap().json.len(), 1 << 20);
        assert!(assembly.partial.is_empty());
    }

    #[test]
    fn an_announced_size_over_the_limit_is_refused_without_buffering() {
        let mut assembly = Assembly::new(1 << 20);
        let mut refusals = 0;
        for fragment in fragments_of(3 << 20) {
            if let Received::TooLarge { call, size } = assembly.receive(fragment).unwrap() {
                assert_eq!(call, 7);
                assert!(size > 3 << 20);
                refusals += 1;
            }
        }
        assert_eq!(refusals, 1);
        assert!(assembly.partial.is_empty(), "the last fragment clears the refusal");
    }
}
