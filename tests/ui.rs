//! Every diagnostic of the macros, as a person sees it.

#[test]
fn every_diagnostic_is_as_recorded() {
    trybuild::TestCases::new().compile_fail("tests/ui/*/fail_*.rs");
}
