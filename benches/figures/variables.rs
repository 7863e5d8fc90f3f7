//! What variables cost that are read, watched, and large.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dspex_state::{
    Event, Filter, Lifetime, NewSession, Quotas, SessionKey, SqliteStore, State, Tensor, VarSpec, Variables,
};
use futures::StreamExt;
use serde_json::Map;
use tokio::sync::mpsc;

use crate::catalogue::{Figure, Goal, Measured};
use crate::stats::{median, quantile, spread};

/// What is measured here.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "variable_read_us",
        unit: "us",
        goal: Goal::Below(10.0),
        method: "`Variables::read::<f64>`, one after the other, of the thousand floats of a session in turn, on an ephemeral \
                 store and on a durable one; from the call to the value. The median of the worse store.",
    },
    Figure {
        name: "watch_fanout_p99_ms",
        unit: "ms",
        goal: Goal::Below(5.0),
        method: "A hundred watches of one session, each polled by a task of its own, and one writer that sets a float once all \
                 of them have seen the write before, on an ephemeral store; from the start of the write to the event at each \
                 watch. The 99th percentile of all watches and writes.",
    },
    Figure {
        name: "tensor_roundtrip_ratio",
        unit: "x",
        goal: Goal::AtMost(5.0),
        method: "A tensor of 10 MB of float32 set by `Variables::update` and read back by `Variables::read` on an ephemeral \
                 store, over two copies of 10 MB between buffers that are warm, by turns. Median of the ratios.",
    },
];

const READS: usize = 50_000;
const VARIABLES: usize = 1000;
const WATCHES: usize = 100;
const WRITES: usize = 300;
const ROUNDS: usize = 31;
/// 10 MB of float32.
const NUMBERS: usize = 2_500_000;

/// Measures them.
pub async fn measure() -> Result<Vec<Measured>> {
    let directory = tempfile::tempdir()?;
    let ephemeral = State::new(SqliteStore::ephemeral()?);
    let durable = State::new(SqliteStore::open(directory.path().join("state.db"))?);
    let (one, other) = (reads(&ephemeral).await?, reads(&durable).await?);
    let described = |reads: &[f64]| format!("{:.2}, p99 {:.2}", median(reads), quantile(reads, 0.99));
    let read = Measured {
        name: "variable_read_us",
        value: median(&one).max(median(&other)),
        details: format!("ephemeral {}; durable {}", described(&one), described(&other)),
    };

    let seen = fanout(&ephemeral).await?;
    let watch = Measured {
        name: "watch_fanout_p99_ms",
        value: quantile(&seen, 0.99),
        details: format!("median {:.2}, at most {:.2}", median(&seen), quantile(&seen, 1.0)),
    };

    let (one, other) = (roundtrips(&ephemeral).await?, roundtrips(&durable).await?);
    let details = format!("{}; on a durable store, for comparison: {}", spread(&one, 2), spread(&other, 1));
    let tensor = Measured { name: "tensor_roundtrip_ratio", value: median(&one), details };
    Ok(vec![read, watch, tensor])
}

/// A session to measure in.
pub async fn session(state: &State, id: &str) -> Result<Variables> {
    let session = NewSession {
        key: SessionKey::generate(),
        id: id.to_owned(),
        lifetime: Lifetime::Unlimited,
        temporary: false,
        metadata: Map::new(),
        settings: Map::new(),
        quotas: Quotas::default(),
    };
    Ok(state.variables(state.store().create_session(session, None).await?.session.key))
}

/// How long each read takes, in microseconds.
async fn reads(state: &State) -> Result<Vec<f64>> {
    let variables = session(state, "reads").await?;
    let names: Vec<String> = (0..VARIABLES).map(|index| format!("variable-{index}")).collect();
    for name in &names {
        variables.create(name, VarSpec::float(), 0.5).await?;
    }
    let mut taken = Vec::with_capacity(READS);
    // On a worker of the runtime, where programs read.
    let reading = tokio::spawn(async move {
        for name in names.iter().cycle().take(READS) {
            let begun = Instant::now();
            let read = variables.read::<f64>(name).await?;
            taken.push(begun.elapsed().as_secs_f64() * 1e6);
            ensure!(read.value == 0.5, "read {}", read.value);
        }
        Ok(taken)
    });
    reading.await?
}

/// How long after its start each watch sees a write, in milliseconds.
async fn fanout(state: &State) -> Result<Vec<f64>> {
    let variables = session(state, "watched").await?;
    variables.create("x", VarSpec::float(), -1.0).await?;
    let (sender, mut events) = mpsc::unbounded_channel();
    for _ in 0..WATCHES {
        let mut watch = variables.watch(Filter::all()).await?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(event) = watch.next().await {
                let seen = Instant::now();
                if sender.send((event, seen)).is_err() {
                    break;
                }
            }
        });
    }
    let mut taken = Vec::with_capacity(WATCHES * WRITES);
    for number in 0..WRITES {
        let begun = Instant::now();
        let revision = variables.update("x", number as f64).await?;
        for _ in 0..WATCHES {
            let (event, seen) = events.recv().await.context("the watches ended")?;
            let is_this = matches!(event?, Event::Changed(change) if change.revision == revision);
            ensure!(is_this, "a watch saw something else");
            taken.push((seen - begun).as_secs_f64() * 1e3);
        }
    }
    Ok(taken)
}

/// How often longer than two copies it takes to write a large tensor and to read it.
async fn roundtrips(state: &State) -> Result<Vec<f64>> {
    let variables = session(state, "tensors").await?;
    variables.create("tensor", VarSpec::tensor(), Tensor::new([1], vec![0.0_f32])?).await?;
    let (from, mut to) = (vec![1.0_f32; NUMBERS], vec![2.0_f32; NUMBERS]);
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..2 {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
        }
        let copied = begun.elapsed();

        let tensor = Tensor::new([NUMBERS], vec![round as f32; NUMBERS])?;
        let begun = Instant::now();
        variables.update("tensor", tensor).await?;
        let read = variables.read::<Tensor>("tensor").await?.value;
        let taken = begun.elapsed();
        let numbers = read.as_slice::<f32>()?;
        let is_this = numbers.len() == NUMBERS && numbers.iter().all(|number| *number == round as f32);
        ensure!(is_this, "another tensor came back");
        ratios.push(taken.as_secs_f64() / copied.as_secs_f64());
    }
    Ok(ratios)
}
