//! Everything at once, for minutes: the load of the soak, which the figures take too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dspex::prelude::*;
use dspex::state::VarSpec;
use dspex::{Error, WorkerLimits};
use futures::{StreamExt, future::try_join_all};
use serde_json::{Value, json};

use super::parrot::{Ask, AskInputs, Parrot};
use crate::common::{process, worker_pids};

const PROGRAMS: &str = "dspex_fault_programs";
const CALLERS: usize = 8;
/// A worker keeps the 512 instances that it used last; so many new ones fill what two workers keep.
const NEW_INSTANCES_AT_FIRST: usize = 1536;
/// Memory is looked at so often.
const SAMPLE_EVERY: Duration = Duration::from_secs(3);

/// What came of it.
pub struct Soaked {
    /// Calls of each kind.
    pub calls: BTreeMap<Kind, usize>,
    /// Megabytes of the host and of all its workers, over the calls that had been made by then; taken after all caches
    /// were filled.
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

/// Adds numbers.
#[dspex_tool]
async fn add(numbers: Vec<u64>) -> u64 {
    numbers.iter().sum()
}

/// Puts a pool of two workers under load for so long, after its caches were filled and it ran for half of that already.
pub async fn soak(duration: Duration) -> Result<Soaked> {
    let dspex = Dspex::builder()
        .workers(2)
        // So that whoever runs it may see how much memory they use.
        .worker_limits(WorkerLimits::new().debuggable(true))
        .lm(Lm::host(Parrot(Duration::from_millis(2))))
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

    try_join_all((0..CALLERS).map(async |caller| {
        for number in (caller..NEW_INSTANCES_AT_FIRST).step_by(CALLERS) {
            one(Kind::NewInstance, number, &dspex, &shared).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    let begun = Instant::now();
    let warm_up = duration / 2;
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
) -> Result<BTreeMap<Kind, usize>> {
    let mut calls = BTreeMap::new();
    for (count, number) in (caller..).step_by(CALLERS).enumerate() {
        if Instant::now() >= end {
            break;
        }
        let kind = Kind::RARE.get((count + caller) % 16).copied().unwrap_or(Kind::Predict);
        one(kind, number, &dspex, &shared).await?;
        *calls.entry(kind).or_default() += 1;
        shared.calls.fetch_add(1, Ordering::Relaxed);
    }
    Ok(calls)
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    NewInstance,
    TemporarySession,
    RustTool,
    StreamLeftEarly,
    Exception,
    Cancelled,
    Large,
    Thread,
    Predict,
}

impl Kind {
    /// One of sixteen calls is of each of these kinds; all others are of [`Kind::Predict`].
    const RARE: [Kind; 8] = [
        Kind::NewInstance,
        Kind::TemporarySession,
        Kind::RustTool,
        Kind::StreamLeftEarly,
        Kind::Exception,
        Kind::Cancelled,
        Kind::Large,
        Kind::Thread,
    ];
}

/// One call; no other has its number.
async fn one(kind: Kind, number: usize, dspex: &Dspex, shared: &Shared) -> Result<()> {
    let (module, session) = (&shared.module, &shared.session);
    let run = async |session: &Session, program: &str, arguments: Value| {
        session.dspy().call(&format!("{PROGRAMS}.{program}"), &json!([]), &arguments).await
    };
    let question = format!("number {number}");
    let asked = AskInputs { question: question.clone() };
    match kind {
        Kind::NewInstance => {
            // What is sent once and kept by its hash: every one of these is new, and replaces the oldest of those that are kept.
            let spec = InstanceSpec::new("dspy.Predict")
                .signature(json!({"text": "question -> answer"}))
                .arg("seed", number);
            let instance = session.dspy().create_instance(spec).await?;
            let answer =
                session.dspy().call_instance_method(&instance, "", &json!({"question": question})).await?;
            ensure!(answer["answer"] == question, "{answer}");
        }
        Kind::TemporarySession => {
            let temporary = dspex.session();
            temporary.variables().create("count", VarSpec::integer(), number as i64).await?;
            let read = run(&temporary, "read_variable", json!({"name": "count"})).await?;
            ensure!(read == json!(number), "{read}");
        }
        Kind::RustTool => {
            let sum = run(session, "use_tool", json!({"name": "add", "arguments": {"numbers": [number, 1]}}))
                .await?;
            ensure!(sum == json!(number + 1), "{sum}");
        }
        Kind::StreamLeftEarly => {
            let stream = session.tools().stream("large_items", json!({"count": 20}))?;
            let read = std::pin::pin!(stream).take(3).count().await;
            ensure!(read == 3, "{read} items");
        }
        Kind::Exception => {
            let failed = run(session, "fail", json!({"message": question})).await;
            ensure!(matches!(failed, Err(Error::Python(_))), "{failed:?}");
        }
        Kind::Cancelled => {
            let patience = Duration::from_micros(500 + number as u64 % 1500);
            let _ = tokio::time::timeout(patience, module.execute(asked)).await;
        }
        Kind::Large => {
            let text = "x".repeat(200_000 + number % 1000);
            let echoed = run(session, "echo", json!({"value": text})).await?;
            ensure!(echoed == json!(text), "another text came back");
        }
        Kind::Thread => {
            let slept = run(session, "sleep_in_thread", json!({"seconds": 0.002})).await?;
            ensure!(slept == "slept", "{slept}");
        }
        Kind::Predict => {
            let answer = module.execute(asked).await?.answer;
            ensure!(answer == question, "{answer} is no answer to {question}");
        }
    }
    Ok(())
}

/// How much memory of a process is resident.
fn megabytes(pid: u32) -> Result<f64> {
    Ok(process::rss(pid)? as f64 / 1e6)
}
