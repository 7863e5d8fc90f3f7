//! Every diagnostic of the macros, as a person sees it. `TRYBUILD=overwrite` records them anew.
//!
//! They are compiled against dspex without optional features, whatever the rest of the workspace is built with.

use std::process::Command;

/// The release whose wording is recorded for what the compiler itself says.
const RECORDED_WITH: &str = "rustc 1.95.";

#[test]
fn every_diagnostic_is_as_recorded() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("module/fail_*.rs");
    cases.compile_fail("field_type/fail_*.rs");
    cases.compile_fail("signature/fail_*.rs");
    cases.compile_fail("tool/fail_*.rs");
    // Here the compiler adds words of its own, which change from release to release.
    if version().starts_with(RECORDED_WITH) {
        cases.compile_fail("compiler/fail_*.rs");
    }
}

fn version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
