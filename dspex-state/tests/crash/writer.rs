//! A process that writes to a durable store until it is killed, and says of each write that was answered what it was.

use std::future::Future;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use dspex_state::{
    InstanceRecord, Lifetime, NewSession, Quotas, SessionKey, SqliteStore, State, Tensor, VarSpec,
    VariableError, Variables,
};
use serde_json::{Map, json};
use tokio::task::JoinSet;

/// What stops a writer: the first answer that is no success.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T = ()> = Result<T, Failure>;

/// The session that outlives every process.
pub const KEPT: &str = "kept";
/// How long sessions with a fixed lifetime live.
pub const BRIEF: Duration = Duration::from_millis(5);
/// Tasks that each count in a variable of their own.
const COUNTERS: usize = 10;
/// Tasks that each count in two variables at once.
const PAIRS: usize = 3;
/// 200 KB of numbers, which is more than the store keeps in its pages.
const NUMBERS: usize = 50_000;

/// The file of a store.
pub fn file(directory: &Path) -> std::path::PathBuf {
    directory.join("state.db")
}

/// Opens the store and writes: 16 tasks, until one of them fails or the time is over, which tests use. `run` is for the names
/// of sessions, and another one for each process.
pub async fn write(directory: &Path, run: u64, time: Option<Duration>) -> Outcome {
    // Whatever has been printed on this line by others.
    say("\nbegun");
    let state = State::new(SqliteStore::open(file(directory))?);
    say("open");
    let found = state.store().session(KEPT).await?;
    let key = match found {
        Some(record) => record.session.key,
        None => create(&state, KEPT.to_owned(), Lifetime::Unlimited, false).await?,
    };
    let variables = state.variables(key);
    let mut tasks = JoinSet::new();
    for index in 0..COUNTERS {
        tasks.spawn(count(variables.clone(), format!("number-{index}")));
    }
    for index in 0..PAIRS {
        tasks.spawn(count_pairs(variables.clone(), format!("pair-{index}")));
    }
    tasks.spawn(write_tensors(variables));
    tasks.spawn(put_instances(state.clone(), key));
    tasks.spawn(make_sessions(state.clone(), run));
    let first = async {
        match tasks.join_next().await {
            Some(outcome) => outcome?,
            None => Ok(()),
        }
    };
    let outcome = match time {
        None => first.await,
        Some(time) => tokio::time::timeout(time, first).await.unwrap_or(Ok(())),
    };
    tasks.shutdown().await;
    state.store().close().await?;
    outcome
}

/// A line, whole and at once: whoever reads it knows that what it says had been answered.
pub fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    // Whoever reads may have gone, and kills this process then.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

async fn create(state: &State, id: String, lifetime: Lifetime, temporary: bool) -> Outcome<SessionKey> {
    let (metadata, settings, quotas) = (Map::new(), Map::new(), Quotas::default());
    let key = SessionKey::generate();
    let session = NewSession { key, id, lifetime, temporary, metadata, settings, quotas };
    Ok(state.store().create_session(session, None).await?.session.key)
}

/// The number that a variable has reached; 0 if it is not there.
async fn reached(variables: &Variables, name: &str) -> Outcome<i64> {
    match variables.read::<i64>(name).await {
        Ok(read) => Ok(read.value),
        Err(VariableError::NotFound { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

async fn count(variables: Variables, name: String) -> Outcome {
    let mut number = reached(&variables, &name).await?;
    if number == 0 {
        number = 1;
        variables.create(&name, VarSpec::integer(), number).await?;
    }
    loop {
        number += 1;
        let revision = variables.update(&name, number).await?;
        say(format_args!("set {name} {number} {revision}"));
    }
}

async fn count_pairs(variables: Variables, name: String) -> Outcome {
    let (left, right) = pair(&name);
    let mut number = reached(&variables, &left).await?;
    loop {
        number += 1;
        let batch = variables.batch();
        let batch = match number {
            1 => batch.create(&left, VarSpec::integer(), 1).create(&right, VarSpec::integer(), 1),
            _ => batch.update(&right, number).update(&left, number),
        };
        let committed = batch.commit().await?;
        say(format_args!("pair {name} {number} {}", committed.revision));
    }
}

/// The names of two variables that are always equal.
pub fn pair(name: &str) -> (String, String) {
    (format!("{name}-left"), format!("{name}-right"))
}

/// The name of the variable that has large values, all of whose numbers are the same.
pub const LARGE: &str = "tensor";

async fn write_tensors(variables: Variables) -> Outcome {
    let mut number = match variables.read::<Tensor>(LARGE).await {
        Ok(read) => read.value.as_slice::<f32>()?[0],
        Err(VariableError::NotFound { .. }) => {
            variables.create(LARGE, VarSpec::tensor(), Tensor::new([1], vec![0.0_f32])?).await?;
            0.0
        }
        Err(error) => return Err(error.into()),
    };
    loop {
        number += 1.0;
        let revision = variables.update(LARGE, Tensor::new([NUMBERS], vec![number; NUMBERS])?).await?;
        say(format_args!("tensor {LARGE} {number} {revision}"));
        // Now and then: the others are to write as well.
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

async fn put_instances(state: State, key: SessionKey) -> Outcome {
    let known = state.store().instances(key).await?;
    let numbers = known.iter().map(|instance| instance.spec.parse::<i64>());
    let mut number = numbers.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or(0);
    loop {
        number += 1;
        let instance = InstanceRecord {
            id: format!("instance-{}", number % 8),
            class: "dspy.Predict".to_owned(),
            fingerprint: None,
            spec: number.to_string(),
            bindings: json!({"temperature": number}),
        };
        let id = instance.id.clone();
        state.store().put_instance(key, instance).await?;
        say(format_args!("instance {id} {number} 0"));
    }
}

async fn make_sessions(state: State, run: u64) -> Outcome {
    for number in 1_u64.. {
        let id = |kind: &str| format!("{kind}-{run}-{number}");
        let made = id("made");
        let key = create(&state, made.clone(), Lifetime::Fixed(Duration::from_secs(3600)), false).await?;
        state.variables(key).create("x", VarSpec::string(), made.as_str()).await?;
        say(format_args!("made {made} 0 0"));
        // One of four stays.
        if number % 4 != 0 {
            say(format_args!("ending {made} 0 0"));
            state.store().delete_session(key).await?;
            say(format_args!("ended {made} 0 0"));
        }
        create(&state, id("brief"), Lifetime::Fixed(BRIEF), false).await?;
        say(format_args!("brief {} 0 0", id("brief")));
        create(&state, id("temporary"), Lifetime::Unlimited, true).await?;
        say(format_args!("temporary {} 0 0", id("temporary")));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Runs a writer on a runtime of its own.
pub fn run(writing: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(writing)
}
