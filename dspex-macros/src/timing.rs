//! How long expansions take, for whoever asks: where the variable [`VARIABLE`] names a file, each expansion of
//! `#[dspy_module]` appends its duration to it, in microseconds, one a line.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Instant;

const VARIABLE: &str = "DSPEX_EXPANSION_TIMES";

/// Expands, and notes how long that took.
pub(crate) fn timed<T>(expand: impl FnOnce() -> T) -> T {
    let Some(path) = std::env::var_os(VARIABLE) else { return expand() };
    let begun = Instant::now();
    let expanded = expand();
    let line = format!("{:.1}\n", begun.elapsed().as_secs_f64() * 1e6);
    // One write per line, so that compilers which run side by side do not mix theirs. A file that cannot be written is
    // no reason not to compile.
    let file = OpenOptions::new().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    expanded
}
