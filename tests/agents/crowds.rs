//! Many agents at once.

use std::sync::Arc;

use dspex::testing::ScriptedLm;
use tokio::sync::Barrier;

use crate::common::{assert_serves, eventually, on_both_carriers, worker_pids};
use crate::*;

const AGENTS: u64 = 100;

/// What a customer pays for, and nobody else has.
#[derive(Debug, Clone, PartialEq, FieldType)]
struct Plan {
    seats: u64,
    price: u64,
}

impl Plan {
    fn of(customer: u64) -> Self {
        Self { seats: customer % 13 + 1, price: 1000 + customer }
    }
}

/// The plan of a customer, once all agents have asked for theirs.
#[dspex_tool]
async fn plan_of(#[ctx] all: State<Arc<Barrier>>, customer: u64) -> Plan {
    all.wait().await;
    Plan::of(customer)
}

/// Multiplies.
#[dspex_tool]
fn multiply(factors: Vec<u64>) -> u64 {
    factors.iter().product()
}

/// Asks for the plan of the customer that the question names, multiplies what it was told, and answers with that.
fn accountant(seen: &Seen) -> Value {
    let question = &seen.fields["question"];
    let customer: u64 = question.rsplit(' ').next().unwrap().parse().unwrap();
    match (seen.wants_step, seen.observation(0), seen.observation(1)) {
        (true, None, _) => step("plan_of", json!({"customer": customer})),
        (true, Some(plan), None) => {
            let plan: Value = serde_json::from_str(plan).unwrap();
            step("multiply", json!({"factors": [plan["seats"], plan["price"]]}))
        }
        (true, ..) => step("finish", json!({})),
        (false, _, product) => json!({"reasoning": "Multiplied.", "answer": product.unwrap()}),
    }
}

on_both_carriers! {
    async fn a_hundred_agents_over_two_workers_each_answer_from_their_own_tools(carrier: Carrier) {
        let dspex = builder(carrier)
            .workers(2)
            .in_flight_per_worker(AGENTS as usize)
            .lm(Lm::host(Planner(accountant)))
            .state(Arc::new(Barrier::new(AGENTS as usize)))
            .start()
            .await
            .unwrap();
        let session = dspex.session();
        let agent =
            dspex.react("question -> answer").tools(tools![plan_of, multiply]).create(&session).await.unwrap();
        let calls = (0..AGENTS).map(|customer| {
            let inputs = json!({"question": format!("What pays customer {customer}")});
            let call = agent.execute::<Value>(inputs);
            tokio::spawn(async move { (customer, call.await.unwrap()) })
        });
        for call in calls.collect::<Vec<_>>() {
            let (customer, out) = call.await.unwrap();
            let plan = Plan::of(customer);
            assert_eq!(out["answer"], (plan.seats * plan.price).to_string());
            assert_eq!(out["trajectory"]["observation_0"], json!(plan));
        }
        assert_eq!(dspex.load().in_flight, 0);
    }

    async fn a_storm_that_is_cancelled_in_its_tools_leaves_none_running_and_takes_no_place(carrier: Carrier) {
        const STORM: usize = 200;
        const PLACES: usize = 50;
        let (gate, mut begins) = Gate::new();
        let script = ScriptedLm::default()
            .when(|request| !request.prompt_text().contains("observation_0"), step("wait", json!({})))
            .when(|request| request.last_user_text().contains("next_tool_name"), finish("")[0].clone())
            .when(|_| true, finish("through")[1].clone());
        let dspex = builder(carrier)
            .workers(2)
            .in_flight_per_worker(STORM)
            .tool_concurrency(PLACES)
            .lm(Lm::host(script.clone()))
            .state(gate.clone())
            .start()
            .await
            .unwrap();
        eventually("both workers run", || worker_pids(&dspex).len() == 2).await;
        let pids = worker_pids(&dspex);
        let session = dspex.session();
        let agent = dspex.react("question -> answer").tools(tools![wait]).create(&session).await.unwrap();
        let storm = || {
            let calls = (0..STORM).map(|_| tokio::spawn(agent.execute::<Value>(json!({"question": "?"})).into_future()));
            calls.collect::<Vec<_>>()
        };
        let cancelled = storm();
        begin(&mut begins, PLACES).await;
        eventually("all agents have asked for their tool", || script.requests().len() == STORM).await;
        cancelled.iter().for_each(|call| call.abort());
        eventually("no tool runs", || gate.running() == 0).await;
        eventually("no call is left", || dspex.load().in_flight == 0).await;
        assert_eq!(gate.most(), PLACES);

        // All places can be taken again, and the same processes serve.
        while begins.try_recv().is_ok() {}
        let calls = storm();
        begin(&mut begins, PLACES).await;
        gate.open(STORM);
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap()["answer"], "through");
        }
        assert_eq!((gate.running(), gate.most()), (0, PLACES));
        assert_eq!(worker_pids(&dspex), pids);
        assert_serves(&dspex).await;
    }
}
