//! The sending half of the framed carrier as pure state: what is written next.
//!
//! Small messages go out in the order of arrival. A message larger than [`FRAGMENT_BYTES`] is cut, and its
//! fragments take turns with those of other calls and give way to small messages, so that a large payload
//! never delays the small calls beside it. Within one call the order is kept.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use secrecy::zeroize::Zeroize;

use crate::proto::{Fragment, Up, up};

/// The largest piece of a message that travels at once, in bytes.
pub(crate) const FRAGMENT_BYTES: usize = 256 * 1024;

/// Large messages that take turns at once. The receiver holds what it has of each of them, so that this bounds its
/// memory: four times the limit of one message.
const BULK_AT_ONCE: usize = 4;

/// Cuts an encoded message into the fragments that carry it.
pub(crate) fn fragments(encoded: &Bytes) -> impl Iterator<Item = Fragment> + use<> {
    let encoded = encoded.clone();
    let total = encoded.len();
    (0..total).step_by(FRAGMENT_BYTES).map(move |start| {
        let end = (start + FRAGMENT_BYTES).min(total);
        Fragment {
            data: encoded.slice(start..end),
            last: end == total,
            total: if start == 0 { total as u64 } else { 0 },
        }
    })
}

/// Appends one frame: a 4-byte little-endian length and the encoded message.
fn put_frame(buffer: &mut BytesMut, message: &Up) {
    let length = message.encoded_len();
    buffer.reserve(4 + length);
    buffer.put_u32_le(length as u32);
    // Cannot fail: the space was reserved, and a BytesMut grows anyway.
    let _ = message.encode(buffer);
}

/// Overwrites the keys of a message that was encoded; tells whether there were any.
fn wipe(message: &mut Up) -> bool {
    let Some(up::Kind::State(state)) = &mut message.kind else { return false };
    let mut any = false;
    for lm in &mut state.lms {
        any |= !lm.api_key.is_empty();
        lm.api_key.zeroize();
    }
    any
}

/// A large message on its way, and what its call sends after it.
struct Bulk {
    call: u64,
    encoded: Bytes,
    offset: usize,
    after: Vec<Up>,
    /// It begins its call.
    opens: bool,
}

impl Bulk {
    /// What is left of it.
    fn bytes(&self) -> usize {
        self.encoded.len() - self.offset + self.after.iter().map(Message::encoded_len).sum::<usize>()
    }
}

/// What waits to be written to one connection.
#[derive(Default)]
pub(crate) struct Outbox {
    ready: BytesMut,
    /// On their way, in the order of their turns.
    bulk: VecDeque<Bulk>,
    /// Not begun.
    waiting: VecDeque<Bulk>,
    /// A key is among what is ready.
    secret: bool,
}

impl Outbox {
    /// Queues a message. False for the cancellation of a call of which nothing has left: the peer never hears of it.
    pub(crate) fn push(&mut self, message: Up) -> bool {
        if let Some(bulk) =
            self.bulk.iter_mut().chain(&mut self.waiting).find(|bulk| bulk.call == message.call)
        {
            if matches!(message.kind, Some(up::Kind::Cancel(_))) {
                // The rest of what the call wanted to say is moot; the peer drops what it has of it.
                let call = message.call;
                let unheard = bulk.opens && bulk.offset == 0;
                self.bulk.retain(|bulk| bulk.call != call);
                self.waiting.retain(|bulk| bulk.call != call);
                self.begin_waiting();
                if unheard {
                    return false;
                }
                put_frame(&mut self.ready, &message);
            } else {
                bulk.after.push(message);
            }
            return true;
        }
        let mut message = message;
        if message.encoded_len() <= FRAGMENT_BYTES {
            put_frame(&mut self.ready, &message);
            self.secret |= wipe(&mut message);
        } else {
            let (opens, encoded) =
                (matches!(message.kind, Some(up::Kind::Open(_))), message.encode_to_vec().into());
            self.waiting.push_back(Bulk { call: message.call, encoded, offset: 0, after: Vec::new(), opens });
            self.begin_waiting();
        }
        true
    }

