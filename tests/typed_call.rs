//! Typed calls through `#[dspy_module]`, against the real DSPy, on both carriers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{builder, on_both_carriers, start, worker_pids};
use dspex::lm::{Capabilities, lm_fn};
use dspex::prelude::*;
use dspex::testing::{DelayedLm, InstantLm, ScriptedLm, StandInLm};
use serde_json::json;

#[derive(FieldType, Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    Low,
    /// Somebody waits for it.
    Medium,
    High,
}

#[derive(FieldType, Debug, Clone, PartialEq)]
struct Customer {
    name: Option<String>,
    /// Years as a customer.
    years: u16,
    address: Address,
}

#[derive(FieldType, Debug, Clone, PartialEq)]
struct Address {
    city: String,
    lines: Vec<String>,
}

#[derive(FieldType, Debug, Clone, PartialEq)]
enum Action {
    Ignore,
    Refund { cents: u64 },
    Forward(String),
}

/// Triage a support ticket.
#[dspy_module("dspy.ChainOfThought")]
#[derive(Debug, Clone, PartialEq)]
struct Triage {
    /// What the customer wrote.
    #[input]
    ticket: String,
    #[output]
    summary: String,
    #[output]
    urgency: Urgency,
    #[output]
    tags: Vec<String>,
    #[output]
    order: Option<String>,
    #[output]
    #[schemars(range(min = 0.0, max = 1.0))]
    confidence: f64,
    #[output]
    customer: Customer,
    #[output]
    actions: Vec<Action>,
    #[output]
    figures: BTreeMap<String, i64>,
    #[output]
    spam: bool,
}

fn answer() -> serde_json::Value {
    json!({
        "reasoning": "the shop is down",
        "summary": "Ausfall \u{1F525} «checkout»",
        "urgency": "High",
        "tags": ["checkout", "500"],
        "order": null,
        "confidence": 0.75,
        "customer": {"name": "Sara", "years": 3, "address": {"city": "Łódź", "lines": ["a", ""]}},
        "actions": ["Ignore", {"Refund": {"cents": 9_007_199_254_740_993_u64}}, {"Forward": "sales"}],
        "figures": {"orders": -4},
        "spam": false,
    })
}

fn ticket(text: &str) -> TriageInputs {
    TriageInputs { ticket: text.into() }
}

fn assert_is_the_answer(out: &TriageOutputs) {
    assert_eq!(out.reasoning, "the shop is down");
    assert_eq!(out.summary, "Ausfall \u{1F525} «checkout»");
    assert_eq!(out.urgency, Urgency::High);
    assert_eq!(out.tags, ["checkout", "500"]);
    assert_eq!(out.order, None);
    assert!((out.confidence - 0.75).abs() < f64::EPSILON);
    let address = Address { city: "Łódź".into(), lines: vec!["a".into(), String::new()] };
    assert_eq!(out.customer, Customer { name: Some("Sara".into()), years: 3, address });
    assert_eq!(
        out.actions,
        [Action::Ignore, Action::Refund { cents: 9_007_199_254_740_993 }, Action::Forward("sales".into())]
    );
    assert_eq!(out.figures, BTreeMap::from([("orders".into(), -4)]));
    assert!(!out.spam);
}

/// Answer in one word.
#[dspy_module("dspy.Predict", temperature = 0.25)]
#[derive(Debug)]
struct Word {
    #[input]
    question: String,
    #[output]
    r#type: String,
}

