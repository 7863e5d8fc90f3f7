//! The tree of errors is DSPy's: `golden/lm_errors.json` was read from it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use dspex_runtime::lm::{LmError, LmErrorWire};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Class {
    class: String,
    code: String,
    bases: Vec<String>,
    retryable: bool,
}

fn golden() -> Vec<Class> {
    serde_json::from_str(include_str!("golden/lm_errors.json")).unwrap()
}

#[test]
fn there_is_one_variant_for_each_class_of_dspy() {
    let mut ours: Vec<&str> = LmError::all().iter().map(LmError::class).collect();
    let golden = golden();
    let mut theirs: Vec<&str> = golden.iter().map(|class| class.class.as_str()).collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
}

#[test]
fn codes_bases_and_retryability_are_those_of_dspy() {
    for class in golden() {
        let all = LmError::all();
        let ours = all.iter().find(|error| error.class() == class.class).unwrap();
        assert_eq!(ours.code(), class.code, "{}", class.class);
        assert_eq!(ours.is_retryable(), class.retryable, "{}", class.class);
        assert_eq!(ours.to_wire().mro, class.bases, "{}", class.class);
        assert_eq!(ours.to_wire().retryable, class.retryable, "{}", class.class);
    }
}

#[test]
fn every_error_survives_the_wire_with_its_details() {
    for error in LmError::all() {
        let error = error
            .with_model("openai/gpt-4o-mini")
            .with_provider("openai")
            .with_provider_code("insufficient_quota")
            .with_status(429)
            .with_request_id("req-1")
            .with_retry_after(Duration::from_millis(1500));
        assert_eq!(LmError::from_wire(&error.to_wire()), error);
    }
}

#[test]
fn the_model_in_front_of_a_python_message_is_not_repeated() {
    let wire = LmErrorWire {
        message: "[openai/m] slow down".to_owned(),
        attributes: json!({"code": "rate_limit", "model": "openai/m"}).as_object().unwrap().clone(),
        ..LmErrorWire::default()
    };
    let error = LmError::from_wire(&wire);
    assert_eq!(error.message(), "slow down");
    assert_eq!(error.to_string(), "rate limited by the provider: slow down (model openai/m)");
}

#[test]
fn an_unknown_class_becomes_its_nearest_known_base() {
    let wire = |class: &str, mro: &[&str], code: serde_json::Value| LmErrorWire {
        class: class.to_owned(),
        mro: mro.iter().map(|&base| base.to_owned()).collect(),
        attributes: json!({"code": code}).as_object().unwrap().clone(),
        ..LmErrorWire::default()
    };
    let nearest = wire(
        "new.LMQuotaError",
        &["dspy.utils.exceptions.LMBillingError", "dspy.utils.exceptions.LMProviderError"],
        json!("quota"),
    );
    assert_eq!(LmError::from_wire(&nearest).code(), "billing");
    let lm15 = wire("dspy._vendor.lm15.errors.ContextLengthError", &[], json!("context_length"));
    assert_eq!(LmError::from_wire(&lm15).code(), "context_window_exceeded");
    let unknown = wire("builtins.ValueError", &["builtins.Exception"], json!(null));
    assert_eq!(LmError::from_wire(&unknown).code(), "unexpected");
}

#[test]
fn a_wait_that_is_no_duration_is_no_wait() {
    for seconds in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
        let wire = LmErrorWire { retry_after: seconds, ..LmErrorWire::default() };
        assert_eq!(LmError::from_wire(&wire).retry_after(), None, "{seconds}");
    }
}
