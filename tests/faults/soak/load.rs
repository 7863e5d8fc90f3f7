//! Everything at once, for minutes: the load of the soak, which the figures take too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dspex::lm::{LanguageModel, LmError, LmRequest, LmResponse};
use dspex::prelude::*;
use dspex::state::VarSpec;
use dspex::{Error, WorkerLimits};
use futures::{StreamExt, future::try_join_all};
use serde_json::{Value, json};

use crate::common::worker_pids;

const PROGRAMS: &str = "dspex_fault_programs";
const CALLERS: usize = 8;
/// Memory is looked at so often.
const SAMPLE_EVERY: Duration = Duration::from_secs(3);

/// What came of it.
pub struct Soaked {
    /// Calls of each kind.
    pub calls: BTreeMap<&'static str, usize>,
    /// Megabytes of the host and of all its workers, over the calls that had been made by then; without the time that
    /// it took for all caches to fill.
    pub samples: Vec<Sample>,
}

/// Memory at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Calls until then.
    pub calls: usize,
    /// Resident in the host, in units of 10^6 bytes.
    pub host: f64,
    /// Resident in the workers together. What they share with the zygote counts in each of them, so that a page's becoming a worker's
    /// own, which happens to ever more of them for a while, is no growth.
    pub workers: f64,
}

impl Soaked {
    /// All calls.
    pub fn total(&self) -> usize {
        self.calls.values().sum()
    }

    /// Megabytes by which the host and its workers grew for each 10,000 calls: the slope of the line that fits the samples best.
    pub fn growth(&self) -> f64 {
        self.slope(|sample| sample.host + sample.workers)
    }

    /// The same of the host alone.
    pub fn host_growth(&self) -> f64 {
        self.slope(|sample| sample.host)
    }

    fn slope(&self, megabytes: impl Fn(&Sample) -> f64) -> f64 {
        let count = self.samples.len() as f64;
        let mean = |value: &dyn Fn(&Sample) -> f64| self.samples.iter().map(value).sum::<f64>() / count;
        let (x, y) = (mean(&|sample| sample.calls as f64), mean(&|sample| megabytes(sample)));
        let (mut above, mut below) = (0.0, 0.0);
        for sample in &self.samples {
            let away = sample.calls as f64 - x;
            above += away * (megabytes(sample) - y);
            below += away * away;
        }
        above / below * 10_000.0
    }
}

/// Answer the question.
#[dspy_module("dspy.Predict")]
struct Ask {
    #[input]
    question: String,
    #[output]
    answer: String,
}

/// Adds numbers.
#[dspex_tool]
async fn add(numbers: Vec<u64>) -> u64 {
    numbers.iter().sum()
}

/// A model that gives the question back.
struct Parrot;

impl LanguageModel for Parrot {
    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let prompt = request.last_user_text();
        let question = prompt.rsplit_once("[[ ## question ## ]]\n").map_or("", |(_, rest)| rest);
        let question = question.lines().next().unwrap_or_default();
        Ok(LmResponse::text(format!("[[ ## answer ## ]]\n{question}\n\n[[ ## completed ## ]]")))
    }
}

/// Puts a pool of two workers under load for so long, and as long again as a third of that before anything counts.
pub async fn soak(duration: Duration) -> Result<Soaked> {
    let dspex = Dspex::builder()
        .workers(2)
        // So that whoever runs it may see how much memory they use.
        .worker_limits(WorkerLimits::new().debuggable(true))
        .lm(Lm::host(Parrot))
        .allow_module(PROGRAMS)
        .python_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python"))
        .start()
        .await?;
    while dspex.load().ready_workers < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let session = dspex.session();
    let _tools = session.tools().register(tools![add]).await?;
    let _python = session.tools().register_python(&format!("{PROGRAMS}.large_items")).await?;
    let shared =
        Arc::new(Shared { module: Ask::create(&session).await?, session, calls: AtomicUsize::new(0) });
    let workers = worker_pids(&dspex);

    let begun = Instant::now();
    let warm_up = duration / 3;
    let end = begun + warm_up + duration;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let calls = tokio::spawn(call_until(end, caller, dspex.clone(), shared.clone()));
            async { calls.await? }
        })
        .collect();
    let mut callers = std::pin::pin!(try_join_all(callers));
    let mut samples = Vec::new();
    let came = loop {
        tokio::select! {
            came = &mut callers => break came?,
            () = tokio::time::sleep(SAMPLE_EVERY) => {}
        }
        if begun.elapsed() >= warm_up {
            let calls = shared.calls.load(Ordering::Relaxed);
            let host = megabytes(std::process::id())?;
            let workers = worker_pids(&dspex).into_iter().map(megabytes).sum::<Result<f64>>()?;
            samples.push(Sample { calls, host, workers });
        }
    };
    let mut calls = BTreeMap::new();
    for came in came {
        for (kind, count) in came {
            *calls.entry(kind).or_default() += count;
        }
    }
    ensure!(worker_pids(&dspex) == workers, "a worker was replaced");
    Ok(Soaked { calls, samples })
}

