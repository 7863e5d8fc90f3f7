//! How many tools run at once, and for how long.

use std::time::Duration;

use dspex::testing::ScriptedLm;
use tokio::sync::Barrier;

use crate::common::{assert_serves, eventually, on_both_carriers, worker_pids};
use crate::*;

/// Waits at the gate, three at a time.
#[dspex_tool(concurrency = 3)]
async fn three_at_a_time(#[ctx] gate: State<Gate>) {
    gate.pass().await;
}

/// Waits at the gate like the others.
#[dspex_tool]
async fn wait_too(#[ctx] gate: State<Gate>) {
    gate.pass().await;
}

/// Ends once so many wait together.
#[dspex_tool]
async fn meet(#[ctx] all: State<Barrier>, number: u32) -> u32 {
    all.wait().await;
    number
}

fn runs(tool: &str, count: usize) -> Value {
    json!({"name": tool, "arguments": vec![json!({}); count]})
}

on_both_carriers! {
    async fn tools_that_python_awaits_together_run_at_the_same_time(carrier: Carrier) {
        let dspex = builder(carrier).state(Barrier::new(40)).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![meet]).await.unwrap();
        let arguments: Vec<Value> = (0..40).map(|number| json!({"number": number})).collect();
        let answers = run(&session, "use_all", json!({"name": "meet", "arguments": arguments})).await.unwrap();
        assert_eq!(answers, json!((0..40).collect::<Vec<_>>()));
    }

    async fn no_more_runs_of_a_tool_than_its_limit_even_after_some_were_cancelled(carrier: Carrier) {
        let (gate, mut begins) = Gate::new();
        let dspex = builder(carrier).workers(2).state(gate.clone()).start().await.unwrap();
        let (one, other) = (dspex.session(), dspex.session());
        let _registered = one.tools().register(tools![three_at_a_time]).await.unwrap();
        let _other = other.tools().register(tools![three_at_a_time]).await.unwrap();

        let call = {
            let one = one.clone();
            tokio::spawn(async move { run(&one, "use_all", runs("three_at_a_time", 10)).await })
        };
        begin(&mut begins, 3).await;
        call.abort();
        eventually("no tool runs", || gate.running() == 0).await;
        eventually("no call is left", || dspex.load().in_flight == 0).await;

        // The limit is the function's, so that sessions share it.
        while begins.try_recv().is_ok() {}
        let ours = run(&one, "use_all", runs("three_at_a_time", 10));
        let theirs = run(&other, "use_all", runs("three_at_a_time", 10));
        let opened = async {
            begin(&mut begins, 3).await;
            gate.open(20);
        };
        let (ours, theirs, ()) = tokio::join!(ours, theirs, opened);
        assert_eq!((ours.unwrap(), theirs.unwrap()), (json!(vec![(); 10]), json!(vec![(); 10])));
        assert_eq!((gate.running(), gate.most()), (0, 3));
    }

    async fn no_more_tools_of_a_session_than_its_limit_even_after_some_were_cancelled(carrier: Carrier) {
        let (gate, mut begins) = Gate::new();
        let dspex = builder(carrier).workers(2).state(gate.clone()).start().await.unwrap();
        let session = dspex.sessions().create("limited", SessionConfig::new().tool_concurrency(2)).await.unwrap();
        let _registered = session.tools().register(tools![wait, wait_too]).await.unwrap();
        let both = || {
            let (one, other) = (session.clone(), session.clone());
            [
                tokio::spawn(async move { run(&one, "use_all", runs("wait", 6)).await }),
                tokio::spawn(async move { run(&other, "use_all", runs("wait_too", 6)).await }),
            ]
        };
        let cancelled = both();
        begin(&mut begins, 2).await;
        cancelled.iter().for_each(|call| call.abort());
        eventually("no tool runs", || gate.running() == 0).await;
        eventually("no call is left", || dspex.load().in_flight == 0).await;

        while begins.try_recv().is_ok() {}
        let calls = both();
        begin(&mut begins, 2).await;
        gate.open(12);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!((gate.running(), gate.most()), (0, 2));
    }

    async fn a_tool_that_hangs_ends_with_the_deadline_of_its_call(carrier: Carrier) {
        let (gate, mut begins) = Gate::new();
        let script = ScriptedLm::new([step("wait", json!({}))]);
        let dspex = builder(carrier).lm(Lm::host(script)).state(gate.clone()).start().await.unwrap();
        let pids = worker_pids(&dspex);
        let session = dspex.session();
        let agent = dspex.react("question -> answer").tools(tools![wait]).create(&session).await.unwrap();
        let call = agent.execute::<Value>(json!({"question": "?"})).deadline(Duration::from_millis(700));
        let error = call.await.unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
        begin(&mut begins, 1).await;
        eventually("the tool is dropped", || gate.running() == 0).await;
        eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
        assert_eq!(worker_pids(&dspex), pids);
        assert_serves(&dspex).await;
    }

    async fn a_tool_that_hangs_in_a_program_without_an_async_form_ends_with_the_deadline_as_well(carrier: Carrier) {
        let (gate, mut begins) = Gate::new();
        let dspex = builder(carrier)
            .state(gate.clone())
            .sync_threads(1)
            .deadline(Duration::from_millis(700))
            .start()
            .await
            .unwrap();
        let pids = worker_pids(&dspex);
        let session = dspex.session();
        let _registered = session.tools().register(tools![wait]).await.unwrap();
        let error = run(&session, "use_in_thread", json!({"name": "wait", "arguments": {}})).await.unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
        begin(&mut begins, 1).await;
        eventually("the tool is dropped", || gate.running() == 0).await;
        eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
        // The only thread is free again.
        gate.open(1);
        let answer = run(&session, "use_in_thread", json!({"name": "wait", "arguments": {"number": 4}})).await;
        assert_eq!(answer.unwrap(), 4);
        assert_eq!(worker_pids(&dspex), pids);
    }
}
