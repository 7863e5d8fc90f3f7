//! Rust functions as tools of DSPy's agents: what the model sees, and what the tools do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{assert_serves, builder, on_both_carriers};
use dspex::prelude::*;
use dspex::testing::ScriptedLm;
use dspex::tool::ToolSetError;
use dspex::{CallEvent, Carrier};
use serde_json::{Value, json};

/// What a customer pays for.
#[derive(Debug, Clone, Copy, PartialEq, FieldType)]
enum Tier {
    Free,
    Team,
}

#[derive(Debug, Clone, PartialEq, FieldType)]
struct Plan {
    tier: Tier,
    seats: u32,
    invoices: Vec<f64>,
}

struct Crm(BTreeMap<String, Plan>);

impl Crm {
    fn new() -> Self {
        let plan = Plan { tier: Tier::Team, seats: 7, invoices: vec![10.0, 20.5, 30.0, 40.0] };
        Self(BTreeMap::from([("sara@acme.io".to_owned(), plan)]))
    }
}

/// Plan of a customer, by e-mail.
#[dspex_tool]
async fn plan_of(
    #[ctx] crm: State<Crm>,
    /// The customer's e-mail address.
    email: String,
    /// How many invoices to include.
    #[tool(default = 3, range(0..=50))]
    invoices: usize,
    region: Option<String>,
) -> Result<Plan, String> {
    let region = region.unwrap_or_else(|| "any".to_owned());
    let mut plan = crm.0.get(&email).cloned().ok_or(format!("no customer {email} in region {region}"))?;
    plan.invoices.truncate(invoices);
    Ok(plan)
}

/// Adds numbers.
#[dspex_tool]
fn add(numbers: Vec<f64>) -> f64 {
    numbers.iter().sum()
}

/// Fails in the worst way.
#[dspex_tool]
async fn explode() -> u32 {
    panic!("a secret of the host");
}

/// Never ends.
#[dspex_tool(timeout = "50ms")]
async fn hang() -> u32 {
    std::future::pending().await
}

fn step(tool: &str, args: Value) -> Value {
    json!({"next_thought": "Let me see.", "next_tool_name": tool, "next_tool_args": args})
}

fn finish(answer: &str) -> [Value; 2] {
    [step("finish", json!({})), json!({"reasoning": "Seen.", "answer": answer})]
}

/// Answer questions about customers.
#[dspy_module("dspy.ReAct", tools(plan_of, add, explode, hang), max_iters = 5)]
#[derive(Debug)]
struct Clerk {
    #[input]
    question: String,
    #[output]
    answer: String,
}

fn ask(question: &str) -> ClerkInputs {
    ClerkInputs { question: question.into() }
}

async fn clerk(carrier: Carrier, steps: impl IntoIterator<Item = Value>) -> (Dspex, ScriptedLm) {
    let script = ScriptedLm::new(steps.into_iter().chain(finish("done")));
    let dspex = builder(carrier).lm(Lm::host(script.clone())).state(Crm::new()).start().await.unwrap();
    (dspex, script)
}

/// What the model was shown when it was asked last for a step.
fn prompts(script: &ScriptedLm) -> Vec<String> {
    script.requests().iter().map(|request| request.prompt_text()).collect()
}

