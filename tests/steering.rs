//! Variables that steer calls, proven by the requests that the language model receives.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/slow_store.rs"]
mod slow_store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{builder, on_both_carriers, worker_pids};
use dspex::lm::LmConfig;
use dspex::prelude::*;
use dspex::state::{SqliteOptions, VarSpec};
use dspex::testing::ScriptedLm;
use dspex::{Binding, CancellationToken, Carrier};
use serde_json::json;
use slow_store::SlowStore;

/// Answer a question.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Answer {
    #[input]
    question: String,
    #[input]
    region: Option<String>,
    #[output]
    answer: String,
}

/// Think it over.
#[dspy_module("dspy.ChainOfThought")]
#[derive(Debug)]
struct Think {
    #[input]
    question: String,
    #[output]
    answer: String,
}

fn ask() -> AnswerInputs {
    AnswerInputs { question: "Who?".into(), region: None }
}

async fn scripted(carrier: Carrier, workers: usize) -> (Dspex, Session, ScriptedLm) {
    let script = ScriptedLm::new([json!({"answer": "x", "reasoning": "y"})]).cycle();
    let dspex = builder(carrier).workers(workers).lm(Lm::host(script.clone())).start().await.unwrap();
    let session = dspex.sessions().create("a", SessionConfig::new()).await.unwrap();
    (dspex, session, script)
}

fn last_config(script: &ScriptedLm) -> LmConfig {
    script.requests().last().unwrap().config.clone()
}

fn last_text(script: &ScriptedLm) -> String {
    serde_json::to_string(script.requests().last().unwrap()).unwrap()
}

