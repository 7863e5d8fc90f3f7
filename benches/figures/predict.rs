//! What the way over the bridge costs a real module, in CPU.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dspex::prelude::*;

use crate::catalogue::{Figure, Goal, Measured};
use crate::common::worker_pids;
use crate::module::{Answer, COMPLETION, QUESTION, inputs, instant_lm};
use crate::process;
use crate::python::{Python, Script};
use crate::stats::{median, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "predict_cpu_ratio",
    unit: "x",
    goal: Goal::AtMost(1.3),
    method: "User and system CPU per call of dspy.Predict with a model that answers at once: this process and the \
             worker together, with the model in this process / one Python process with the model as a custom engine; \
             the same signature, question, answer and settings of DSPy (disable_history, track_usage, trace=[], cache \
             off), both by `acall` on one event loop, one call at a time; rounds by turns, median of their ratios.",
}];

const ROUNDS: usize = 9;
const CALLS: u32 = 600;

/// Measures it.
pub async fn measure(python: &Python) -> Result<Vec<Measured>> {
    let mut script = Script::start(python, "predict.py", &[]).await?;
    let given = serde_json::json!({"question": QUESTION, "completion": COMPLETION});
    script.ask(&given.to_string()).await?;
    let dspex = Dspex::builder().lm(instant_lm()).workers(1).start().await?;
    let answer = Answer::create(&dspex.session()).await?;
    let worker = *worker_pids(&dspex).first().context("no worker runs")?;

    bridged(&answer, worker).await?;
    plain(&mut script).await?;
    let (mut ratios, mut plains, mut hosts, mut workers) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let plain = plain(&mut script).await?;
        let (host, worker) = bridged(&answer, worker).await?;
        ratios.push((host + worker) / plain);
        plains.push(plain);
        hosts.push(host);
        workers.push(worker);
    }
    let details = format!(
        "{}; per call {:.0} us in plain Python, {:.0} us in the worker and {:.0} us in the host (the worker alone: {:.2} x)",
        spread(&ratios, 2),
        median(&plains),
        median(&workers),
        median(&hosts),
        median(&workers) / median(&plains),
    );
    Ok(vec![Measured { name: "predict_cpu_ratio", value: median(&ratios), details }])
}

/// Microseconds per call, of this process and of the worker.
async fn bridged(answer: &Instance<Answer>, worker: u32) -> Result<(f64, f64)> {
    let (host_before, worker_before) = (process::cpu(std::process::id())?, process::cpu(worker)?);
    for _ in 0..CALLS {
        ensure!(answer.execute(inputs()).await?.answer == "Paris", "the bridge's answer is another");
    }
    let (host_after, worker_after) = (process::cpu(std::process::id())?, process::cpu(worker)?);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(CALLS);
    Ok((each(host_after - host_before), each(worker_after - worker_before)))
}

/// Microseconds per call of the plain process.
async fn plain(script: &mut Script) -> Result<f64> {
    let seconds: f64 = script.ask(&CALLS.to_string()).await?.parse()?;
    Ok(seconds * 1e6 / f64::from(CALLS))
}