    fn begin_waiting(&mut self) {
        while self.bulk.len() < BULK_AT_ONCE
            && let Some(bulk) = self.waiting.pop_front()
        {
            self.bulk.push_back(bulk);
        }
    }

    /// The bytes to write next: all that is ready, then one fragment. `None`: nothing waits.
    pub(crate) fn next(&mut self) -> Option<BytesMut> {
        if let Some(mut bulk) = self.bulk.pop_front() {
            let total = bulk.encoded.len();
            let end = (bulk.offset + FRAGMENT_BYTES).min(total);
            let fragment = Fragment {
                data: bulk.encoded.slice(bulk.offset..end),
                last: end == total,
                total: if bulk.offset == 0 { total as u64 } else { 0 },
            };
            put_frame(&mut self.ready, &Up { call: bulk.call, kind: Some(up::Kind::Fragment(fragment)) });
            bulk.offset = end;
            if end < total {
                self.bulk.push_back(bulk);
            } else {
                self.begin_waiting();
                for message in bulk.after {
                    self.push(message);
                }
            }
        }
        if self.ready.is_empty() { None } else { Some(self.ready.split()) }
    }

    /// Whether small messages alone wait, so that they may be written at once by whoever queued them.
    pub(crate) fn only_small(&self) -> bool {
        self.bulk.is_empty()
    }

    /// What waits, in bytes, without what frames add to it.
    pub(crate) fn bytes(&self) -> usize {
        self.ready.len() + self.bulk.iter().chain(&self.waiting).map(Bulk::bytes).sum::<usize>()
    }

    /// Whether a key is among what `next` or `ready` gave since this was asked last; its bytes are to be wiped.
    pub(crate) fn holds_secret(&mut self) -> bool {
        std::mem::take(&mut self.secret)
    }

    /// What `ready` gave was not all taken.
    pub(crate) fn still_holds_secret(&mut self) {
        self.secret = true;
    }

