//! What came of calls that each had an answer of their own to give.

use std::collections::BTreeMap;

use dspex::Error;
use serde_json::Value;

/// What a fault may do to a call.
pub enum Outcome {
    /// An error that names the fault, by this name.
    Explained(&'static str),
    /// Anything else.
    Unexplained,
}

/// The count.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls that gave their own answer.
    pub answered: usize,
    /// Errors that name the fault.
    pub kinds: BTreeMap<&'static str, usize>,
    /// All other outcomes, wrong answers among them.
    pub unexplained: Vec<String>,
    /// What was acknowledged and is not there.
    pub lost: Vec<String>,
}

impl Tally {
    /// Counts an outcome; says whether it was an error.
    pub fn note(
        &mut self,
        wanted: &Value,
        outcome: dspex::Result<Value>,
        explain: impl Fn(&Error) -> Outcome,
    ) -> bool {
        match outcome {
            Ok(answer) if answer == *wanted => self.answered += 1,
            Ok(answer) => self.unexplained.push(format!("{wanted} was answered with {answer}")),
            Err(error) => {
                match explain(&error) {
                    Outcome::Explained(kind) => *self.kinds.entry(kind).or_default() += 1,
                    Outcome::Unexplained => self.unexplained.push(format!("{wanted}: {error} ({error:?})")),
                }
                return true;
            }
        }
        false
    }

    /// Both counts together.
    pub fn add(&mut self, other: Self) {
        self.answered += other.answered;
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self.unexplained.extend(other.unexplained);
        self.lost.extend(other.lost);
    }

    /// Calls that failed as the fault explains.
    pub fn failed(&self) -> usize {
        self.kinds.values().sum()
    }

    /// All calls.
    pub fn calls(&self) -> usize {
        self.answered + self.failed() + self.unexplained.len()
    }
}
