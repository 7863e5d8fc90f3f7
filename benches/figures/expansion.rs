//! What the macro costs a compilation.

use std::fs;

use anyhow::{Result, ensure};

use crate::catalogue::{Figure, Goal, Measured};
use crate::outside::Crate;
use crate::stats::{median, quantile};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "macro_expand_ms",
    unit: "ms",
    goal: Goal::Below(1.0),
    method: "60 modules of three classes with four fields each, in a crate outside of the workspace, compiled by \
             `cargo check` in the dev profile, where the macro itself is not optimised. The time of each expansion \
             of `#[dspy_module]` inside the compiler, by a clock around it. Median. A class is read once per compilation: \
             the details tell what the first module of a class costs.",
}];

const MODULES: usize = 60;
const CLASSES: &[&str] =
    &["\"dspy.Predict\", temperature = 0.2", "\"dspy.ChainOfThought\"", "\"dspy.RLM\", max_iters = 5"];

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let krate = Crate::new("figures-expansion", &source(), false)?;
    krate.check(None)?;
    krate.clean(&[])?;
    let log = tempfile::NamedTempFile::new()?;
    krate.check(Some(("DSPEX_EXPANSION_TIMES", log.path().as_os_str())))?;
    let text = fs::read_to_string(log.path())?;
    let times: Vec<f64> =
        text.lines().filter_map(|line| line.parse::<f64>().ok()).map(|us| us / 1e3).collect();
    ensure!(times.len() == MODULES, "{} expansions were timed, not {MODULES}", times.len());
    let details = format!(
        "{MODULES} expansions; first of each class {:.2}, tenth {:.2}, ninetieth percentile {:.2}, all together {:.0} ms",
        median(&times[..CLASSES.len()]),
        quantile(&times, 0.1),
        quantile(&times, 0.9),
        times.iter().sum::<f64>()
    );
    Ok(vec![Measured { name: "macro_expand_ms", value: median(&times), details }])
}

/// A crate of nothing but modules.
fn source() -> String {
    let modules = (0..MODULES).map(|number| {
        let class = CLASSES[number % CLASSES.len()];
        format!(
            "/// Triage a support ticket.\n#[dspex::dspy_module({class})]\npub struct Triage{number} {{\n\
             /// What the customer wrote.\n#[input] ticket: String,\n/// Earlier ones.\n#[input] history: Vec<String>,\n\
             /// In one sentence.\n#[output] summary: String,\n/// For search.\n#[output] tags: Vec<String>,\n}}\n"
        )
    });
    modules.collect()
}
