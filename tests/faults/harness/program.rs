//! What is called while things break.

use std::path::PathBuf;
use std::time::Duration;

use dspex::prelude::*;
use dspex::{Carrier, DspexBuilder, WorkerLimits};
use serde_json::{Value, json};

use super::parrot::{Ask, AskInputs};

const PROGRAMS: &str = "dspex_fault_programs";

/// Longer than anything that is awaited here may take: a call that has not ended by then hangs.
const NEVER: Duration = Duration::from_secs(40);

/// Asks, and wants the question back as the answer.
pub async fn ask(module: &Instance<Ask>, question: &str, idempotent: bool) -> dspex::Result<Value> {
    let asked = module.run(AskInputs { question: question.to_owned() }).idempotent(idempotent);
    Ok(json!(within(asked.into_future()).await?.answer))
}

/// A builder with so many workers and the programs of this suite.
pub fn builder(workers: usize) -> DspexBuilder {
    builder_on(Carrier::Framed, workers)
}

/// The same on a carrier.
pub fn builder_on(carrier: Carrier, workers: usize) -> DspexBuilder {
    Dspex::builder()
        .workers(workers)
        .carrier(carrier)
        // So that whoever runs the tests may see how much memory they use.
        .worker_limits(WorkerLimits::new().debuggable(true))
        .allow_module(PROGRAMS)
        .python_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python"))
}

/// Runs a program of this suite.
pub async fn run(dspex: &Dspex, program: &str, arguments: Value) -> dspex::Result<Value> {
    run_within(&dspex.session(), program, arguments).await
}

/// The same in a session.
pub async fn run_within(session: &Session, program: &str, arguments: Value) -> dspex::Result<Value> {
    let (dspy, path) = (session.dspy(), format!("{PROGRAMS}.{program}"));
    within(async { dspy.call(&path, &json!([]), &arguments).await }).await
}

/// Has Python write a variable and answer its value.
pub async fn keep(session: &Session, number: usize) -> dspex::Result<Value> {
    run_within(session, "keep", json!({"name": format!("kept-{number}"), "value": number})).await
}

/// Whether what [`keep`] acknowledged is there.
pub async fn kept(session: &Session, number: usize) -> bool {
    let read = session.variables().read::<i64>(&format!("kept-{number}")).await;
    read.is_ok_and(|read| read.value == number as i64)
}

async fn within<T>(call: impl Future<Output = dspex::Result<T>>) -> dspex::Result<T> {
    tokio::time::timeout(NEVER, call).await.expect("every call ends")
}