on_both_carriers! {
    async fn a_variable_steers_the_language_models_settings(carrier: Carrier) {
        let (_dspex, session, script) = scripted(carrier, 1).await;
        let variables = session.variables();
        variables.create("temperature", VarSpec::float().range(0.0..=2.0), 0.7).await.unwrap();
        variables.create("limit", VarSpec::integer().min(1), 50).await.unwrap();
        variables.create("model", VarSpec::choice(["scripted/a", "scripted/b"]), "scripted/b").await.unwrap();
        let answer = Answer::create(&session).await.unwrap();
        answer.bind("temperature").await.unwrap();
        answer.bind(Binding::lm("max_tokens", "limit")).await.unwrap();
        answer.bind("model").await.unwrap();
        answer.execute(ask()).await.unwrap();
        let request = script.requests().pop().unwrap();
        assert_eq!((request.config.temperature, request.config.max_tokens, request.model.as_str()), (Some(0.7), Some(50), "scripted/b"));

        variables.batch().update("temperature", 0.2).update("limit", 60).commit().await.unwrap();
        answer.execute(ask()).await.unwrap();
        assert_eq!((last_config(&script).temperature, last_config(&script).max_tokens), (Some(0.2), Some(60)));
        assert!(answer.unbind("temperature"));
        answer.execute(ask()).await.unwrap();
        assert_eq!((last_config(&script).temperature, last_config(&script).max_tokens), (None, Some(60)));
    }

    async fn a_variable_steers_instructions_demos_and_configuration(carrier: Carrier) {
        let (_dspex, session, script) = scripted(carrier, 1).await;
        let variables = session.variables();
        variables.create("style", VarSpec::string(), "Answer in rhymes.").await.unwrap();
        let shots = VarSpec::list().items(VarSpec::dict().required(["question", "answer"]));
        variables.create("shots", shots, json!([{"question": "Where is the moon?", "region": null, "answer": "above"}])).await.unwrap();
        variables.create("heat", VarSpec::float(), 1.5).await.unwrap();
        let answer = Answer::create(&session).await.unwrap();
        answer.bind(Binding::instructions("style")).await.unwrap();
        answer.bind(Binding::demos("shots")).await.unwrap();
        answer.bind(Binding::config("temperature", "heat").of("self")).await.unwrap();
        answer.execute(ask()).await.unwrap();
        let text = last_text(&script);
        assert!(text.contains("Answer in rhymes.") && !text.contains("Answer a question."), "{text}");
        assert!(text.contains("Where is the moon?") && text.contains("above"), "{text}");
        assert_eq!(last_config(&script).temperature, Some(1.5));

        variables.update("style", "Answer in prose.").await.unwrap();
        answer.execute(ask()).await.unwrap();
        assert!(last_text(&script).contains("Answer in prose."));
        // Another instance of the same module is not steered.
        Answer::create(&session).await.unwrap().execute(ask()).await.unwrap();
        assert!(last_text(&script).contains("Answer a question."));
    }

    async fn a_variable_is_an_input(carrier: Carrier) {
        let (_dspex, session, script) = scripted(carrier, 1).await;
        session.variables().create("region", VarSpec::string(), "Northumbria").await.unwrap();
        let answer = Answer::create(&session).await.unwrap();
        answer.bind("region").await.unwrap();
        answer.execute(ask()).await.unwrap();
        assert!(last_text(&script).contains("Northumbria"));
        // Other methods have other arguments.
        let dspy = session.dspy();
        let spec = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question, region -> answer"}));
        let untyped = dspy.create_instance(spec).await.unwrap();
        let error = dspy.bind(&untyped, "region").await.unwrap_err();
        assert!(error.to_string().contains("unknown here") && error.to_string().contains("Binding::input"), "{error}");
        dspy.bind(&untyped, Binding::input("region", "region")).await.unwrap();
        dspy.execute(&untyped, &json!({"question": "?"})).await.unwrap();
        dspy.call_instance_method(&untyped, "dump_state", &json!({})).await.unwrap();
    }

    async fn a_call_that_runs_keeps_its_own_values(carrier: Carrier) {
        let (gate, opened) = (std::sync::Arc::new(tokio::sync::Semaphore::new(0)), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
        let (seen, waits) = (opened.clone(), gate.clone());
        // Each answer waits for its permit, so that the value changes between the two requests of one call.
        let lm = dspex::lm::lm_fn(move |request: LmRequest| {
            let (seen, waits) = (seen.clone(), waits.clone());
            async move {
                seen.lock().unwrap().push(request.config.temperature);
                waits.acquire().await.unwrap().forget();
                Ok(LmResponse::text("[[ ## reasoning ## ]]\ny\n\n[[ ## answer ## ]]\nx\n\n[[ ## completed ## ]]"))
            }
        });
        let dspex = builder(carrier).lm(Lm::host(lm)).start().await.unwrap();
        let session = dspex.sessions().create("a", SessionConfig::new()).await.unwrap();
        session.variables().create("temperature", VarSpec::float(), 0.1).await.unwrap();
        let think = Think::create(&session).await.unwrap();
        think.bind("temperature").await.unwrap();
        let first = tokio::spawn({
            let think = think.clone();
            async move { think.execute(ThinkInputs { question: "?".into() }).await }
        });
        common::eventually("the first request is there", || opened.lock().unwrap().len() == 1).await;
        session.variables().update("temperature", 0.9).await.unwrap();
        let second = tokio::spawn({
            let think = think.clone();
            async move { think.execute(ThinkInputs { question: "?".into() }).await }
        });
        common::eventually("the second request is there", || opened.lock().unwrap().len() == 2).await;
        gate.add_permits(2);
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(*opened.lock().unwrap(), [Some(0.1), Some(0.9)]);
    }

    async fn every_worker_uses_the_new_value(carrier: Carrier) {
        let script = ScriptedLm::new([json!({"answer": "x"})]).cycle().latency(Duration::from_millis(50));
        let dspex = builder(carrier).workers(2).lm(Lm::host(script.clone())).start().await.unwrap();
        common::eventually("both workers are there", || worker_pids(&dspex).len() == 2).await;
        let session = dspex.sessions().create("a", SessionConfig::new()).await.unwrap();
        session.variables().create("temperature", VarSpec::float(), 0.1).await.unwrap();
        let answer = Answer::create(&session).await.unwrap();
        answer.bind("temperature").await.unwrap();
        for value in [0.1, 0.4] {
            session.variables().update("temperature", value).await.unwrap();
            // So many at once that both workers have some.
            let calls = (0..16).map(|_| answer.execute(ask()));
            for outcome in futures::future::join_all(calls).await {
                outcome.unwrap();
            }
            let requests = script.requests();
            assert!(requests[requests.len() - 16..].iter().all(|request| request.config.temperature == Some(value)));
        }
    }

    async fn a_binding_that_cannot_be_is_refused(carrier: Carrier) {
        let (_dspex, session, _script) = scripted(carrier, 1).await;
        let variables = session.variables();
        variables.create("style", VarSpec::string(), "x").await.unwrap();
        variables.create("shots", VarSpec::list(), json!([{"color": "red"}])).await.unwrap();
        let answer = Answer::create(&session).await.unwrap();
        let refused = async |binding: Binding| answer.bind(binding).await.unwrap_err().to_string();
        assert!(refused("style".into()).await.contains("named after no keyword"));
        assert!(refused("stile".into()).await.contains("named after no keyword"));
        assert_eq!(refused(Binding::instructions("stile")).await, "there is no variable `stile`; did you mean `style`?");
        assert!(refused(Binding::lm("temperature", "style")).await.contains("needs float or integer"));
        assert!(refused(Binding::input("answer", "style")).await.contains("there is no input `answer`"));
        // What only a worker can know is said by the call.
        answer.bind(Binding::demos("shots")).await.unwrap();
        let error = answer.execute(ask()).await.unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }) && error.to_string().contains("color"), "{error}");
        answer.unbind("shots");
        answer.bind(Binding::instructions("style").of("nobody")).await.unwrap();
        let error = answer.execute(ask()).await.unwrap_err();
        assert!(error.to_string().contains("nobody"), "{error}");
        answer.unbind("style");
        answer.execute(ask()).await.unwrap();
        // A variable that is gone is said so.
        variables.create("temperature", VarSpec::float(), 0.1).await.unwrap();
        answer.bind("temperature").await.unwrap();
        variables.delete("temperature").await.unwrap();
        assert!(matches!(answer.execute(ask()).await, Err(Error::Variable(_))));
    }

    async fn untyped_instances_are_steered_too(carrier: Carrier) {
        let (dspex, session, script) = scripted(carrier, 1).await;
        session.variables().create("temperature", VarSpec::float(), 0.3).await.unwrap();
        let dspy = session.dspy();
        let spec = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
        let instance = dspy.create_instance(spec.clone()).await.unwrap();
        dspy.bind(&instance, "temperature").await.unwrap();
        dspy.execute(&instance, &json!({"question": "?"})).await.unwrap();
        assert_eq!(last_config(&script).temperature, Some(0.3));
        let outside = dspex.dspy().create_instance(spec).await.unwrap();
        let error = dspex.dspy().bind(&outside, "temperature").await.unwrap_err();
        assert!(error.to_string().contains("use `Session::dspy`"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_for_its_variables_ends_with_its_deadline_its_token_and_its_session() {
    let inner = SqliteOptions::new().ephemeral().unwrap();
    let (hangs, script) =
        (Arc::new(AtomicBool::new(false)), ScriptedLm::new([json!({"answer": "x"})]).cycle());
    let store = SlowStore { inner, hangs: hangs.clone() };
    let dspex = builder(Carrier::Framed).lm(Lm::host(script)).store(store).start().await.unwrap();
    let session = dspex.sessions().create("a", SessionConfig::new()).await.unwrap();
    session.variables().create("temperature", VarSpec::float(), 0.7).await.unwrap();
    let answer = Answer::create(&session).await.unwrap();
    answer.bind("temperature").await.unwrap();
    answer.execute(ask()).await.unwrap();
    hangs.store(true, Ordering::Release);
    let late = answer.run(ask()).deadline(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(late, Error::DeadlineExceeded { .. }), "{late}");
    let token = CancellationToken::new();
    token.cancel();
    let cancelled = answer.run(ask()).cancellation(token).await.unwrap_err();
    assert!(matches!(cancelled, Error::Cancelled(_)), "{cancelled}");
    let sessions = dspex.sessions();
    let (ended, deleted) = tokio::join!(answer.execute(ask()), sessions.delete("a"));
    assert!(matches!(ended, Err(Error::Cancelled(_))), "{ended:?}");
    deleted.unwrap();
}
