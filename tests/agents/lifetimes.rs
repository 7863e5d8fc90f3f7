//! How long tools live: calls within calls, sessions that end, and instances that outlive the program.

use std::path::Path;

use dspex::testing::ScriptedLm;
use dspex::{PoolError, PoolOptions, PoolState, Reward};

use crate::common::{assert_serves, eventually, on_both_carriers, status, worker_pids};
use crate::*;

/// Says it in other words, with a program that has tools itself.
#[dspex_tool]
async fn rephrase(#[ctx] session: Session, text: String) -> Result<Value, Error> {
    run(&session, "use_in_thread", json!({"name": "ask_back", "arguments": {"text": text}})).await
}

/// Asks a module.
#[dspex_tool(concurrency = 1)]
async fn ask_back(#[ctx] session: Session, text: String) -> Result<String, Error> {
    #[dspy_module("dspy.Predict", signature = "text -> words")]
    struct Rephrase;
    Ok(Rephrase::call(&session, RephraseInputs { text }).await?.words)
}

/// Calls itself by way of Python, until somebody stops it.
#[dspex_tool]
async fn deeper(#[ctx] session: Session, level: u32) -> Result<Value, Error> {
    let below = run(&session, "use", json!({"name": "deeper", "arguments": {"level": level + 1}})).await?;
    Ok(match below["error"].as_str() {
        Some(problem) => json!([level, problem]),
        None => below,
    })
}

/// Adds numbers.
#[dspex_tool]
fn add(numbers: Vec<f64>) -> f64 {
    numbers.iter().sum()
}

/// Asks both pools, once it is let.
#[dspex_tool]
async fn ask_both(#[ctx] session: Session, #[ctx] gate: State<Gate>) -> Result<Vec<Value>, Error> {
    gate.pass().await;
    let here = run(&session, "names", json!({})).await?;
    let there = session.dspy().pool("other").call(&program("names"), &json!([]), &json!({})).await?;
    Ok(vec![here, there])
}

