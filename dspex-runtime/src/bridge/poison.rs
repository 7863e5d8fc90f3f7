//! Requests that end the workers that run them: known after the second one, and kept away for a while.
//!
//! The loss of a worker says little about one of the calls that it ran: any of them may have been the cause, or none. So the first loss
//! only makes its calls suspects. A suspect runs when no other suspect does, so that a second loss is its own doing, and answering in
//! any way clears it. Kills from outside count for nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::pool::WorkerEnd;

/// A request that ended two workers is refused for so long.
const QUARANTINE: Duration = Duration::from_secs(60);

/// A suspect that nothing was heard of for so long is none.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// It is looked so often for what is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many are remembered at most.
const REMEMBERED: usize = 1024;

/// What a request is told by: a hash of its target, inputs and language model.
pub(crate) type Fingerprint = [u8; 16];

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing speaks against it.
    Clear,
    /// It ran in a worker that was lost.
    Suspect,
    /// It ended workers.
    Quarantined {
        /// How many.
        workers: u32,
        /// How the last one ended.
        end: WorkerEnd,
        /// How long it will still be refused.
        remains: Duration,
    },
}

/// The requests that workers were lost with.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    known: HashMap<Fingerprint, Suspect>,
    /// When it was last looked for what is over.
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Suspect {
    workers: u32,
    /// The worker that was lost last, so that it counts once, however many calls of the request it had.
    last: u64,
    end: WorkerEnd,
    seen: Instant,
    until: Option<Instant>,
    /// Bytes of its inputs: most requests are told apart by that.
    size: usize,
}

impl Suspect {
    /// Whether nothing is held against it any more.
    fn is_over(&self, now: Instant) -> bool {
        match self.until {
            Some(until) => until <= now,
            None => now.saturating_duration_since(self.seen) >= FORGOTTEN,
        }
    }
}

impl Suspects {
    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether a request with inputs of so many bytes can be one of them. Forgets what is over, now and then.
    pub(crate) fn may_know(&mut self, size: usize, now: Instant) -> bool {
        if self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY) {
            self.looked = Some(now);
            self.known.retain(|_, suspect| !suspect.is_over(now));
        }
        self.known.values().any(|suspect| suspect.size == size)
    }

    /// What is known of a request.
    pub(crate) fn verdict(&mut self, request: &Fingerprint, now: Instant) -> Verdict {
        let Some(suspect) = self.known.get(request) else { return Verdict::Clear };
        match suspect.until.map(|until| until.saturating_duration_since(now)) {
            Some(remains) if !remains.is_zero() => {
                Verdict::Quarantined { workers: suspect.workers, end: suspect.end.clone(), remains }
            }
            None if now.saturating_duration_since(suspect.seen) < FORGOTTEN => Verdict::Suspect,
            _ => {
                self.known.remove(request);
                Verdict::Clear
            }
        }
    }

    /// A worker was lost with it, which could be its doing. `alone`: no other suspect ran.
    pub(crate) fn lost(
        &mut self,
        (request, size): (Fingerprint, usize),
        worker: u64,
        end: &WorkerEnd,
        alone: bool,
        now: Instant,
    ) {
        if !is_blamed(end) {
            return;
        }
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&request) {
            self.forget(now);
        }
        let new = Suspect { workers: 0, last: worker, end: end.clone(), seen: now, until: None, size };
        let suspect = self.known.entry(request).or_insert(new);
        suspect.seen = now;
        if suspect.workers == 0 {
            suspect.workers = 1;
        } else if alone && suspect.last != worker {
            suspect.workers += 1;
            suspect.until = Some(now + QUARANTINE);
        }
        suspect.last = worker;
        suspect.end = end.clone();
    }

    /// It ended, and its worker did not.
    pub(crate) fn survived(&mut self, request: &Fingerprint) {
        self.known.remove(request);
    }

    /// Makes room: what is over goes, or else what is oldest.
    fn forget(&mut self, now: Instant) {
        self.known.retain(|_, suspect| !suspect.is_over(now));
        if self.known.len() >= REMEMBERED
            && let Some(oldest) =
                self.known.iter().min_by_key(|(_, suspect)| suspect.seen).map(|(key, _)| *key)
        {
            self.known.remove(&oldest);
        }
    }
}

