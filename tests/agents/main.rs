//! Agents with tools at work: many at once, cut short, with every kind of value, nested, and in all of DSPy's modules.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod crowds;
mod example;
mod functions;
mod lifetimes;
mod limits;
mod modules;
mod python_tools;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dspex::lm::{Capabilities, LanguageModel, LmError, LmRequest, LmResponse};
use dspex::prelude::*;
use dspex::{Carrier, DspexBuilder};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

/// The Python module with the programs that use tools.
const PROGRAMS: &str = "dspex_tool_programs";

/// A builder with one worker and both modules of test programs.
fn builder(carrier: Carrier) -> DspexBuilder {
    common::builder(carrier).allow_module(PROGRAMS)
}

fn program(name: &str) -> String {
    format!("{PROGRAMS}.{name}")
}

/// Calls a program with keyword arguments.
async fn run(session: &Session, name: &str, arguments: Value) -> Result<Value, Error> {
    session.dspy().call(&program(name), &json!([]), &arguments).await
}

/// A ReAct agent's next step.
fn step(tool: &str, args: Value) -> Value {
    json!({"next_thought": "Let me see.", "next_tool_name": tool, "next_tool_args": args})
}

/// What ends a ReAct agent: its last step, and the answer.
fn finish(answer: &str) -> [Value; 2] {
    [step("finish", json!({})), json!({"reasoning": "Seen.", "answer": answer})]
}

/// The result of a ReAct agent's n-th step.
fn observation(prediction: &Prediction<Value>, index: usize) -> Value {
    prediction["trajectory"][&format!("observation_{index}")].clone()
}

/// What a tool tells a model that failed.
fn failure(value: &Value) -> &str {
    assert!(value["retryable"].is_boolean(), "{value}");
    value["error"].as_str().expect("the value is no failure")
}

/// A model that plans by what it reads: it answers in the chat format with the fields that a function makes of the prompt.
struct Planner<F>(F);

/// What a prompt of DSPy's chat format says.
struct Seen {
    /// The input fields, and those of the trajectory.
    fields: BTreeMap<String, String>,
    /// Whether the next step is asked for, or else the outputs.
    wants_step: bool,
}

impl Seen {
    fn of(request: &LmRequest) -> Self {
        let text = request.last_user_text();
        let (inputs, asked) = text.rsplit_once("Respond with the corresponding output fields").unwrap();
        let sections = inputs.split("[[ ## ").skip(1).filter_map(|part| part.split_once(" ## ]]\n"));
        let fields = sections.map(|(name, text)| (name.to_owned(), text.trim().to_owned())).collect();
        Self { fields, wants_step: asked.contains("next_tool_name") }
    }

    /// The n-th observation; none if there was no such step.
    fn observation(&self, index: usize) -> Option<&str> {
        self.fields.get(&format!("observation_{index}")).map(String::as_str)
    }
}

impl<F: Fn(&Seen) -> Value + Send + Sync + 'static> LanguageModel for Planner<F> {
    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        let fields = (self.0)(&Seen::of(&request));
        let sections = fields.as_object().unwrap().iter().map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("[[ ## {name} ## ]]\n{text}\n\n")
        });
        Ok(LmResponse::text(sections.collect::<String>() + "[[ ## completed ## ]]"))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

/// Runs that begin, wait until they are let go, and are counted meanwhile.
#[derive(Clone)]
struct Gate(Arc<Shared>);

struct Shared {
    running: AtomicUsize,
    most: AtomicUsize,
    begun: mpsc::UnboundedSender<()>,
    open: Semaphore,
}

/// One that waits at the gate.
struct Waiting(Arc<Shared>);

impl Gate {
    /// A gate, and where it tells of each run that begins.
    fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (begun, begins) = mpsc::unbounded_channel();
        let (running, most) = Default::default();
        (Self(Arc::new(Shared { running, most, begun, open: Semaphore::new(0) })), begins)
    }

    /// Waits for one of the permits that `open` gives.
    async fn pass(&self) {
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _waiting = Waiting(self.0.clone());
        self.0.most.fetch_max(running, Ordering::SeqCst);
        self.0.begun.send(()).unwrap();
        self.0.open.acquire().await.unwrap().forget();
    }

    fn open(&self, runs: usize) {
        self.0.open.add_permits(runs);
    }

    fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    /// The most that ever ran at once.
    fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for so many runs to begin.
async fn begin(begins: &mut mpsc::UnboundedReceiver<()>, runs: usize) {
    for _ in 0..runs {
        let begun = tokio::time::timeout(std::time::Duration::from_secs(60), begins.recv()).await;
        begun.expect("a run does not begin").expect("the gate is gone");
    }
}

/// Waits at the gate, and says which one it was.
#[dspex_tool]
async fn wait(#[ctx] gate: State<Gate>, number: Option<u32>) -> u32 {
    gate.pass().await;
    number.unwrap_or_default()
}
