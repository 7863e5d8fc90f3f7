//! Which figures there are: their names, units, goals, and the files that measure them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::python::Python;
use crate::{
    agents, bindings, bridge, cancel, crash, durability, expansion, fork, latency, memory, predict, recovery,
    schema, soak, start, tools, usual, variables,
};

/// What a figure is and what it should be.
pub struct Figure {
    /// Its name, as it is given on the command line.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be.
    pub goal: Goal,
    /// How it is measured, in a sentence.
    pub method: &'static str,
}

/// Where a figure should lie.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Less than this.
    Below(f64),
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Nothing is promised: the value is there to be compared.
    Open,
}

impl Goal {
    /// Whether a value meets the goal, if there is one.
    pub fn is_met_by(self, value: f64) -> Option<bool> {
        match self {
            Self::Below(limit) => Some(value < limit),
            Self::AtMost(limit) => Some(value <= limit),
            Self::AtLeast(limit) => Some(value >= limit),
            Self::Open => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(limit) => write!(f, "< {limit}"),
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
            Self::Open => f.write_str("none"),
        }
    }
}

/// The value of one figure.
pub struct Measured {
    /// The figure's name.
    pub name: &'static str,
    /// In the figure's unit.
    pub value: f64,
    /// What the value is made of: spread, absolute values.
    pub details: String,
}

/// What a family's measurement comes to.
pub type Measuring<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Vec<Measured>>> + 'a>>;

/// Figures that one measurement yields.
pub struct Family {
    /// What they are.
    pub figures: &'static [Figure],
    /// Takes the measurement.
    pub measure: fn(&Python) -> Measuring<'_>,
}

impl Family {
    /// The names of its figures.
    pub fn names(&self) -> Vec<&'static str> {
        self.figures.iter().map(|figure| figure.name).collect()
    }
}

/// All of them, in the order in which they are measured.
pub const FAMILIES: &[Family] = &[
    Family { figures: fork::FIGURES, measure: |_| Box::pin(fork::measure()) },
    Family { figures: recovery::FIGURES, measure: |_| Box::pin(recovery::measure()) },
    Family { figures: cancel::FIGURES, measure: |_| Box::pin(cancel::measure()) },
    Family { figures: memory::FIGURES, measure: |_| Box::pin(memory::measure()) },
    Family { figures: bridge::FIGURES, measure: |python| Box::pin(bridge::measure(python)) },
    Family { figures: usual::FIGURES, measure: |python| Box::pin(usual::measure(python)) },
    Family { figures: tools::FIGURES, measure: |_| Box::pin(tools::measure()) },
    Family { figures: agents::FIGURES, measure: |_| Box::pin(agents::measure()) },
    Family { figures: predict::FIGURES, measure: |python| Box::pin(predict::measure(python)) },
    Family { figures: latency::FIGURES, measure: |_| Box::pin(latency::measure()) },
    Family { figures: start::FIGURES, measure: |_| Box::pin(start::measure()) },
    Family { figures: schema::FIGURES, measure: |_| Box::pin(schema::measure()) },
    Family { figures: expansion::FIGURES, measure: |_| Box::pin(expansion::measure()) },
    Family { figures: bindings::FIGURES, measure: |_| Box::pin(bindings::measure()) },
    Family { figures: variables::FIGURES, measure: |_| Box::pin(variables::measure()) },
    Family { figures: durability::FIGURES, measure: |_| Box::pin(durability::measure()) },
    Family { figures: soak::FIGURES, measure: |_| Box::pin(soak::measure()) },
    Family { figures: crash::FIGURES, measure: |_| Box::pin(crash::measure()) },
];

/// What is wrong with the names that were asked for.
pub fn problem_of(names: &[String]) -> Option<String> {
    let known: Vec<_> = FAMILIES.iter().flat_map(Family::names).collect();
    let unknown: Vec<_> = names.iter().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    (!unknown.is_empty()).then(|| {
        let (what, list) = (if unknown.len() == 1 { "figure" } else { "figures" }, known.join("\n  "));
        format!("unknown {what}: {}; the figures are\n  {list}", unknown.join(", "))
    })
}