on_both_carriers! {
    async fn a_call_that_runs_when_all_ends_still_gets_what_its_tools_ask_of_any_pool(carrier: Carrier) {
        let (gate, mut begins) = Gate::new();
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
        let other = PoolOptions::new().workers(1).allow_module(PROGRAMS).python_path(python);
        let dspex = builder(carrier).in_flight_per_worker(1).pool("other", other).state(gate.clone());
        let dspex = dspex.start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![ask_both]).await.unwrap();
        let running = tokio::spawn({
            let session = session.clone();
            async move { run(&session, "use", json!({"name": "ask_both", "arguments": {}})).await }
        });
        begin(&mut begins, 1).await;
        let ends = tokio::spawn({
            let dspex = dspex.clone();
            async move { dspex.shutdown(std::time::Duration::from_secs(60)).await }
        });
        let ending = || status(&dspex).pools.iter().all(|pool| pool.state == PoolState::ShuttingDown);
        eventually("both pools end", ending).await;
        let refused = run(&session, "names", json!({})).await.unwrap_err();
        assert!(matches!(refused, Error::Pool(PoolError::Closed)), "{refused}");
        gate.open(1);
        assert_eq!(running.await.unwrap().unwrap(), json!([["ask_both"], ["ask_both"]]));
        ends.await.unwrap();
        assert!(worker_pids(&dspex).is_empty());
    }

    async fn calls_within_tools_within_calls_need_one_place_of_everything(carrier: Carrier) {
        let script = ScriptedLm::default()
            .when(|request| request.prompt_text().contains("`words`"), json!({"words": "other words"}))
            .then(step("rephrase", json!({"text": "words"})))
            .then(finish("done")[0].clone())
            .then(finish("done")[1].clone());
        let dspex = builder(carrier)
            .in_flight_per_worker(1)
            .sync_threads(1)
            .tool_concurrency(1)
            .lm(Lm::host(script))
            .start()
            .await
            .unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![rephrase, ask_back]).await.unwrap();
        let agent = dspex.react("question -> answer").tools(&session).create(&session).await.unwrap();
        let out: Prediction<Value> = agent.execute(json!({"question": "?"})).await.unwrap();
        assert_eq!(observation(&out, 0), "other words");
        assert_eq!(dspex.load().in_flight, 0);
    }

    async fn a_reward_and_a_model_may_call_modules_even_if_all_places_are_taken(carrier: Carrier) {
        #[dspy_module("dspy.Predict", signature = "text -> score: float")]
        struct Judge;
        #[dspy_module("dspy.Predict", signature = "question -> answer")]
        struct Ask;
        /// A model that asks a module before it answers, as one that routes by difficulty does.
        struct Router(Arc<std::sync::OnceLock<Dspex>>);
        impl LanguageModel for Router {
            async fn complete(&self, _: LmRequest) -> Result<LmResponse, LmError> {
                let dspex = self.0.get().expect("it is set before the first call");
                let judged = Judge::call(dspex, JudgeInputs { text: "easy?".into() }).await;
                let score = judged.map_err(|error| LmError::unexpected(error.to_string()))?.score;
                Ok(LmResponse::text(format!("[[ ## answer ## ]]\nscored {score}\n\n[[ ## completed ## ]]")))
            }
        }
        let script = ScriptedLm::new([json!({"score": 0.25}), json!({"score": 0.5}), json!({"score": 0.75}), json!({"score": 1.0})]);
        let dspex = builder(carrier)
            .in_flight_per_worker(1)
            .sync_threads(1)
            .deadline(std::time::Duration::from_secs(20))
            .lm(Lm::host(script.clone()))
            .start()
            .await
            .unwrap();
        let router = Arc::new(std::sync::OnceLock::new());
        router.set(dspex.clone()).unwrap();
        let session = dspex.sessions().create("routed", SessionConfig::new().lm(Lm::host(Router(router)))).await.unwrap();
        let judging = dspex.clone();
        let reward = Reward::asynchronous(move |_: AskInputs, outputs: AskOutputs| {
            let dspex = judging.clone();
            async move { Judge::call(&dspex, JudgeInputs { text: outputs.answer }).await.unwrap().score }
        });
        let best = Ask::create(&session).await.unwrap().best_of_n(2, 0.9, reward).await.unwrap();
        let out = best.execute(AskInputs { question: "?".into() }).await.unwrap();
        assert_eq!((out.answer.as_str(), script.remaining()), ("scored 0.75", 0));
        assert_eq!(dspex.load().in_flight, 0);
    }

    async fn a_tool_that_calls_itself_for_ever_is_stopped_with_a_reason(carrier: Carrier) {
        let dspex = builder(carrier).in_flight_per_worker(1).tool_concurrency(1).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![deeper]).await.unwrap();
        let answer = run(&session, "use", json!({"name": "deeper", "arguments": {"level": 0}})).await.unwrap();
        // The sixteenth call below the first is the last: its tool fails, and the one above is told why.
        assert_eq!(answer[0], 15, "{answer}");
        assert!(answer[1].as_str().unwrap().contains("nested more than 16 deep"), "{answer}");
        assert_eq!(dspex.load().in_flight, 0);
        assert_serves(&dspex).await;
    }

    async fn a_session_that_is_deleted_drops_its_running_tools_and_takes_their_names_along(carrier: Carrier) {
        let (gate, mut begins) = Gate::new();
        let dspex = builder(carrier).state(gate.clone()).start().await.unwrap();
        let pids = worker_pids(&dspex);
        let session = dspex.sessions().create("short", SessionConfig::new()).await.unwrap();
        let registered = session.tools().register(tools![wait, add]).await.unwrap();
        let by_python = {
            let session = session.clone();
            let runs = json!({"name": "wait", "arguments": [{}, {}]});
            tokio::spawn(async move { run(&session, "use_all", runs).await })
        };
        let by_rust = {
            let session = session.clone();
            tokio::spawn(async move { session.tools().execute("wait", json!({})).await })
        };
        begin(&mut begins, 3).await;
        dspex.sessions().delete("short").await.unwrap();
        for call in [by_python, by_rust] {
            let error = call.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::Cancelled(_)), "{error}");
        }
        eventually("no tool runs", || gate.running() == 0).await;
        eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
        assert!(session.tools().list().is_empty());
        let error = session.tools().execute("add", json!({"numbers": []})).await.unwrap_err();
        assert!(matches!(error, Error::SessionNotFound(_)), "{error}");
        assert!(matches!(session.tools().register(tools![add]).await, Err(Error::SessionNotFound(_))));
        drop(registered);
        // Another session of the same name begins without tools.
        let again = dspex.sessions().create("short", SessionConfig::new()).await.unwrap();
        assert!(again.tools().list().is_empty());
        assert_eq!(run(&again, "names", json!({})).await.unwrap(), json!([]));
        assert_eq!(worker_pids(&dspex), pids);
    }

    async fn a_kept_agent_finds_its_tools_after_a_restart_if_they_are_registered_again(carrier: Carrier) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state.db");
        let turns = || ScriptedLm::new([step("add", json!({"numbers": [1, 2]}))].into_iter().chain(finish("three")));
        {
            let dspex = builder(carrier).durable(&file).lm(Lm::host(turns())).start().await.unwrap();
            let session = dspex.sessions().create("kept", SessionConfig::new()).await.unwrap();
            // One has the tool as its own, the other has it of the session.
            let own = dspex.react("question -> answer").tools(tools![add]).create(&session).await.unwrap();
            own.keep("own").await.unwrap();
            let _registered = session.tools().register(tools![add]).await.unwrap();
            let shared = dspex.react("question -> answer").tools(&session).create(&session).await.unwrap();
            shared.keep("shared").await.unwrap();
            let out: Prediction<Value> = own.execute(json!({"question": "?"})).await.unwrap();
            assert_eq!(observation(&out, 0), 3.0);
            dspex.shutdown(std::time::Duration::from_secs(5)).await;
        }
        let script = ScriptedLm::new(
            std::iter::repeat_n([step("add", json!({"numbers": [1, 2]}))].into_iter().chain(finish("three")), 4).flatten(),
        );
        let dspex = builder(carrier).durable(&file).lm(Lm::host(script)).start().await.unwrap();
        let session = dspex.sessions().get("kept").await.unwrap();
        assert!(session.tools().list().is_empty());
        for name in ["own", "shared"] {
            let agent = session.instances().open_untyped(name).await.unwrap();
            let out = session.dspy().execute(&agent, &json!({"question": "?"})).await.unwrap();
            let told = observation(&out, 0);
            assert!(failure(&told).contains("`add` is not registered now"), "{name}: {told}");
        }
        let _registered = session.tools().register(tools![add]).await.unwrap();
        for name in ["own", "shared"] {
            let agent = session.instances().open_untyped(name).await.unwrap();
            let out = session.dspy().execute(&agent, &json!({"question": "?"})).await.unwrap();
            assert_eq!((observation(&out, 0), &out["answer"]), (json!(3.0), &json!("three")), "{name}");
        }
    }
}