on_both_carriers! {
    async fn every_kind_of_field_arrives_typed_with_every_adapter(carrier: Carrier) {
        let script = ScriptedLm::new([answer(), answer(), answer()]);
        let dspex = start(carrier, script.clone()).await;
        for adapter in [Adapter::Chat, Adapter::Json, Adapter::Xml] {
            let session = dspex.sessions().temporary(SessionConfig::new().adapter(adapter));
            let out = Triage::call(&session, ticket("help")).await.unwrap_or_else(|error| panic!("{adapter:?}: {error}"));
            assert_is_the_answer(&out);
        }
        assert_eq!(script.remaining(), 0);
    }

    async fn structured_outputs_are_used_where_the_model_has_them(carrier: Carrier) {
        let script = ScriptedLm::new([answer()])
            .with_capabilities(Capabilities::default().response_schema(true).function_calling(true));
        let dspex = start(carrier, script.clone()).await;
        let session = dspex.sessions().temporary(SessionConfig::new().adapter(Adapter::Json));
        assert_is_the_answer(&Triage::call(&session, ticket("help")).await.unwrap());
        let requests = script.requests();
        assert!(requests[0].config.response_format.is_some(), "{:?}", requests[0].config);
    }

    async fn an_instance_serves_many_calls_at_once_and_each_gets_its_own_answer(carrier: Carrier) {
        let echo = lm_fn(|request: LmRequest| async move {
            let prompt = request.last_user_text();
            let asked = prompt.lines().find(|line| line.starts_with("number ")).unwrap_or("none").to_owned();
            Ok(LmResponse::text(format!("[[ ## type ## ]]\n{asked}\n\n[[ ## completed ## ]]")))
        });
        let dspex = start(carrier, DelayedLm::new(echo, Duration::from_millis(5))).await;
        let word = Word::create(&dspex.session()).await.unwrap();
        let calls: Vec<_> = (0..100)
            .map(|number| {
                let word = word.clone();
                tokio::spawn(async move { (number, word.execute(WordInputs { question: format!("number {number}") }).await) })
            })
            .collect();
        for call in calls {
            let (number, out) = call.await.unwrap();
            assert_eq!(out.unwrap().r#type, format!("number {number}"));
        }
    }

    async fn instructions_descriptions_and_settings_reach_the_model(carrier: Carrier) {
        let script = ScriptedLm::new([json!({"type": "x"}), answer()]);
        let dspex = start(carrier, script.clone()).await;
        Word::call(&dspex, WordInputs { question: "?".into() }).await.unwrap();
        Triage::call(&dspex, ticket("help")).await.unwrap();
        let requests = script.requests();
        assert!(requests[0].prompt_text().contains("Answer in one word."));
        assert_eq!(requests[0].config.temperature, Some(0.25));
        let prompt = requests[1].prompt_text();
        for text in ["Triage a support ticket.", "What the customer wrote.", "Years as a customer."] {
            assert!(prompt.contains(text), "the prompt lacks {text:?}:\n{prompt}");
        }
    }

    async fn usage_counts_what_the_model_reported(carrier: Carrier) {
        let response = LmResponse::text("[[ ## type ## ]]\nx\n\n[[ ## completed ## ]]").usage(120, 7);
        let dspex = start(carrier, InstantLm::new(response)).await;
        let word = Word::create(&dspex.session()).await.unwrap();
        let prediction = word.run(WordInputs { question: "?".into() }).await.unwrap();
        assert_eq!(prediction.r#type, "x");
        let usage = prediction.usage();
        assert_eq!((usage.prompt_tokens(), usage.completion_tokens(), usage.total_tokens()), (120, 7, 127));
    }

    async fn the_stand_in_model_answers_every_kind_of_field(carrier: Carrier) {
        let dspex = start(carrier, StandInLm::new()).await;
        for adapter in [Adapter::Chat, Adapter::Json, Adapter::Xml] {
            let session = dspex.sessions().temporary(SessionConfig::new().adapter(adapter));
            let out = Triage::call(&session, ticket("The checkout is down, this is urgent: High!")).await;
            let out = out.unwrap_or_else(|error| panic!("{adapter:?}: {error}"));
            assert!((0.0..=1.0).contains(&out.confidence), "{out:?}");
        }
    }

    async fn the_model_of_a_call_wins_over_its_sessions_and_that_over_the_default(carrier: Carrier) {
        let named = |text: &str| Lm::host(InstantLm::text(format!("[[ ## type ## ]]\n{text}\n\n[[ ## completed ## ]]")));
        let dspex = builder(carrier).lm(named("default")).start().await.unwrap();
        let ask = || WordInputs { question: "?".into() };
        assert_eq!(Word::call(&dspex, ask()).await.unwrap().r#type, "default");
        let session = dspex.sessions().create("tenant", SessionConfig::new().lm(named("session"))).await.unwrap();
        assert_eq!(Word::call(&session, ask()).await.unwrap().r#type, "session");
        let word = Word::create(&session).await.unwrap();
        assert_eq!(word.run(ask()).lm(named("call")).await.unwrap().r#type, "call");
        session.set_lm(named("changed")).await.unwrap();
        assert_eq!(word.execute(ask()).await.unwrap().r#type, "changed");
    }

    async fn a_hundred_sessions_never_see_each_others_model(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let calls: Vec<_> = (0..100)
            .map(|number| {
                let text = format!("[[ ## type ## ]]\nmodel {number}\n\n[[ ## completed ## ]]");
                let model = DelayedLm::new(InstantLm::text(text), Duration::from_millis(number % 7));
                let session = dspex.sessions().temporary(SessionConfig::new().lm(Lm::host(model)));
                tokio::spawn(async move { (number, Word::call(&session, WordInputs { question: "?".into() }).await) })
            })
            .collect();
        for call in calls {
            let (number, out) = call.await.unwrap();
            assert_eq!(out.unwrap().r#type, format!("model {number}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotent_call_survives_the_loss_of_its_worker() {
    let slow = DelayedLm::new(
        InstantLm::text("[[ ## type ## ]]\nx\n\n[[ ## completed ## ]]"),
        Duration::from_millis(400),
    );
    let dspex = start(dspex::Carrier::Framed, slow).await;
    let word = Word::create(&dspex.session()).await.unwrap();
    let running = tokio::spawn({
        let word = word.clone();
        async move { word.run(WordInputs { question: "?".into() }).idempotent(true).await }
    });
    common::eventually("the call runs", || dspex.load().in_flight == 1).await;
    common::kill(worker_pids(&dspex)[0], "KILL");
    assert_eq!(running.await.unwrap().unwrap().r#type, "x");
    // The instance is data: the new worker builds it anew.
    assert_eq!(word.execute(WordInputs { question: "?".into() }).await.unwrap().r#type, "x");
}
