//! The handle of a language model: its spec, its secrets and its settings.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use dspex_runtime::lm::{Capabilities, LanguageModel, Lm, LmRequest, LmResponse, SecretString, lm_fn};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn spec(lm: &Lm) -> Value {
    serde_json::from_slice(&lm.spec().json).unwrap()
}

fn is_address_of_its_json(lm: &Lm) -> bool {
    lm.spec().hash == hex::encode(Sha256::digest(&lm.spec().json))
}

fn parrot() -> impl LanguageModel {
    lm_fn(|request: LmRequest| async move { Ok(LmResponse::text(request.last_user_text())) })
}

#[test]
fn a_provider_s_model_has_its_settings_in_the_spec() {
    let lm = Lm::new("openai/gpt-4o-mini")
        .temperature(0.5)
        .max_tokens(100)
        .num_retries(0)
        .timeout(Duration::from_millis(2500))
        .api_base("http://localhost:1/v1")
        .kwarg("top_p", 0.9);
    let expected = json!({
        "kind": "dspy",
        "model": "openai/gpt-4o-mini",
        "kwargs": {"temperature": 0.5, "max_tokens": 100, "num_retries": 0, "timeout": 2.5, "api_base": "http://localhost:1/v1", "top_p": 0.9},
        "capabilities": null
    });
    assert_eq!(spec(&lm), expected);
    lm.validate().unwrap();
}

#[test]
fn the_order_of_settings_does_not_change_the_address() {
    let one = Lm::new("openai/m").temperature(0.5).max_tokens(9);
    let other = Lm::new("openai/m").max_tokens(9).temperature(0.5);
    assert_eq!(one.spec().hash, other.spec().hash);
    assert!(is_address_of_its_json(&one));
    assert_ne!(one.spec().hash, Lm::new("openai/m").spec().hash);
}

#[test]
fn a_key_changes_the_address_and_is_nowhere_else() {
    let plain = Lm::new("openai/m");
    let keyed = |key: &str| Lm::new("openai/m").api_key(SecretString::from(key.to_owned()));
    let one = keyed("sk-tenant-one");
    assert_eq!(one.spec().hash, keyed("sk-tenant-one").spec().hash);
    assert_ne!(one.spec().hash, keyed("sk-tenant-two").spec().hash);
    assert_ne!(one.spec().hash, plain.spec().hash);
    assert!(is_address_of_its_json(&one));
    assert!(one.spec().api_key.is_some());
    for text in
        [format!("{one:?}"), format!("{:?}", one.spec()), String::from_utf8(one.spec().json.clone()).unwrap()]
    {
        assert!(!text.contains("sk-tenant"), "{text}");
    }
}

#[test]
fn what_may_be_secret_in_other_keywords_is_not_printed() {
    let lm = Lm::new("openai/m")
        .kwarg("extra_headers", json!({"authorization": "Bearer hidden"}))
        .temperature(0.1);
    let text = format!("{lm:?}");
    assert!(!text.contains("hidden"), "{text}");
    assert!(text.contains("0.1"), "{text}");
}

#[test]
fn a_setting_after_the_spec_was_made_makes_a_new_one() {
    let lm = Lm::new("openai/m");
    let before = lm.spec().hash.clone();
    let changed = lm.clone().temperature(1.0);
    assert_ne!(changed.spec().hash, before);
    assert_eq!(lm.spec().hash, before);
}

#[test]
fn two_host_models_with_one_name_never_share_an_address() {
    let one = Lm::host(parrot());
    let other = Lm::host(parrot());
    assert_ne!(one.spec().hash, other.spec().hash);
    assert_eq!(one.spec().hash, one.clone().spec().hash);
    assert!(is_address_of_its_json(&one));
}

#[test]
fn a_host_model_declares_what_it_can_do() {
    let capabilities = Capabilities::default().function_calling(true).response_schema(true);
    let lm = Lm::host_named(
        "rust/triage",
        lm_fn(|_| async { Ok(LmResponse::text("")) }).with_capabilities(capabilities),
    );
    let spec = spec(&lm);
    assert_eq!(spec["kind"], "host");
    assert_eq!(spec["model"], "rust/triage");
    let expected = json!({
        "function_calling": true, "response_schema": true, "reasoning": false,
        "params": ["max_tokens", "response_format", "stop", "temperature", "tool_choice", "tools", "top_p"]
    });
    assert_eq!(spec["capabilities"], expected);
    assert!(lm.host_model().is_some());
}

#[test]
fn capabilities_that_are_taken_back_take_their_parameters_along() {
    let capabilities =
        Capabilities::default().function_calling(true).response_schema(true).reasoning(true).param("seed");
    let back = capabilities.function_calling(false).response_schema(false).reasoning(false);
    assert_eq!(back, Capabilities::default().param("seed"));
}

#[tokio::test]
async fn a_host_model_answers_through_its_handle_and_through_an_arc() {
    for lm in [Lm::host(parrot()), Lm::host(Arc::new(parrot()))] {
        let answer =
            lm.host_model().unwrap().complete_erased(LmRequest::user("host/model", "hello")).await.unwrap();
        assert_eq!(answer.output_text(), "hello");
    }
}

#[test]
fn wrong_settings_are_found_before_a_call_and_name_the_remedy() {
    let cases = [
        (Lm::new("gpt-4o-mini"), "provider/model"),
        (Lm::new(""), "provider/model"),
        (Lm::new("openai/"), "provider/model"),
        (Lm::new("openai/m").temperature(f64::NAN), "between 0 and 2"),
        (Lm::new("openai/m").temperature(2.5), "between 0 and 2"),
        (Lm::new("openai/m").max_tokens(0), "at least 1"),
        (Lm::new("openai/m").kwarg("api_key", "sk-1"), "Lm::api_key"),
        (Lm::new("openai/m").kwarg("engine", "litellm"), "dspex itself"),
        (Lm::host(parrot()).api_base("http://localhost"), "host model"),
        (Lm::host(parrot()).api_key("sk-1"), "host model"),
        (Lm::host(parrot()).num_retries(2), "host model"),
        (Lm::host(parrot()).timeout(Duration::from_secs(1)), "host model"),
    ];
    for (lm, expected) in cases {
        let error = lm.validate().unwrap_err();
        assert_eq!(error.code(), "configuration");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
