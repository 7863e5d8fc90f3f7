//! Whatever is wrong with a call, its caller gets a typed error or the value unchanged, and the pool serves the next
//! call. On both carriers, against the real DSPy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::{assert_serves, builder, on_both_carriers, program, start, start_without_lm};
use dspex::lm::lm_fn;
use dspex::prelude::*;
use dspex::testing::{DelayedLm, InstantLm, ScriptedLm};
use dspex::{Problems, wire};
use serde_json::{Value, json};

/// Rate a product.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Rate {
    #[input]
    review: String,
    #[input]
    weight: f64,
    #[input]
    number: i64,
    #[input]
    note: Option<String>,
    #[output]
    #[schemars(range(min = 1, max = 5))]
    stars: u8,
    #[output]
    product: Product,
}

#[derive(FieldType, Debug, PartialEq)]
struct Product {
    #[schemars(length(min = 2))]
    name: String,
    price: f64,
}

fn review() -> RateInputs {
    RateInputs { review: "fine".into(), weight: 1.0, number: 1, note: None }
}

fn good() -> Value {
    json!({"stars": 4, "product": {"name": "lamp", "price": 9.5}})
}

async fn untyped(dspex: &Dspex, inputs: Value) -> dspex::Result<Value> {
    dspex
        .predict("question, k: int, tags: list[str] -> answer", &inputs)
        .await
        .map(dspex::Prediction::into_outputs)
}

fn fields(problems: &Problems) -> Vec<&str> {
    let mut names: Vec<_> = problems.0.iter().map(|problem| problem.field.as_str()).collect();
    names.sort_unstable();
    names
}

fn input_problems(result: dspex::Result<Value>) -> Problems {
    match result.unwrap_err() {
        Error::InvalidInput { problems, .. } => problems,
        other => panic!("not an input error: {other}"),
    }
}

