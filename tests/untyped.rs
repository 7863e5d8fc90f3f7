//! The untyped door, on both carriers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{builder, on_both_carriers, program, start, start_without_lm};
use dspex::prelude::*;
use dspex::testing::{InstantLm, ScriptedLm};
use dspex::{Verdict, lm::LmRequest};
use serde_json::json;

on_both_carriers! {
    async fn a_signature_as_text_is_enough_for_an_answer(carrier: Carrier) {
        let script = ScriptedLm::new([
            json!({"answer": 42.0, "label": "b"}),
            json!({"reasoning": "six times seven", "answer": "42"}),
        ]);
        let dspex = start(carrier, script).await;
        let inputs = json!({"question": "6 * 7", "k": 3});
        let out = dspex.predict("question, k: int -> answer: float, label: Literal['a', 'b']", &inputs).await.unwrap();
        assert_eq!((&out["answer"], &out["label"]), (&json!(42.0), &json!("b")));
        let out = dspex.chain_of_thought("question -> answer", &json!({"question": "6 * 7"})).await.unwrap();
        assert_eq!((&out["answer"], &out["reasoning"]), (&json!("42"), &json!("six times seven")));
    }

    async fn a_signature_that_dspy_would_take_in_silence_is_refused(carrier: Carrier) {
        let dspex = start(carrier, InstantLm::text("x")).await;
        for wrong in ["a, a -> b", "-> b", "a ->", "a -> a", "a: Foo -> b", "class -> b", "a -> b -> c", "a: os.PathLike -> b", ""] {
            let error = dspex.predict(wrong, &json!({"a": 1})).await.unwrap_err();
            assert!(matches!(error, Error::InvalidInput { .. }), "{wrong}: {error:?}");
        }
        common::assert_serves(&dspex).await;
    }

    async fn instances_are_built_called_and_asked_for_their_state(carrier: Carrier) {
        let dspex = start(carrier, ScriptedLm::new([json!({"reasoning": "r", "answer": "x"})])).await;
        let dspy = dspex.session().dspy();
        let spec = InstanceSpec::new("dspy.ChainOfThought").signature(json!({"text": "question -> answer"}));
        let instance = dspy.create_instance(spec).await.unwrap();
        assert_eq!(instance.class(), "dspy.ChainOfThought");
        assert_eq!(dspy.execute(&instance, &json!({"question": "?"})).await.unwrap()["answer"], "x");
        let state = dspy.call_instance_method(&instance, "dump_state", &json!({})).await.unwrap();
        assert!(state["predict"]["signature"]["fields"].is_array(), "{state}");
        let error = dspy.call_instance_method(&instance, "__init__", &json!({})).await.unwrap_err();
        assert!(matches!(error, Error::NotAllowed(_) | Error::NotFound(_)), "{error:?}");
    }

    async fn a_teams_own_programs_run_sync_and_async(carrier: Carrier) {
        let counting = dspex::lm::lm_fn(|request: LmRequest| async move {
            let asked = request.last_user_text().lines().nth(1).unwrap_or_default().to_owned();
            Ok(LmResponse::text(format!("[[ ## answer ## ]]\n{asked}!\n\n[[ ## completed ## ]]")))
        });
        let dspex = start(carrier, counting).await;
        for (class, answer) in [("SyncProgram", "hi!!"), ("AsyncProgram", "hi!")] {
            let instance = dspex.dspy().create_instance(InstanceSpec::new(program(class))).await.unwrap();
            let out = dspex.dspy().execute(&instance, &json!({"question": "hi"})).await.unwrap();
            assert_eq!(out["answer"], answer, "{class}");
        }
    }

    async fn twenty_sync_programs_at_once_keep_their_own_models(carrier: Carrier) {
        let dspex = builder(carrier).sync_threads(4).start().await.unwrap();
        let calls: Vec<_> = (0..20)
            .map(|number| {
                let text = format!("[[ ## answer ## ]]\nmodel {number}\n\n[[ ## completed ## ]]");
                let session = dspex.sessions().temporary(SessionConfig::new().lm(Lm::host(InstantLm::text(text))));
                tokio::spawn(async move {
                    let dspy = session.dspy();
                    let instance = dspy.create_instance(InstanceSpec::new(program("SyncProgram"))).await?;
                    Ok::<_, Error>((number, dspy.execute(&instance, &json!({"question": "hi"})).await?))
                })
            })
            .collect();
        for call in calls {
            let (number, out) = call.await.unwrap().unwrap();
            assert_eq!(out["answer"], format!("model {number}"));
        }
    }

    async fn availability_and_health_say_what_runs(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let available = dspex.dspy().check_availability().await.unwrap();
        assert_eq!(available.dspy, "3.4.1");
        assert!(available.python.starts_with("3."));
        let health = dspex.health_check().await;
        assert_eq!(health.verdict, Verdict::Healthy);
        assert_eq!((health.workers, health.load.ready_workers), (1, 1));
        dspex.shutdown(std::time::Duration::ZERO).await;
        assert!(matches!(dspex.health_check().await.verdict, Verdict::Down(_)));
    }

    async fn the_schema_of_dspy_and_of_own_modules_can_be_discovered(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let document = dspex.dspy().discover_schema(&["dspy", common::PROGRAMS]).await.unwrap();
        let names: Vec<_> = document["classes"].as_array().unwrap().iter().map(|class| class["name"].as_str().unwrap()).collect();
        for name in ["dspy.Predict", "dspy.ReAct", "dspex_test_programs.SyncProgram"] {
            assert!(names.contains(&name), "{name} is missing");
        }
        let error = dspex.dspy().discover_schema(&["os"]).await.unwrap_err();
        assert!(matches!(error, Error::NotAllowed(_) | Error::NotFound(_)), "{error:?}");
    }
}