on_both_carriers! {
    async fn an_agent_calls_rust_and_the_model_sees_what_it_answered(carrier: Carrier) {
        let steps = [
            step("plan_of", json!({"email": "sara@acme.io", "invoices": 2, "region": null})),
            step("add", json!({"numbers": [10, 20.5]})),
        ];
        let (dspex, script) = clerk(carrier, steps).await;
        let out = Clerk::call(&dspex, ask("How much did Sara pay?")).await.unwrap();
        assert_eq!(out.answer, "done");
        assert_eq!(out.trajectory["observation_0"], json!({"tier": "Team", "seats": 7, "invoices": [10.0, 20.5]}));
        assert_eq!(out.trajectory["observation_1"], json!(30.5));
        let prompts = prompts(&script);
        assert!(prompts[0].contains("Plan of a customer, by e-mail."), "{}", prompts[0]);
        assert!(prompts[0].contains("The customer's e-mail address."), "{}", prompts[0]);
        assert!(prompts[1].contains("20.5"), "{}", prompts[1]);
    }

    async fn what_goes_wrong_in_a_tool_is_told_to_the_model_without_a_traceback(carrier: Carrier) {
        let steps = [
            step("plan_of", json!({"email": "ben@acme.io"})),
            step("plan_of", json!({"mail": "sara@acme.io", "invoices": "three"})),
            step("explode", json!({})),
            step("hang", json!({})),
        ];
        let (dspex, script) = clerk(carrier, steps).await;
        let out = Clerk::call(&dspex, ask("What has Ben?")).await.unwrap();
        let told = |index: usize| out.trajectory[&format!("observation_{index}")].clone();
        assert_eq!(told(0), json!({"error": "no customer ben@acme.io in region any", "retryable": false}));
        let refused = told(1)["error"].as_str().unwrap().to_owned();
        assert!(refused.contains("email") && refused.contains("mail") && refused.contains("invoices"), "{refused}");
        assert_eq!(told(2), json!({"error": "the tool failed unexpectedly", "retryable": false}));
        assert_eq!(told(3), json!({"error": "the tool did not end within 50ms", "retryable": true}));
        for prompt in prompts(&script) {
            assert!(!prompt.contains("Traceback") && !prompt.contains("secret") && !prompt.contains(".py"), "{prompt}");
        }
        assert_serves(&dspex).await;
    }

    async fn the_events_of_a_call_tell_its_tools_as_they_run(carrier: Carrier) {
        let (dspex, _) = clerk(carrier, [step("add", json!({"numbers": [1, 2]}))]).await;
        let session = dspex.session();
        let agent = Clerk::create(&session).await.unwrap();
        let mut events = agent.stream(ask("1 + 2?"));
        let mut seen = Vec::new();
        while let Some(event) = events.try_next().await.unwrap() {
            seen.push(match event {
                CallEvent::ToolStart { tool, arguments, .. } => format!("{tool}({arguments})"),
                CallEvent::ToolEnd { result, .. } => result.unwrap().to_string(),
                CallEvent::Done(prediction) => prediction.outputs().answer.clone(),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(seen, ["add({\"numbers\":[1,2]})", "3.0", "done"]);
    }

    async fn a_session_has_one_namespace_of_tools_and_routes_them(carrier: Carrier) {
        let (dspex, _) = clerk(carrier, []).await;
        let session = dspex.session();
        let tools = session.tools();
        let registered = tools.register(tools![plan_of, add]).await.unwrap();
        let names: Vec<_> = tools.list().iter().map(|info| info.name().to_owned()).collect();
        assert_eq!(names, ["plan_of", "add"]);
        let plan: Plan = tools.execute_as("plan_of", json!({"email": "sara@acme.io"})).await.unwrap();
        assert_eq!((plan.tier, plan.invoices.len()), (Tier::Team, 3));
        let error = tools.execute("plan_of", json!({"email": 7})).await.unwrap_err();
        assert!(matches!(&error, Error::Tool { tool, .. } if tool == "plan_of"), "{error}");
        let error = tools.execute("refund", json!({})).await.unwrap_err();
        assert!(error.to_string().contains("there are plan_of, add"), "{error}");
        drop(registered);
        assert!(tools.list().is_empty());
    }

    async fn a_tool_that_is_gone_is_an_error_for_the_model_and_not_for_the_call(carrier: Carrier) {
        let (dspex, _) = clerk(carrier, [step("add", json!({"numbers": [1]}))]).await;
        let session = dspex.session();
        let registered = session.tools().register(tools![add]).await.unwrap();
        let agent = dspex.react("question -> answer").tools(&session).create(&session).await.unwrap();
        registered.unregister();
        let out: Prediction<Value> = agent.execute(json!({"question": "1?"})).await.unwrap();
        let told = out["trajectory"]["observation_0"]["error"].as_str().unwrap();
        assert!(told.contains("`add` is not registered now"), "{told}");
    }

    async fn a_tool_may_call_a_module_of_the_same_session_even_if_all_places_are_taken(carrier: Carrier) {
        /// Says it in other words.
        #[dspex_tool]
        async fn rephrase(#[ctx] session: Session, text: String) -> Result<String, Error> {
            #[dspy_module("dspy.Predict", signature = "text -> words")]
            struct Rephrase;
            Ok(Rephrase::call(&session, RephraseInputs { text }).await?.words)
        }
        let script = ScriptedLm::default()
            .when(|request| request.prompt_text().contains("`words`"), json!({"words": "other words"}))
            .then(step("rephrase", json!({"text": "words"})))
            .then(finish("done")[0].clone())
            .then(finish("done")[1].clone());
        let dspex = builder(carrier).in_flight_per_worker(1).lm(Lm::host(script)).start().await.unwrap();
        let session = dspex.session();
        let agent = dspex.react("question -> answer").tools(tools![rephrase]).create(&session).await.unwrap();
        let out: Prediction<Value> = agent.execute(json!({"question": "?"})).await.unwrap();
        assert_eq!(out["trajectory"]["observation_0"], "other words");
        assert_eq!(dspex.load().in_flight, 0);
    }

    async fn a_tool_that_is_run_from_rust_gives_its_modules_no_place_beyond_the_limit(carrier: Carrier) {
        /// Answers once it may.
        struct Held(Arc<tokio::sync::Semaphore>, tokio::sync::mpsc::Sender<()>);
        impl LanguageModel for Held {
            fn name(&self) -> String {
                "test/held".into()
            }

            async fn complete(&self, _: LmRequest) -> Result<LmResponse, LmError> {
                self.1.send(()).await.expect("somebody waits");
                self.0.acquire().await.expect("it stays open").forget();
                Ok(LmResponse::text("[[ ## answer ## ]]\nyes\n\n[[ ## completed ## ]]"))
            }
        }
        /// Asks a module.
        #[dspex_tool]
        async fn consult(#[ctx] dspex: Dspex) -> Result<Value, Error> {
            Ok(dspex.predict("question -> answer", &json!({"question": "?"})).await?.into_outputs())
        }
        let (asked, mut asks) = tokio::sync::mpsc::channel(8);
        let held = Arc::new(tokio::sync::Semaphore::new(0));
        let lm = Lm::host(Held(held.clone(), asked));
        let dspex = builder(carrier).in_flight_per_worker(1).queue_limit(0).lm(lm).start().await.unwrap();
        let busy = { let dspex = dspex.clone(); tokio::spawn(async move { dspex.predict("question -> answer", &json!({"question": "?"})).await }) };
        asks.recv().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![consult]).await.unwrap();
        let error = session.tools().execute("consult", json!({})).await.unwrap_err().to_string();
        assert!(error.contains("saturated"), "{error}");
        held.add_permits(1);
        busy.await.unwrap().unwrap();
    }

    async fn a_tool_under_a_limit_of_one_may_call_itself(carrier: Carrier) {
        /// Counts down.
        #[dspex_tool(concurrency = 1)]
        async fn countdown(#[ctx] session: Session, from: u32) -> Result<u32, Error> {
            match from {
                0 => Ok(0),
                more => {
                    let tools = session.tools();
                    let below = tools.execute_as::<u32>("countdown", json!({"from": more - 1}));
                    Ok(1 + Box::pin(below).await?)
                }
            }
        }
        let dspex = common::start_without_lm(carrier).await;
        let session = dspex.sessions().temporary(SessionConfig::new().tool_concurrency(1));
        let _registered = session.tools().register(tools![countdown]).await.unwrap();
        assert_eq!(session.tools().execute("countdown", json!({"from": 5})).await.unwrap(), 5);
        let error = session.tools().execute("countdown", json!({"from": 50})).await.unwrap_err().to_string();
        assert!(error.contains("nested more than 16 deep"), "{error}");
    }

    async fn a_tool_that_is_run_from_rust_has_the_deadline_of_a_call(carrier: Carrier) {
        /// Never ends, and has no time limit.
        #[dspex_tool]
        async fn forever() -> u32 {
            std::future::pending().await
        }
        let dspex = builder(carrier).deadline(Duration::from_millis(100)).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![forever]).await.unwrap();
        let error = session.tools().execute("forever", json!({})).await.unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
    }

    async fn a_cancelled_call_drops_its_tools(carrier: Carrier) {
        struct Dropped(Arc<AtomicUsize>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        /// Waits for ever.
        #[dspex_tool]
        async fn wait(#[ctx] watch: State<(Arc<AtomicUsize>, tokio::sync::mpsc::Sender<()>)>, #[ctx] cancelled: CancellationToken) -> u32 {
            let _dropped = Dropped(watch.0.clone());
            let (counter, begun) = (watch.0.clone(), watch.1.clone());
            tokio::spawn(async move {
                cancelled.cancelled().await;
                counter.fetch_add(10, Ordering::SeqCst);
            });
            begun.send(()).await.unwrap();
            std::future::pending().await
        }
        let (begun, mut begins) = tokio::sync::mpsc::channel::<()>(1);
        let dropped = Arc::new(AtomicUsize::new(0));
        let (dspex, _) = clerk(carrier, [step("wait", json!({}))]).await;
        let session = dspex.session();
        let tools = tools![wait].state((dropped.clone(), begun));
        let agent = dspex.react("question -> answer").tools(tools).create(&session).await.unwrap();
        let call = agent.execute::<Value>(json!({"question": "?"}));
        let call = tokio::spawn(async move { call.await });
        begins.recv().await.unwrap();
        call.abort();
        common::eventually("the tool is dropped and told", || dropped.load(Ordering::SeqCst) == 11).await;
        common::eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
        assert_serves(&dspex).await;
    }

    async fn an_instance_with_a_closure_cannot_be_kept_and_says_so(carrier: Carrier) {
        let (dspex, _) = clerk(carrier, []).await;
        let session = dspex.session();
        let clerk = Clerk::create(&session).await.unwrap();
        let reward = dspex::Reward::new(|_: Value, _: Value| 1.0);
        let best = clerk.best_of_n(2, 1.0, reward.clone()).await.unwrap();
        let error = best.keep("best").await.unwrap_err();
        assert!(error.to_string().contains("`reward_fn` is a function of this program alone"), "{error}");
        let error = clerk.best_of_n(0, 1.0, reward).await.unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
        clerk.keep("clerk").await.unwrap();
    }

    async fn tools_are_values_of_inputs(carrier: Carrier) {
        /// Choose a tool.
        #[dspy_module("dspy.Predict", signature = "question: str, tools: list[dspy.Tool] -> name: str")]
        struct Choose;
        let script = ScriptedLm::new([json!({"name": "add"})]);
        let dspex = builder(carrier).lm(Lm::host(script.clone())).start().await.unwrap();
        let tools = dspex::types::Tool::all(&tools![add, explode]);
        let out = Choose::call(&dspex, ChooseInputs { question: "1 + 2?".into(), tools }).await.unwrap();
        assert_eq!(out.name, "add");
        assert!(prompts(&script)[0].contains("Adds numbers."), "{}", prompts(&script)[0]);
    }

    async fn a_tool_without_its_state_is_refused_before_anything_runs(carrier: Carrier) {
        let dspex = builder(carrier).lm(Lm::host(ScriptedLm::default())).start().await.unwrap();
        let session = dspex.session();
        for error in [
            session.tools().register(tools![plan_of]).await.unwrap_err(),
            Clerk::create(&session).await.unwrap_err(),
            Clerk::call(&session, ask("?")).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains("`plan_of` takes `State<tools::Crm>`"), "{error}");
        }
    }

    async fn a_tool_that_takes_a_session_is_refused_where_there_is_none_and_says_what_to_do(carrier: Carrier) {
        /// Names the session.
        #[dspex_tool]
        async fn whose(#[ctx] session: Session) -> String {
            session.id().to_string()
        }
        let script = ScriptedLm::new([step("whose", json!({}))].into_iter().chain(finish("done")));
        let dspex = builder(carrier).lm(Lm::host(script.clone())).start().await.unwrap();
        let spec = || InstanceSpec::new("dspy.ReAct").signature(json!({"text": "question -> answer"})).tools(tools![whose]);
        let inputs = json!({"question": "?"});
        let plain = dspex.dspy();
        let error = async { plain.execute(&plain.create_instance(spec()).await?, &inputs).await }.await.unwrap_err();
        assert!(matches!(&error, Error::Tools(ToolSetError::MissingSession(tool)) if tool == "whose"), "{error:?}");
        assert!(error.to_string().contains("`whose` takes a `Session`"), "{error}");
        assert!(error.to_string().contains("make the call in one: `dspex.session()`"), "{error}");
        assert_eq!(script.requests().len(), 0, "before any model is asked");
        let within = dspex.session().dspy();
        let instance = within.create_instance(spec()).await.unwrap();
        assert_eq!(within.execute(&instance, &inputs).await.unwrap()["answer"], "done");
    }
}

#[test]
fn the_functions_stay_callable() {
    assert_eq!(add(vec![1.0, 2.0]), 3.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let plan = runtime.block_on(plan_of(State::new(Crm::new()), "sara@acme.io".into(), 1, None)).unwrap();
    assert_eq!(plan.invoices, [10.0]);
}
