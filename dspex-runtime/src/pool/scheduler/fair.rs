//! Those who wait: a line for each session, served in turn, so that a session with a thousand calls holds nobody up but itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Whose line: the session's id; empty for calls without one.
pub(super) type Flow = Arc<str>;

/// A place in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    flow: Flow,
    number: u64,
}

/// Lines of waiters. Every operation costs the logarithm of how many there are.
pub(super) struct FairQueue<T> {
    lines: HashMap<Flow, Line<T>>,
    /// Whose turn it is: the lowest number comes next.
    turns: BTreeMap<u64, Flow>,
    /// Every line by its length.
    lengths: BTreeSet<(usize, Flow)>,
    next_turn: u64,
    next_number: u64,
    len: usize,
}

/// One session's waiters, the first come first. Never empty.
struct Line<T> {
    turn: u64,
    waiting: BTreeMap<u64, T>,
}

impl<T> FairQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            lines: HashMap::new(),
            turns: BTreeMap::new(),
            lengths: BTreeSet::new(),
            next_turn: 0,
            next_number: 0,
            len: 0,
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a waiter at the end of its session's line. A new line comes after those that there are.
    pub(super) fn push(&mut self, flow: &str, waiter: T) -> Ticket {
        let number = self.next_number;
        self.next_number += 1;
        self.len += 1;
        let flow = match self.lines.get_key_value(flow) {
            Some((flow, _)) => flow.clone(),
            None => self.begin(flow),
        };
        if let Some(line) = self.lines.get_mut(&flow) {
            let before = line.waiting.len();
            line.waiting.insert(number, waiter);
            self.lengths.remove(&(before, flow.clone()));
            self.lengths.insert((before + 1, flow.clone()));
        }
        Ticket { flow, number }
    }

    /// The waiter whose turn it is, who stays.
    pub(super) fn front(&self) -> Option<&T> {
        let (_, flow) = self.turns.first_key_value()?;
        self.lines.get(flow)?.waiting.first_key_value().map(|(_, waiter)| waiter)
    }

    /// The waiter whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (_, flow) = self.turns.pop_first()?;
        let turn = self.next_turn();
        let line = self.lines.get_mut(&flow)?;
        line.turn = turn;
        self.turns.insert(turn, flow.clone());
        let number = *line.waiting.first_key_value()?.0;
        self.remove(&Ticket { flow, number })
    }

    /// Takes a waiter out, wherever it is in its line; none if it is there no more.
    pub(super) fn remove(&mut self, Ticket { flow, number }: &Ticket) -> Option<T> {
        let line = self.lines.get_mut(flow)?;
        let waiter = line.waiting.remove(number)?;
        let left = line.waiting.len();
        self.len -= 1;
        self.lengths.remove(&(left + 1, flow.clone()));
        if left > 0 {
            self.lengths.insert((left, flow.clone()));
        } else {
            self.turns.remove(&line.turn);
            self.lines.remove(flow);
        }
        Some(waiter)
    }

    /// Makes room for one more of a session where another one has more than it by two at least: that one's last comer leaves.
    pub(super) fn displace_for(&mut self, flow: &str) -> Option<T> {
        let own = self.lines.get(flow).map_or(0, |line| line.waiting.len());
        let (length, longest) = self.lengths.last()?;
        if *length < own + 2 {
            return None;
        }
        let flow = longest.clone();
        let number = *self.lines.get(&flow)?.waiting.last_key_value()?.0;
        self.remove(&Ticket { flow, number })
    }

    /// Everybody, in no particular order.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.turns.clear();
        self.lengths.clear();
        self.len = 0;
        self.lines.drain().flat_map(|(_, line)| line.waiting.into_values()).collect()
    }

    fn begin(&mut self, flow: &str) -> Flow {
        let (flow, turn): (Flow, u64) = (flow.into(), self.next_turn());
        self.lines.insert(flow.clone(), Line { turn, waiting: BTreeMap::new() });
        self.turns.insert(turn, flow.clone());
        flow
    }

    fn next_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn served(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn sessions_take_turns_and_each_one_is_served_in_order() {
        let mut queue = FairQueue::new();
        for waiter in ["n1", "n2", "n3", "n4"] {
            queue.push("noisy", waiter);
        }
        queue.push("quiet", "q1");
        queue.push("", "free");
        assert_eq!(served(&mut queue), ["n1", "q1", "free", "n2", "n3", "n4"]);
        assert!(queue.is_empty() && queue.lines() == 0 && queue.turns.is_empty() && queue.lengths.is_empty());
    }

    #[test]
    fn the_last_comer_of_the_longest_line_makes_room_for_a_session_with_fewer() {
        let mut queue = FairQueue::new();
        for waiter in ["n1", "n2", "n3"] {
            queue.push("noisy", waiter);
        }
        assert_eq!(queue.displace_for("noisy"), None, "not for itself");
        assert_eq!(queue.displace_for("quiet"), Some("n3"));
        queue.push("quiet", "q1");
        assert_eq!(queue.displace_for("quiet"), None, "2 and 1 are as even as can be");
        assert_eq!(queue.displace_for("other"), Some("n2"));
    }

    proptest! {
        /// Against the plainest queue there is: a list for each session, and a list of whose turn it is.
        #[test]
        fn it_does_what_plain_lists_do(steps in proptest::collection::vec((0..5u8, 0..4usize, 0..40usize), 0..200)) {
            let names = ["", "a", "b", "c"];
            let mut queue = FairQueue::new();
            let mut model: Vec<(usize, Vec<u32>)> = Vec::new();
            let mut tickets = Vec::new();
            for (number, (step, flow, which)) in steps.into_iter().enumerate() {
                let number = number as u32;
                match step {
                    0 | 1 => {
                        tickets.push((queue.push(names[flow], number), number));
                        match model.iter_mut().find(|(of, _)| *of == flow) {
                            Some((_, line)) => line.push(number),
                            None => model.push((flow, vec![number])),
                        }
                    }
                    2 => {
                        let expected = (!model.is_empty()).then(|| {
                            let (of, mut line) = model.remove(0);
                            let first = line.remove(0);
                            if !line.is_empty() {
                                model.push((of, line));
                            }
                            first
                        });
                        prop_assert_eq!(queue.front().copied(), expected);
                        prop_assert_eq!(queue.pop(), expected);
                    }
                    3 if !tickets.is_empty() => {
                        let (ticket, number) = &tickets[which % tickets.len()];
                        let waits = model.iter().any(|(_, line)| line.contains(number));
                        prop_assert_eq!(queue.remove(ticket), waits.then_some(*number));
                        model.iter_mut().for_each(|(_, line)| line.retain(|one| one != number));
                        model.retain(|(_, line)| !line.is_empty());
                    }
                    _ => {
                        let own = model.iter().find(|(of, _)| *of == flow).map_or(0, |(_, line)| line.len());
                        let longest = model.iter().map(|(_, line)| line.len()).max().unwrap_or(0);
                        let displaced = queue.displace_for(names[flow]);
                        prop_assert_eq!(displaced.is_some(), longest >= own + 2);
                        if let Some(displaced) = displaced {
                            let (_, line) = model.iter_mut().find(|(_, line)| line.last() == Some(&displaced)).unwrap();
                            prop_assert_eq!(line.len(), longest);
                            line.pop();
                        }
                    }
                }
                prop_assert_eq!(queue.len(), model.iter().map(|(_, line)| line.len()).sum::<usize>());
                prop_assert_eq!(queue.lines(), model.len());
                prop_assert_eq!(queue.turns.len(), model.len());
                prop_assert_eq!(queue.lengths.len(), model.len());
            }
        }
    }
}
