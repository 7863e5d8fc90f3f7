//! How long many agents take together.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dspex::lm::{LanguageModel, LmError, LmRequest, LmResponse};
use dspex::prelude::*;
use dspex::testing::DelayedLm;
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::catalogue::{Figure, Goal, Measured};
use crate::common::worker_pids;
use crate::stats::{median, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "agents_100_s",
    unit: "s",
    goal: Goal::Open,
    method: "Seconds until 100 agents (dspy.ReAct) that start at once have answered, over two workers: each takes five steps, \
                 four with a Rust tool and the last one to finish, and then gives its answer; a model in this process that takes \
                 50 ms for each of the six. Median of the rounds. No program can do it in less than 6 x 50 ms.",
}];

const ROUNDS: usize = 5;
const AGENTS: usize = 100;
const TOOL_STEPS: usize = 4;
const LATENCY: Duration = Duration::from_millis(50);

/// Adds numbers.
#[dspex_tool]
async fn add(numbers: Vec<u64>) -> u64 {
    numbers.iter().sum()
}

/// A model that has an agent use its tool so often, each time with what the tool answered before.
struct Stepper;

impl LanguageModel for Stepper {
    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        let prompt = request.last_user_text();
        let seen = prompt.matches("[[ ## observation_").count();
        let last = prompt.rsplit_once(&format!("[[ ## observation_{} ## ]]\n", TOOL_STEPS - 1));
        let sum = |rest: &str| rest.lines().next().unwrap_or_default().to_owned();
        Ok(LmResponse::text(match last {
            Some((_, rest)) if !prompt.contains("`[[ ## next_tool_name ## ]]`") => format!(
                "[[ ## reasoning ## ]]\nAdded.\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]",
                sum(rest)
            ),
            Some(_) => step("finish", &json!({})),
            None => {
                let before =
                    prompt.rsplit_once(&format!("[[ ## observation_{} ## ]]\n", seen.saturating_sub(1)));
                let before: u64 = before.map_or(0, |(_, rest)| sum(rest).parse().unwrap_or_default());
                step("add", &json!({"numbers": [before, seen + 1]}))
            }
        }))
    }
}

fn step(tool: &str, arguments: &Value) -> String {
    format!(
        "[[ ## next_thought ## ]]\nLet me see.\n\n[[ ## next_tool_name ## ]]\n{tool}\n\n\
         [[ ## next_tool_args ## ]]\n{arguments}\n\n[[ ## completed ## ]]"
    )
}

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let lm = Lm::host(DelayedLm::new(Stepper, LATENCY));
    let dspex = Dspex::builder().workers(2).in_flight_per_worker(AGENTS / 2).lm(lm).start().await?;
    for _ in 0..1000 {
        if worker_pids(&dspex).len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let session = dspex.session();
    let agent = dspex.react("question -> answer").tools(tools![add]).create(&session).await?;
    let round = || async {
        let begun = Instant::now();
        let calls = (0..AGENTS).map(|_| {
            let call = agent.execute::<Value>(json!({"question": "What is 1 + 2 + 3 + 4?"}));
            tokio::spawn(async move {
                let out = call.await?;
                ensure!(out["answer"] == "10", "an agent answered {}", out["answer"]);
                Ok(())
            })
        });
        for done in try_join_all(calls).await? {
            done?;
        }
        anyhow::Ok(begun.elapsed().as_secs_f64())
    };
    // A round that does not count: both workers are warm then.
    round().await?;
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        seconds.push(round().await?);
    }
    let least = LATENCY.as_secs_f64() * (TOOL_STEPS + 2) as f64;
    let details = format!("{}; the least is {least:.2} s", spread(&seconds, 2));
    Ok(vec![Measured { name: "agents_100_s", value: median(&seconds), details }])
}
