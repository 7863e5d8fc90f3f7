//! Writers that are killed at any moment. What was answered is there, whole, when the store is opened again.
//!
//! The processes are this same program, which runs one of its tests in them. The moments are random; `DSPEX_CRASH_SEED` draws
//! the same ones again, and the output tells the seed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

mod ledger;
mod victim;
mod writer;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use dspex_state::SqliteStore;
use dspex_state::store::StateStore;

use ledger::Ledger;
use victim::{Dice, Victim};

/// Where a process of ours is to write.
const DIRECTORY: &str = "DSPEX_CRASH_DIRECTORY";
/// Which process of its store it is.
const RUN: &str = "DSPEX_CRASH_RUN";
/// So many stores, so that each holds some amount of writes and some damage would show in a fresh one too.
const STORES: u64 = 4;
const KILLS_OF_EACH: u64 = 52;
const KILLS_WHILE_OPENING: u64 = 60;

fn dice(what: &str) -> Dice {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = std::env::var("DSPEX_CRASH_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    println!("{what}: DSPEX_CRASH_SEED={seed}");
    Dice(seed)
}

fn start(directory: &Path, run: u64) -> Victim {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "what_a_writer_says_is_there_when_it_stops_by_itself", "--nocapture"]);
    Victim::start(command.env(DIRECTORY, directory).env(RUN, run.to_string())).unwrap()
}

async fn assert_nothing_is_missing(ledger: &Ledger, directory: &Path, moment: &str) {
    let store =
        SqliteStore::open(writer::file(directory)).unwrap_or_else(|error| panic!("{moment}: {error}"));
    let missing = ledger.missing(&store).await.unwrap_or_else(|error| panic!("{moment}: {error}"));
    assert!(missing.is_empty(), "{moment}: {missing:#?}");
    store.close().await.unwrap();
}

/// Also what the processes run that are to be killed.
#[test]
fn what_a_writer_says_is_there_when_it_stops_by_itself() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let run = std::env::var(RUN).unwrap().parse().unwrap();
        return writer::run(writer::write(&PathBuf::from(directory), run, None)).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    writer::run(async {
        writer::write(directory.path(), 0, Some(Duration::from_millis(300))).await?;
        let store = SqliteStore::open(writer::file(directory.path()))?;
        let session = store.session(writer::KEPT).await?.expect("the session was made");
        assert!(session.revision.0 > 0 && session.variables > 0);
        Ok(())
    })
    .unwrap();
}

#[tokio::test]
async fn no_answered_write_is_lost_or_torn_when_its_process_is_killed() {
    let mut dice = dice("writing");
    let (mut kills, mut acknowledged) = (0, 0);
    for store in 0..STORES {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::default();
        for run in 0..KILLS_OF_EACH {
            let mut victim = start(directory.path(), run);
            // Half of them from the start of the process, so that some die while they open the store and recover its log.
            if dice.below(2) == 0 {
                assert!(victim.wait_for("open"), "store {store}, run {run}: it does not open");
            }
            let said = victim.kill_after(dice.millis(20, 150)).unwrap();
            kills += 1;
            said.iter().for_each(|line| ledger.note(line));
            tokio::time::sleep(writer::BRIEF).await;
            assert_nothing_is_missing(&ledger, directory.path(), &format!("store {store}, run {run}")).await;
        }
        acknowledged += ledger.acknowledged;
    }
    println!("{kills} kills, {acknowledged} acknowledged writes, none lost or torn");
    assert!(kills >= 200 && acknowledged > kills);
}

#[tokio::test]
async fn a_store_opens_whenever_its_making_was_interrupted() {
    let mut dice = dice("opening");
    let mut unfinished = 0;
    for run in 0..KILLS_WHILE_OPENING {
        let directory = tempfile::tempdir().unwrap();
        let mut victim = start(directory.path(), run);
        assert!(victim.wait_for("begun"));
        let said = victim.kill_after(dice.millis(0, 15)).unwrap();
        unfinished += u64::from(!said.iter().any(|line| line == "open"));
        let mut ledger = Ledger::default();
        said.iter().for_each(|line| ledger.note(line));
        tokio::time::sleep(writer::BRIEF).await;
        // Twice: the first opening finishes what was begun, and the second finds a store like any other.
        for moment in ["first", "second"] {
            assert_nothing_is_missing(&ledger, directory.path(), &format!("run {run}, {moment}")).await;
        }
    }
    println!("{KILLS_WHILE_OPENING} kills, {unfinished} of them before the store was open; all open again");
}
