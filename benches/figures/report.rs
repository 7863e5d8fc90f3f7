//! How figures are printed: as text for people, or as one JSON document.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};

use crate::catalogue::{Figure, Measured};
use crate::python::Python;

/// What came of one figure.
pub enum Outcome {
    /// A value, and what it is made of.
    Value(f64, String),
    /// Why there is none.
    Failed(String),
}

impl Outcome {
    /// What a family's measurement says about one of its figures.
    pub fn of(figure: &Figure, measured: &anyhow::Result<Vec<Measured>>) -> Self {
        match measured {
            Err(error) => Self::Failed(format!("{error:#}")),
            Ok(values) => match values.iter().find(|measured| measured.name == figure.name) {
                Some(measured) if measured.value.is_finite() => {
                    Self::Value(measured.value, measured.details.clone())
                }
                Some(measured) => Self::Failed(format!("{} is no value", measured.value)),
                None => Self::Failed("its measurement does not yield it".to_owned()),
            },
        }
    }
}

/// Everything that is printed.
pub struct Report {
    machine: Value,
    figures: Vec<(&'static Figure, Outcome)>,
}

impl Report {
    /// An empty report about this machine.
    pub fn new(python: &Python) -> Self {
        Self { machine: machine(python), figures: Vec::new() }
    }

    /// Adds a figure.
    pub fn add(&mut self, figure: &'static Figure, outcome: Outcome) {
        self.figures.push((figure, outcome));
    }

    /// Whether every figure has a value, whatever it is.
    pub fn is_complete(&self) -> bool {
        self.figures.iter().all(|(_, outcome)| matches!(outcome, Outcome::Value(..)))
    }

    /// `{"figures": [{"name", "value", "unit", "goal", "met", "method", "details"}], "machine": {..}}`. A figure without
    /// a value has null for `value` and `met`, and an `error`; one without a goal has null for `met`.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let figures: Vec<_> = self.figures.iter().map(|(figure, outcome)| entry(figure, outcome)).collect();
        serde_json::to_string_pretty(&json!({"figures": figures, "machine": self.machine}))
    }

    /// A table, then the method of each figure.
    pub fn to_text(&self) -> String {
        let width = self.figures.iter().map(|(figure, _)| figure.name.len()).max().unwrap_or(0);
        let mut text = format!("{:width$}  {:>9}  {:<5}  {:<8}  met\n", "figure", "value", "unit", "goal");
        for (figure, outcome) in &self.figures {
            let (value, met) = match outcome {
                Outcome::Value(value, _) => {
                    let met = figure.goal.is_met_by(*value).map(|met| if met { "yes" } else { "NO" });
                    (rounded(*value), met.unwrap_or("-"))
                }
                Outcome::Failed(_) => ("-".to_owned(), "not measured"),
            };
            let (name, unit, goal) = (figure.name, figure.unit, figure.goal.to_string());
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:width$}  {value:>9}  {unit:<5}  {goal:<8}  {met}");
        }
        for (figure, outcome) in &self.figures {
            let _ = writeln!(text, "\n{}\n  method:  {}", figure.name, figure.method);
            let _ = match outcome {
                Outcome::Value(_, details) => writeln!(text, "  details: {details}"),
                Outcome::Failed(error) => writeln!(text, "  not measured: {error}"),
            };
        }
        let _ = writeln!(text, "\nmachine: {}", self.machine);
        text
    }
}

fn entry(figure: &Figure, outcome: &Outcome) -> Value {
    let mut entry = json!({
        "name": figure.name, "value": null, "unit": figure.unit, "goal": figure.goal.to_string(), "met": null,
        "method": figure.method,
    });
    match outcome {
        Outcome::Value(value, details) => {
            entry["value"] = json!(value);
            entry["met"] = json!(figure.goal.is_met_by(*value));
            entry["details"] = json!(details);
        }
        Outcome::Failed(error) => entry["error"] = json!(error),
    }
    entry
}

/// Three significant digits or more.
fn rounded(value: f64) -> String {
    let digits = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 1000.0) };
    format!("{value:.digits$}")
}

/// What the values depend on.
fn machine(python: &Python) -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    json!({
        "cpu": after(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": after(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_before": read("/proc/loadavg").split_whitespace().next().unwrap_or_default(),
        "python": python.version,
        "dspex": env!("CARGO_PKG_VERSION"),
    })
}
