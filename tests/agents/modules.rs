//! Tools in the modules of DSPy other than `dspy.ReAct`.

use dspex::testing::ScriptedLm;

use crate::common::on_both_carriers;
use crate::*;

/// Adds numbers.
#[dspex_tool]
fn add(numbers: Vec<f64>) -> f64 {
    numbers.iter().sum()
}

/// Looks something up.
#[dspex_tool]
async fn look_up(question: String) -> Result<String, String> {
    match question.as_str() {
        "?" => Err("ask a question".to_owned()),
        asked => Ok(format!("all about {asked}")),
    }
}

fn call(name: &str, args: Value) -> Value {
    json!({"name": name, "args": args})
}

/// The turns of a ReActV2 agent: two tools at once, one that fails, the answer.
fn turns() -> Vec<Value> {
    vec![
        json!({"tool_calls": [
            call("add", json!({"numbers": [1, 2.5]})),
            call("look_up", json!({"question": "ships"})),
        ]}),
        json!({"tool_calls": [call("look_up", json!({"question": "?"}))]}),
        json!({"tool_calls": [call("submit", json!({"answer": "3.5 ships"}))]}),
    ]
}

async fn react_v2(carrier: Carrier, script: &ScriptedLm, adapter: Adapter) -> Prediction<Value> {
    let dspex = builder(carrier).adapter(adapter).lm(Lm::host(script.clone())).start().await.unwrap();
    let session = dspex.session();
    let agent = InstanceSpec::new("dspy.ReActV2").signature(json!({"text": "question -> answer"}));
    let agent = agent.tools(tools![add, look_up]).create(&session).await.unwrap();
    agent.execute(json!({"question": "How many ships?"})).await.unwrap()
}

on_both_carriers! {
    async fn react_v2_calls_tools_as_native_functions(carrier: Carrier) {
        // The adapter decides: DSPy's chat adapter offers no native functions.
        let script = ScriptedLm::new(turns());
        let out = react_v2(carrier, &script, Adapter::Json).await;
        assert_eq!((&out["answer"], &out["termination_reason"]), (&json!("3.5 ships"), &json!("submit")));
        let requests = script.requests();
        let add = requests[0].tool("add").unwrap();
        assert_eq!(add.description.as_deref(), Some("Adds numbers."));
        assert_eq!(add.parameters["properties"]["numbers"]["type"], "array");
        assert_eq!(add.parameters["required"], json!(["numbers"]));
        let conversation = requests[2].prompt_text();
        for told in ["3.5", "all about ships", "ask a question"] {
            assert!(conversation.contains(told), "{told}: {conversation}");
        }
        assert!(!conversation.contains("Traceback"), "{conversation}");
    }

    async fn react_v2_calls_tools_by_text_where_a_model_has_no_native_functions(carrier: Carrier) {
        let script = ScriptedLm::new(turns().into_iter().map(|mut turn| {
            let calls = turn["tool_calls"].take();
            json!({"next_thought": "Let me see.", "reasoning": "Let me see.", "tool_calls": {"tool_calls": calls}})
        }));
        let script = script.with_capabilities(Capabilities::default());
        let out = react_v2(carrier, &script, Adapter::Chat).await;
        assert_eq!((&out["answer"], &out["termination_reason"]), (&json!("3.5 ships"), &json!("submit")));
        let requests = script.requests();
        assert!(requests.iter().all(|request| request.tools.is_empty()));
        assert!(requests[0].prompt_text().contains("Adds numbers."), "{}", requests[0].prompt_text());
        let conversation = requests[2].prompt_text();
        for told in ["3.5", "all about ships", "ask a question"] {
            assert!(conversation.contains(told), "{told}: {conversation}");
        }
    }

    async fn a_predictor_chooses_among_tools_that_a_program_gives_it(carrier: Carrier) {
        for capabilities in [Capabilities::default().function_calling(true), Capabilities::default()] {
            let chosen = json!([call("add", json!({"numbers": [20, 22]})), call("look_up", json!({"question": "x"}))]);
            let script = ScriptedLm::new([json!({"outputs": {"tool_calls": chosen.clone()}, "tool_calls": chosen})]);
            let script = script.with_capabilities(capabilities);
            let dspex = builder(carrier).lm(Lm::host(script.clone())).start().await.unwrap();
            let session = dspex.session();
            let choose = InstanceSpec::new(program("Choose")).tools(tools![add, look_up]);
            let choose = choose.create(&session).await.unwrap();
            let out: Prediction<Value> = choose.execute(json!({"question": "?"})).await.unwrap();
            assert_eq!(out["answers"], json!([42.0, "all about x"]));
            assert!(script.requests()[0].prompt_text().contains("Choose tools."));
        }
    }

    async fn a_program_without_an_async_form_uses_the_async_tools_of_its_session(carrier: Carrier) {
        let dspex = builder(carrier).sync_threads(1).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![look_up]).await.unwrap();
        let delegate = InstanceSpec::new(program("Delegate")).create(&session).await.unwrap();
        let calls = (0..20).map(|number| delegate.execute::<Value>(json!({"question": format!("ship {number}")})));
        for (number, out) in futures::future::join_all(calls.map(IntoFuture::into_future)).await.into_iter().enumerate() {
            assert_eq!(out.unwrap()["answer"], format!("all about ship {number}"));
        }
    }
}
