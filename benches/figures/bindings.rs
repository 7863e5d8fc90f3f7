//! What bindings cost a compilation.

use anyhow::Result;

use crate::catalogue::{Figure, Goal, Measured};
use crate::outside::Crate;
use crate::stats::{median, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "bindings_check_s",
    unit: "s",
    goal: Goal::AtMost(3.0),
    method: "Two crates outside of the workspace, one empty, one with a build script and the bindings of every public \
             class of DSPy, with the dependencies of both built. By turns, each is forgotten and `cargo check`ed; with the \
             second, schema-gen is forgotten too, so that its compilation counts, as do that of the build script, its \
             run and the check of the bindings. The difference, median.",
}];

const ROUNDS: usize = 5;

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let without = Crate::new("figures-without", "pub use dspex::Dspex;\n", false)?;
    let with = Crate::new("figures-with", "pub use dspex::Dspex;\ndspex::include_bindings!();\n", true)?;
    without.check(None)?;
    with.check(None)?;
    let (mut bare, mut bound, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.clean(&[])?;
        with.clean(&["schema-gen"])?;
        let seconds = (without.check(None)?, with.check(None)?);
        bare.push(seconds.0);
        bound.push(seconds.1);
        added.push(seconds.1 - seconds.0);
    }
    let details = format!("without {} s, with {} s", spread(&bare, 2), spread(&bound, 2));
    Ok(vec![Measured { name: "bindings_check_s", value: median(&added), details }])
}
