//! What is left when a process that writes is killed, and how soon it is there again.

// The same writers and the same look as in the crash test.
#[path = "../../dspex-state/tests/crash/ledger.rs"]
mod ledger;
#[path = "../../dspex-state/tests/crash/victim.rs"]
mod victim;
#[path = "../../dspex-state/tests/crash/writer.rs"]
mod writer;

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};
use dspex_state::store::StateStore;
use dspex_state::{SqliteStore, State, VarSpec, Variables};
use futures::future::try_join_all;

use crate::catalogue::{Figure, Goal, Measured};
use crate::stats::{median, spread};
use crate::variables::session;
use ledger::Ledger;
use victim::{Dice, Victim};

/// What is measured here.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "crash_recovery_ms",
        unit: "ms",
        goal: Goal::Below(200.0),
        method: "A process with a durable store of 100,000 variables, which 16 tasks of it update, is killed with SIGKILL at a \
                 random moment; from the opening of the file to the answer of the first read. Median over kills.",
    },
    Figure {
        name: "acknowledged_writes_lost",
        unit: "",
        goal: Goal::AtMost(0.0),
        method: "Processes that write to durable stores by 16 tasks (single updates, batches, tensors of 200 KB, instances, \
                 sessions) are killed with SIGKILL at random moments, over two hundred in turn; how much of what they had \
                 said was answered is not there or is torn when the store is opened again, and how much damage its own \
                 look finds.",
    },
];

const ROUNDS: usize = 15;
const VARIABLES: usize = 100_000;
const STORES: u64 = 4;
const KILLS_OF_EACH: u64 = 52;
/// What this program is to be instead, with a directory and a number.
const WRITE: &str = "--be-a-writer";
const FILL: &str = "--be-a-writer-of-many";

/// If this process is one that is to be killed: what it came to, should nobody do so.
pub fn victim(arguments: &[String]) -> Option<Result<()>> {
    let [what, directory, run] = arguments else { return None };
    let (directory, run) = (Path::new(directory), run.parse().ok()?);
    let writing = match what.as_str() {
        WRITE => writer::run(writer::write(directory, run, None)),
        FILL => writer::run(async { fill(directory).await.map_err(Into::into) }),
        _ => return None,
    };
    Some(writing.map_err(|error| anyhow!(error)))
}

fn start(what: &str, directory: &Path, run: u64) -> Result<Victim> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(Victim::start(command.arg(what).arg(directory).arg(run.to_string()))?)
}

/// Measures them.
pub async fn measure() -> Result<Vec<Measured>> {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as u64;
    let mut dice = Dice(seed);
    Ok(vec![recovery(&mut dice).await?, losses(&mut dice).await?])
}

async fn recovery(dice: &mut Dice) -> Result<Measured> {
    let directory = tempfile::tempdir()?;
    let path = writer::file(directory.path());
    let mut rounds = Vec::new();
    for run in 0..ROUNDS {
        let mut victim = start(FILL, directory.path(), run as u64)?;
        ensure!(victim.wait_for("filled"), "the writer ended by itself");
        victim.kill_after(dice.millis(100, 300))?;

        let begun = Instant::now();
        let store = SqliteStore::open(&path)?;
        let kept = store.session(writer::KEPT).await?.context("the session is gone")?;
        let variables = State::new(store.clone()).variables(kept.session.key);
        variables.read::<i64>(&name(VARIABLES / 2)).await?;
        rounds.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(kept.variables == VARIABLES as u64, "the session has {} variables", kept.variables);
        store.close().await?;
    }
    Ok(Measured { name: "crash_recovery_ms", value: median(&rounds), details: spread(&rounds, 1) })
}

fn name(index: usize) -> String {
    format!("variable-{index}")
}

/// Makes many variables where they are not there yet, and updates them until the end.
async fn fill(directory: &Path) -> Result<()> {
    let state = State::new(SqliteStore::open(writer::file(directory))?);
    let variables = match state.store().session(writer::KEPT).await? {
        Some(found) => state.variables(found.session.key),
        None => {
            let variables = session(&state, writer::KEPT).await?;
            for first in (0..VARIABLES).step_by(1000) {
                let made = (first..first + 1000).fold(variables.batch(), |batch, index| {
                    batch.create(name(index), VarSpec::integer(), index as i64)
                });
                made.commit().await?;
            }
            variables
        }
    };
    writer::say("\nfilled");
    let tasks = (0..16).map(|task| {
        let update = update(variables.clone(), task);
        async { tokio::spawn(update).await? }
    });
    try_join_all(tasks).await.map(drop)
}

async fn update(variables: Variables, task: u64) -> Result<()> {
    let mut dice = Dice(task);
    loop {
        let index = dice.below(VARIABLES as u64) as usize;
        variables.update(name(index), index as i64).await?;
    }
}

async fn losses(dice: &mut Dice) -> Result<Measured> {
    let (mut kills, mut acknowledged, mut missing) = (0, 0, Vec::new());
    for _ in 0..STORES {
        let directory = tempfile::tempdir()?;
        let mut ledger = Ledger::default();
        for run in 0..KILLS_OF_EACH {
            let mut victim = start(WRITE, directory.path(), run)?;
            if dice.below(2) == 0 {
                ensure!(victim.wait_for("open"), "the store does not open");
            }
            let said = victim.kill_after(dice.millis(20, 150))?;
            kills += 1;
            said.iter().for_each(|line| ledger.note(line));
            tokio::time::sleep(writer::BRIEF).await;
            let store = SqliteStore::open(writer::file(directory.path()))?;
            missing.extend(ledger.missing(&store).await?);
            store.close().await?;
        }
        acknowledged += ledger.acknowledged;
    }
    let list = if missing.is_empty() { String::new() } else { format!(": {}", missing.join("; ")) };
    let details = format!("{kills} kills, {acknowledged} acknowledged writes{list}");
    Ok(Measured { name: "acknowledged_writes_lost", value: missing.len() as f64, details })
}
