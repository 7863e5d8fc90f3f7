//! The line that a fault test prints.

use std::fmt;
use std::time::Duration;

use super::census::Leftovers;
use super::tally::Tally;

/// What came of a fault.
pub struct Line {
    /// Its name.
    pub fault: &'static str,
    /// How often it was brought about.
    pub runs: usize,
    /// What came of the calls.
    pub tally: Tally,
    /// What was left when the pool had gone.
    pub leftovers: Leftovers,
    /// How long callers waited for the news.
    pub detection: Vec<Duration>,
    /// How long it took until the pool was complete again.
    pub recovery: Vec<Duration>,
    /// What else is worth knowing.
    pub note: String,
}

impl Line {
    /// A line without times.
    pub fn new(fault: &'static str, runs: usize, tally: Tally, leftovers: Leftovers) -> Self {
        Self { fault, runs, tally, leftovers, detection: vec![], recovery: vec![], note: String::new() }
    }

    /// Prints it, and fails the test unless everything is accounted for.
    pub fn check(self) {
        println!("\n{self}");
        let Self { tally, leftovers, .. } = &self;
        assert!(tally.lost.is_empty(), "lost: {:?}", tally.lost);
        assert!(tally.unexplained.is_empty(), "unexplained: {:#?}", tally.unexplained);
        assert!(leftovers.orphans.is_empty(), "orphans: {:?}", leftovers.orphans);
        assert!(leftovers.leaks.is_empty(), "leaks: {:?}", leftovers.leaks);
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, runs, tally, leftovers, .. } = self;
        write!(f, "fault={fault} runs={runs} calls={} failed={}", tally.calls(), tally.failed())?;
        write!(f, " lost={} unexplained={}", tally.lost.len(), tally.unexplained.len())?;
        write!(f, " orphans={} leaks={}", leftovers.orphans.len(), leftovers.leaks.len())?;
        for (name, times) in [("detection", &self.detection), ("recovery", &self.recovery)] {
            match p99(times) {
                Some(p99) => write!(f, " {name}_p99={:.1}ms", p99.as_secs_f64() * 1e3)?,
                // There is nothing to detect, or nothing to recover from.
                None => write!(f, " {name}_p99=-")?,
            }
        }
        if !tally.kinds.is_empty() {
            write!(f, " {:?}", tally.kinds)?;
        }
        if self.note.is_empty() { Ok(()) } else { write!(f, " {}", self.note) }
    }
}

fn p99(times: &[Duration]) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() * 99).div_ceil(100);
    times.get(place.saturating_sub(1)).copied()
}