/// What the callers share.
struct Shared {
    module: Instance<Ask>,
    session: Session,
    calls: AtomicUsize,
}

async fn call_until(
    end: Instant,
    caller: usize,
    dspex: Dspex,
    shared: Arc<Shared>,
) -> Result<BTreeMap<&'static str, usize>> {
    let mut calls = BTreeMap::new();
    for number in caller.. {
        if Instant::now() >= end {
            break;
        }
        let kind = one(number, &dspex, &shared).await?;
        *calls.entry(kind).or_default() += 1;
        shared.calls.fetch_add(1, Ordering::Relaxed);
    }
    Ok(calls)
}

/// One call, of a kind that differs from number to number; what kind it was.
async fn one(number: usize, dspex: &Dspex, shared: &Shared) -> Result<&'static str> {
    let (module, session) = (&shared.module, &shared.session);
    let run = async |session: &Session, program: &str, arguments: Value| {
        session.dspy().call(&format!("{PROGRAMS}.{program}"), &json!([]), &arguments).await
    };
    let question = format!("number {number}");
    let asked = AskInputs { question: question.clone() };
    Ok(match number % 16 {
        0 => {
            // What is sent once and kept by its hash: every one of these is new.
            let spec = InstanceSpec::new("dspy.Predict")
                .signature(json!({"text": "question -> answer"}))
                .arg("seed", number);
            let instance = session.dspy().create_instance(spec).await?;
            let answer =
                session.dspy().call_instance_method(&instance, "", &json!({"question": question})).await?;
            ensure!(answer["answer"] == question, "{answer}");
            "new instance"
        }
        1 => {
            let temporary = dspex.session();
            temporary.variables().create("count", VarSpec::integer(), number as i64).await?;
            let read = run(&temporary, "read_variable", json!({"name": "count"})).await?;
            ensure!(read == json!(number), "{read}");
            "temporary session"
        }
        2 => {
            let sum = run(session, "use_tool", json!({"name": "add", "arguments": {"numbers": [number, 1]}}))
                .await?;
            ensure!(sum == json!(number + 1), "{sum}");
            "tool of Rust"
        }
        3 => {
            let stream = session.tools().stream("large_items", json!({"count": 20}))?;
            let read = std::pin::pin!(stream).take(3).count().await;
            ensure!(read == 3, "{read} items");
            "stream left early"
        }
        4 => {
            let failed = run(session, "fail", json!({"message": question})).await;
            ensure!(matches!(failed, Err(Error::Python(_))), "{failed:?}");
            "exception"
        }
        5 => {
            let patience = Duration::from_micros(500 + number as u64 % 1500);
            let _ = tokio::time::timeout(patience, module.execute(asked)).await;
            "cancelled"
        }
        6 => {
            let text = "x".repeat(200_000 + number % 1000);
            let echoed = run(session, "echo", json!({"value": text})).await?;
            ensure!(echoed == json!(text), "another text came back");
            "large"
        }
        7 => {
            let slept = run(session, "sleep_in_thread", json!({"seconds": 0.002})).await?;
            ensure!(slept == "slept", "{slept}");
            "thread"
        }
        _ => {
            let answer = module.execute(asked).await?.answer;
            ensure!(answer == question, "{answer} is no answer to {question}");
            "dspy.Predict"
        }
    })
}

/// How much memory of a process is resident.
fn megabytes(pid: u32) -> Result<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let line = line.context("smaps_rollup has no Rss")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / 1e6)
}