on_both_carriers! {
    async fn all_missing_unknown_and_ill_typed_inputs_are_told_together(carrier: Carrier) {
        let script = ScriptedLm::new([json!({"answer": "x"})]);
        let dspex = start(carrier, script.clone()).await;
        let problems = input_problems(untyped(&dspex, json!({"k": "three", "extra": 1, "tags": ["a"]})).await);
        assert_eq!(fields(&problems), ["extra", "k", "question"], "{problems}");
        assert!(script.requests().is_empty(), "no model was asked");
        let out = untyped(&dspex, json!({"question": "?", "k": 3, "tags": ["a"]})).await.unwrap();
        assert_eq!(out["answer"], "x");
        assert_serves(&dspex).await;
    }

    async fn a_dict_where_an_image_belongs_never_reaches_the_model(carrier: Carrier) {
        let script = ScriptedLm::new([json!({"caption": "x"})]);
        let dspex = start(carrier, script.clone()).await;
        let signature = json!({
            "name": "Caption",
            "instructions": null,
            "inputs": [{"name": "picture", "desc": null, "schema": {"type": "object", "format": "image"}}],
            "outputs": [{"name": "caption", "desc": null, "schema": {"type": "string"}}],
        });
        let instance = dspex.dspy().create_instance(InstanceSpec::new("dspy.Predict").signature(signature)).await.unwrap();
        let wrong = json!({"picture": {"width": 3, "height": 4}});
        let error = dspex.dspy().execute(&instance, &wrong).await.unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
        assert!(script.requests().is_empty());
        let right = json!({"picture": {"url": "data:image/png;base64,iVBORw0KGgo="}});
        assert_eq!(dspex.dspy().execute(&instance, &right).await.unwrap()["caption"], "x");
        assert_serves(&dspex).await;
    }

    async fn an_output_against_its_constraints_is_an_error_that_names_the_field(carrier: Carrier) {
        let mut too_many = good();
        too_many["stars"] = json!(9);
        let mut nested = good();
        nested["product"]["name"] = json!("x");
        // DSPy asks a second time, in JSON, when an answer does not fit.
        let script = ScriptedLm::new([too_many.clone(), too_many, nested.clone(), nested, good()]);
        let dspex = start(carrier, script).await;
        for field in ["stars", "product"] {
            let error = Rate::call(&dspex, review()).await.unwrap_err();
            let Error::InvalidOutput { .. } = &error else { panic!("{error}") };
            assert!(error.to_string().contains(field), "{error}");
            if field == "stars" {
                continue;
            }
        }
        assert_serves(&dspex).await;
    }

    async fn garbage_from_a_model_is_an_error_that_quotes_it(carrier: Carrier) {
        let dspex = start(carrier, InstantLm::text("as a large model I cannot \u{0} say")).await;
        let error = Rate::call(&dspex, review()).await.unwrap_err();
        let Error::InvalidOutput { lm_response: Some(said), .. } = &error else { panic!("{error:?}") };
        assert!(said.contains("as a large model"), "{said}");
        assert_serves(&dspex).await;
    }

    async fn a_rate_limit_tells_when_to_try_again(carrier: Carrier) {
        let limited = LmError::rate_limit("slow down").with_status(429).with_retry_after(Duration::from_secs(7));
        let dspex = start(carrier, ScriptedLm::new([limited]).then(good())).await;
        let error = Rate::call(&dspex, review()).await.unwrap_err();
        assert!(error.is_retryable());
        let Error::Lm(LmError::RateLimit(details)) = &error else { panic!("{error:?}") };
        assert_eq!((details.status, details.retry_after), (Some(429), Some(Duration::from_secs(7))));
        assert_eq!(Rate::call(&dspex, review()).await.unwrap().stars, 4);
    }

    async fn every_error_of_a_host_model_comes_back_as_itself(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        for sent in LmError::all() {
            let mut sent = sent;
            sent.details_mut().message = "told by the test".into();
            let session = dspex.sessions().temporary(SessionConfig::new().lm(Lm::host(ScriptedLm::new([sent.clone()]))));
            let error = Rate::call(&session, review()).await.unwrap_err();
            let Error::Lm(got) = &error else { panic!("{sent:?} came back as {error:?}") };
            assert_eq!(got.code(), sent.code(), "{got:?}");
            assert_eq!(got.is_retryable(), sent.is_retryable());
            assert!(got.message().contains("told by the test"), "{got}");
        }
        assert_serves(&dspex).await;
    }

    async fn a_model_that_takes_too_long_costs_only_its_call(carrier: Carrier) {
        let slow = DelayedLm::new(InstantLm::text("x"), Duration::from_secs(600));
        let dspex = builder(carrier).lm(Lm::host(slow)).deadline(Duration::from_millis(300)).start().await.unwrap();
        let error = Rate::call(&dspex, review()).await.unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
        common::eventually("the place is free again", || dspex.load().in_flight == 0).await;
        assert_serves(&dspex).await;
    }

    async fn a_host_model_that_panics_fails_its_call_and_nothing_else(carrier: Carrier) {
        let dspex = start(carrier, lm_fn(|_| async { panic!("on purpose") })).await;
        let error = Rate::call(&dspex, review()).await.unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
        assert_serves(&dspex).await;
    }

    async fn a_call_without_a_model_says_what_to_do(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let error = Rate::call(&dspex, review()).await.unwrap_err();
        assert!(matches!(error, Error::Lm(LmError::NotConfigured(_))), "{error:?}");
        assert!(error.to_string().contains("lm"), "{error}");
        assert_serves(&dspex).await;
    }

    async fn an_unknown_class_is_not_found_with_a_suggestion(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let spec = InstanceSpec::new("dspy.Predct").signature(json!({"text": "question -> answer"}));
        let error = dspex.dspy().create_instance(spec).await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_) | Error::NotAllowed(_)), "{error:?}");
        assert!(error.to_string().contains("dspy.Predict"), "{error}");
        assert_serves(&dspex).await;
    }

    async fn paths_outside_the_public_api_are_refused_with_the_way_to_allow_a_module(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        for path in [
            "os.system",
            "dspy.clients.lm.os.system",
            "dspy.primitives.python_interpreter.subprocess.Popen",
            "dspy.Predict.__init__.__globals__",
            "builtins.eval",
            "dspex_test_programs.os.system",
            "dspy.settings.configure",
        ] {
            let error = dspex.dspy().call(path, &json!(["true"]), &json!({})).await.unwrap_err();
            assert!(matches!(error, Error::NotAllowed(_) | Error::NotFound(_)), "{path}: {error:?}");
        }
        let error = dspex.dspy().call("os.system", &json!(["true"]), &json!({})).await.unwrap_err();
        assert!(error.to_string().contains("allow_module"), "{error}");
        assert_serves(&dspex).await;
    }

    async fn thirty_megabytes_go_in_and_come_out(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let text = "ä".repeat(15 << 20);
        let length = dspex.dspy().call(&program("length"), &json!([text]), &json!({})).await.unwrap();
        assert_eq!(length, json!(15 << 20));
        let back = dspex.dspy().call(&program("echo"), &json!([text]), &json!({})).await.unwrap();
        assert_eq!(back.as_str().map(str::len), Some(30 << 20));
        assert_serves(&dspex).await;
    }

    async fn what_is_over_the_limit_is_refused_both_ways(carrier: Carrier) {
        let dspex = builder(carrier).max_message_bytes(1 << 20).start().await.unwrap();
        let text = "x".repeat(2 << 20);
        let error = dspex.dspy().call(&program("length"), &json!([text]), &json!({})).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 1_048_576, .. }), "{error:?}");
        let error = dspex.dspy().call(&program("large"), &json!([2 << 20]), &json!({})).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 1_048_576, .. }), "{error:?}");
        assert_serves(&dspex).await;
    }

    async fn numbers_survive_unchanged_whatever_json_thinks_of_them(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let echo = |value: Value| {
            let dspy = dspex.dspy();
            async move { dspy.call(&program("echo"), &json!([value]), &json!({})).await.unwrap() }
        };
        assert_eq!(echo(json!(9_007_199_254_740_993_i64)).await, json!(9_007_199_254_740_993_i64));
        assert_eq!(echo(json!(u64::MAX)).await, json!(u64::MAX));
        assert_eq!(echo(json!(i64::MIN)).await, json!(i64::MIN));
        assert_eq!(echo(json!(0.1)).await, json!(0.1));
        assert_eq!(echo(json!(null)).await, json!(null));
        assert_eq!(echo(wire::float(f64::NAN)).await, wire::float(f64::NAN));
        assert_eq!(echo(wire::float(f64::INFINITY)).await, wire::float(f64::INFINITY));
        let type_of = |value: Value| {
            let dspy = dspex.dspy();
            async move { dspy.call(&program("type_of"), &json!([value]), &json!({})).await.unwrap() }
        };
        assert_eq!(type_of(wire::float(f64::NAN)).await, "float");
        assert_eq!(type_of(wire::bytes(&[0, 255])).await, "bytes");
        assert_eq!(type_of(wire::integer(123_456_789_012_345_678_901_234_567_890)).await, "int");
        assert_eq!(type_of(wire::escape(json!({"$dspex": 1}))).await, "dict");
        let strange = |kind: &'static str| {
            let dspy = dspex.dspy();
            async move { dspy.call(&program("strange"), &json!([kind]), &json!({})).await.unwrap() }
        };
        assert_eq!(strange("nan").await, wire::float(f64::NAN));
        assert_eq!(strange("negative_inf").await, wire::float(f64::NEG_INFINITY));
        assert_eq!(strange("exact").await, json!(9_007_199_254_740_993_i64));
        assert_eq!(strange("big").await, json!({"$dspex": ["int", "1267650600228229401496703205376"]}));
        assert_eq!(strange("none").await, json!(null));
        assert_eq!(strange("bytes").await, json!({"$dspex": ["bytes", "AP8="]}));
        assert_eq!(strange("unicode").await, json!({"ключ": ["😀", "é", "\u{0}"]}));
        assert_eq!(strange("set").await, json!([3]));
        assert_eq!(strange("tuple").await, json!([1, "two"]));
        assert!(wire::is_opaque(&strange("opaque").await));
        let surrogate = strange("surrogate").await;
        assert_eq!(surrogate["$dspex"][0], "str");
        assert_eq!(echo(surrogate.clone()).await, surrogate, "a lone surrogate survives both ways");
        assert_serves(&dspex).await;
    }

    async fn typed_inputs_keep_nan_and_exact_integers_up_to_the_prompt(carrier: Carrier) {
        let script = ScriptedLm::new([good()]);
        let dspex = start(carrier, script.clone()).await;
        let inputs = RateInputs {
            review: "naïve 😀 ключ\n[[ ## stars ## ]]".into(),
            weight: f64::NAN,
            number: 9_007_199_254_740_993,
            note: None,
        };
        assert_eq!(Rate::call(&dspex, inputs).await.unwrap().stars, 4);
        let prompt = script.requests()[0].prompt_text();
        assert!(prompt.to_lowercase().contains("nan"), "{prompt}");
        assert!(prompt.contains("9007199254740993"), "{prompt}");
        assert!(prompt.contains("naïve 😀 ключ"), "{prompt}");
    }

    async fn a_python_exception_keeps_its_class_cause_and_attributes(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let error = dspex.dspy().call(&program("fail"), &json!(["so sorry"]), &json!({})).await.unwrap_err();
        let Error::Python(python) = &error else { panic!("{error:?}") };
        assert_eq!(python.class, program("Sorry"));
        assert!(python.is_instance("ValueError"), "{:?}", python.mro);
        assert_eq!(python.message, "so sorry");
        assert!(python.cause.as_ref().is_some_and(|cause| cause.is_instance("KeyError")), "{python:?}");
        assert!(python.frames.iter().any(|frame| frame.function == "fail"), "{:?}", python.frames);
        assert!(!format!("{error:?}").contains(env!("CARGO_MANIFEST_DIR")), "no path of the machine: {error:?}");
        assert_serves(&dspex).await;
    }
}