/// Whether the end of a worker can be the doing of what it ran. A SIGKILL that nothing explains came from outside, and so did what asks
/// a process to end.
fn is_blamed(end: &WorkerEnd) -> bool {
    match end {
        WorkerEnd::Signal(signal) => ![1, 2, 9, 15].contains(signal),
        WorkerEnd::Exit(_) | WorkerEnd::OutOfMemory { .. } => true,
        WorkerEnd::Unresponsive { stopped, .. } => !stopped,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEGFAULT: WorkerEnd = WorkerEnd::Signal(11);

    fn print(number: u16) -> Fingerprint {
        let mut print = [0; 16];
        print[..2].copy_from_slice(&number.to_le_bytes());
        print
    }

    #[test]
    fn a_request_that_ended_two_workers_is_kept_away_for_a_minute() {
        let (mut suspects, start) = (Suspects::default(), Instant::now());
        suspects.lost((print(1), 0), 10, &SEGFAULT, false, start);
        assert_eq!(suspects.verdict(&print(1), start), Verdict::Suspect);
        suspects.lost((print(1), 0), 10, &SEGFAULT, true, start);
        assert_eq!(
            suspects.verdict(&print(1), start),
            Verdict::Suspect,
            "one worker is one, however many calls it had"
        );
        suspects.lost((print(1), 0), 11, &WorkerEnd::Exit(3), true, start);
        let verdict = suspects.verdict(&print(1), start + Duration::from_secs(20));
        let remains = Duration::from_secs(40);
        assert_eq!(verdict, Verdict::Quarantined { workers: 2, end: WorkerEnd::Exit(3), remains });
        assert_eq!(suspects.verdict(&print(2), start), Verdict::Clear);
        assert_eq!(suspects.verdict(&print(1), start + QUARANTINE), Verdict::Clear, "it has another chance");
        assert!(suspects.is_empty());
    }

    #[test]
    fn kills_from_outside_and_company_convict_nobody() {
        let (mut suspects, start) = (Suspects::default(), Instant::now());
        for end in [WorkerEnd::Signal(9), WorkerEnd::Signal(15), WorkerEnd::Shutdown] {
            suspects.lost((print(1), 0), 10, &end, true, start);
            suspects.lost((print(1), 0), 11, &end, true, start);
        }
        assert_eq!(suspects.verdict(&print(1), start), Verdict::Clear);
        for worker in 0..10 {
            suspects.lost((print(1), 0), worker, &SEGFAULT, false, start);
        }
        assert_eq!(suspects.verdict(&print(1), start), Verdict::Suspect, "others were there");
        assert_eq!(suspects.verdict(&print(1), start + FORGOTTEN), Verdict::Clear);
    }

    #[test]
    fn an_answer_clears_a_suspect() {
        let (mut suspects, start) = (Suspects::default(), Instant::now());
        suspects.lost((print(1), 0), 10, &SEGFAULT, true, start);
        suspects.survived(&print(1));
        suspects.lost((print(1), 0), 11, &SEGFAULT, true, start);
        assert_eq!(suspects.verdict(&print(1), start), Verdict::Suspect);
    }

    #[test]
    fn inputs_of_another_size_need_no_closer_look_and_what_is_over_is_forgotten() {
        let (mut suspects, start) = (Suspects::default(), Instant::now());
        suspects.lost((print(1), 200), 10, &SEGFAULT, true, start);
        assert!(suspects.may_know(200, start));
        assert!(!suspects.may_know(201, start));
        assert!(!suspects.may_know(200, start + FORGOTTEN));
        assert!(suspects.is_empty());
    }

    proptest! {
        #[test]
        fn nobody_is_convicted_but_by_two_losses_alone_in_a_row_and_memory_is_bounded(
            steps in proptest::collection::vec((0..2_000u16, 0..4u8, 0..50u64), 0..3_000),
        ) {
            let (mut suspects, mut now) = (Suspects::default(), Instant::now());
            let mut losses: HashMap<u16, u32> = HashMap::new();
            for (request, step, worker) in steps {
                now += Duration::from_millis(10);
                match step {
                    0 => {
                        suspects.survived(&print(request));
                        losses.remove(&request);
                    }
                    1 => suspects.lost((print(request), 0), worker, &WorkerEnd::Signal(9), true, now),
                    _ => {
                        suspects.lost((print(request), 0), worker, &SEGFAULT, step == 2, now);
                        *losses.entry(request).or_default() += 1;
                    }
                }
                prop_assert!(suspects.known.len() <= REMEMBERED);
                if let Verdict::Quarantined { workers, remains, .. } = suspects.verdict(&print(request), now) {
                    prop_assert!(losses.get(&request).is_some_and(|losses| *losses >= 2) && workers >= 2);
                    prop_assert!(remains <= QUARANTINE);
                }
            }
        }
    }
}