    /// The small messages that wait.
    pub(crate) fn ready(&mut self) -> &mut BytesMut {
        &mut self.ready
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use proptest::prelude::*;

    use super::*;
    use crate::proto::{Cancel, Open, Payload};

    fn open(call: u64, size: usize) -> Up {
        let json = vec![b'x'; size].into();
        let inputs = Some(Payload { json, attachments: vec![] });
        Up { call, kind: Some(up::Kind::Open(Open { inputs, ..Open::default() })) }
    }

    fn decode(mut bytes: BytesMut) -> Vec<Up> {
        let mut messages = Vec::new();
        while bytes.has_remaining() {
            let length = bytes.get_u32_le() as usize;
            messages.push(Up::decode(bytes.split_to(length)).unwrap());
        }
        messages
    }

    fn drain(outbox: &mut Outbox) -> Vec<Up> {
        std::iter::from_fn(|| outbox.next()).flat_map(decode).collect()
    }

    #[test]
    fn a_small_message_overtakes_the_fragments_of_another_call() {
        let mut outbox = Outbox::default();
        outbox.push(open(1, 3 * FRAGMENT_BYTES));
        let first = decode(outbox.next().unwrap());
        assert_eq!(first.len(), 1);
        outbox.push(open(2, 10));
        let second = decode(outbox.next().unwrap());
        assert_eq!(second[0].call, 2, "the small call goes first");
        assert_eq!(second[1].call, 1);
    }

    #[test]
    fn a_key_is_told_once_and_wiped_from_its_message() {
        let state = |key: &str| {
            let lm = crate::proto::LmSpec { api_key: key.into(), ..Default::default() };
            Up {
                call: 1,
                kind: Some(up::Kind::State(crate::proto::State { lms: vec![lm], ..Default::default() })),
            }
        };
        let mut message = state("canary");
        assert!(wipe(&mut message));
        assert_eq!(message, state(""));
        let mut outbox = Outbox::default();
        outbox.push(state(""));
        assert!(!outbox.holds_secret());
        outbox.push(state("canary"));
        assert!(outbox.holds_secret() && !outbox.holds_secret());
        assert!(decode(outbox.next().unwrap()).contains(&state("canary")));
    }

    #[test]
    fn two_large_messages_take_turns() {
        let mut outbox = Outbox::default();
        outbox.push(open(1, 2 * FRAGMENT_BYTES));
        outbox.push(open(2, 2 * FRAGMENT_BYTES));
        let calls: Vec<_> = drain(&mut outbox).iter().map(|message| message.call).collect();
        assert_eq!(calls, [1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn only_a_few_large_messages_are_under_way_at_once() {
        let mut outbox = Outbox::default();
        for call in 1..=20 {
            outbox.push(open(call, 3 * FRAGMENT_BYTES));
        }
        let mut begun = std::collections::BTreeSet::new();
        for message in drain(&mut outbox) {
            let Some(up::Kind::Fragment(fragment)) = message.kind else {
                panic!("only fragments were expected")
            };
            begun.insert(message.call);
            assert!(begun.len() <= BULK_AT_ONCE, "{begun:?} are under way");
            if fragment.last {
                begun.remove(&message.call);
            }
        }
        assert!(begun.is_empty());
    }

    #[test]
    fn the_cancellation_of_a_call_that_has_not_begun_to_leave_takes_all_of_it_back() {
        let mut outbox = Outbox::default();
        for call in 1..=BULK_AT_ONCE as u64 + 1 {
            assert!(outbox.push(open(call, 3 * FRAGMENT_BYTES)));
        }
        let _ = outbox.next();
        let cancel = |call| Up { call, kind: Some(up::Kind::Cancel(Cancel::default())) };
        assert!(outbox.push(cancel(1)), "its first fragment has left");
        for call in 2..=BULK_AT_ONCE as u64 + 1 {
            assert!(!outbox.push(cancel(call)));
        }
        let rest = drain(&mut outbox);
        assert_eq!(rest.iter().map(|message| message.call).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn cancel_drops_the_fragments_that_have_not_left() {
        let mut outbox = Outbox::default();
        outbox.push(open(1, 9 * FRAGMENT_BYTES));
        let _ = outbox.next();
        outbox.push(Up { call: 1, kind: Some(up::Kind::Cancel(Cancel::default())) });
        let rest = drain(&mut outbox);
        assert_eq!(rest.len(), 1);
        assert!(matches!(rest[0].kind, Some(up::Kind::Cancel(_))));
    }

    proptest! {
        #[test]
        fn every_call_arrives_whole_and_in_order(sizes in proptest::collection::vec((1u64..5, 0usize..600_000), 1..12)) {
            let mut outbox = Outbox::default();
            for (call, size) in &sizes {
                outbox.push(open(*call, *size));
            }
            let mut joined: std::collections::BTreeMap<u64, Vec<u8>> = Default::default();
            let mut arrived: Vec<(u64, usize)> = Vec::new();
            for message in drain(&mut outbox) {
                prop_assert!(message.encoded_len() <= FRAGMENT_BYTES + 64);
                let whole = match message.kind {
                    Some(up::Kind::Fragment(fragment)) => {
                        let buffer = joined.entry(message.call).or_default();
                        buffer.extend_from_slice(&fragment.data);
                        if !fragment.last { continue; }
                        Up::decode(&*std::mem::take(buffer)).unwrap()
                    }
                    _ => message,
                };
                let Some(up::Kind::Open(open)) = whole.kind else { panic!("only Open was sent") };
                arrived.push((whole.call, open.inputs.unwrap().json.len()));
            }
            for call in 1u64..5 {
                let sent: Vec<_> = sizes.iter().filter(|(c, _)| *c == call).map(|(_, s)| *s).collect();
                let got: Vec<_> = arrived.iter().filter(|(c, _)| *c == call).map(|(_, s)| *s).collect();
                prop_assert_eq!(sent, got);
            }
        }
    }
}
