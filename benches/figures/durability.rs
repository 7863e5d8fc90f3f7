//! How fast durable writes are, by what SQLite itself does with the same rows.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dspex_state::{SqliteStore, State, VarSpec, Variables};
use futures::future::try_join_all;
use rusqlite::{Connection, params};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context as Where, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::catalogue::{Figure, Goal, Measured};
use crate::stats::{median, quantile, spread};
use crate::variables::session;

/// What is measured here.
pub const FIGURES: &[Figure] = &[Figure {
    name: "durable_updates_ratio",
    unit: "x",
    goal: Goal::AtLeast(0.5),
    method: "10,000 updates of floats by 64 concurrent writers through `Variables::update` on a durable store, per second; \
             over what one connection of rusqlite does per second that writes the same rows (a change, its variable, its \
             session) into a file of the same tables with the same pragmas, in transactions of exactly the sizes that the \
             store had, and does nothing else: it looks for nothing, checks nothing and trims no log. By turns; median of \
             the ratios.",
}];

const UPDATES: usize = 10_000;
const WRITERS: usize = 64;
const ROUNDS: usize = 7;

/// Measures it.
pub async fn measure() -> Result<Vec<Measured>> {
    let sizes = Sizes::default();
    tracing_subscriber::registry()
        .with(sizes.clone().with_filter(Targets::new().with_target("dspex_state::sqlite", Level::TRACE)))
        .try_init()?;
    let (mut ours, mut theirs, mut ratios, mut grouped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir()?;
        let variables = prepared(&directory.path().join("ours.db")).await?;
        sizes.take();
        let rate = updates(&variables).await?;
        let sizes = sizes.take();
        ensure!(sizes.iter().sum::<usize>() == UPDATES, "the transactions have {sizes:?}");

        let path = directory.path().join("theirs.db");
        prepared(&path).await?.state().store().close().await?;
        let bare = bare(&path, &sizes)?;
        ours.push(rate);
        theirs.push(bare);
        ratios.push(rate / bare);
        grouped.push(UPDATES as f64 / sizes.len() as f64);
    }
    let details = format!(
        "{}; {:.0} updates per second over {:.0}, {:.0} to a transaction",
        spread(&ratios, 2),
        quantile(&ours, 0.5),
        quantile(&theirs, 0.5),
        median(&grouped),
    );
    Ok(vec![Measured { name: "durable_updates_ratio", value: median(&ratios), details }])
}

/// A durable store with a session that has a variable for each writer.
async fn prepared(path: &Path) -> Result<Variables> {
    let variables = session(&State::new(SqliteStore::open(path)?), "updated").await?;
    for writer in 0..WRITERS {
        variables.create(name(writer), VarSpec::float(), 0.0).await?;
    }
    Ok(variables)
}

fn name(writer: usize) -> String {
    format!("writer-{writer}")
}

/// Updates per second through dspex.
async fn updates(variables: &Variables) -> Result<f64> {
    let started = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let (variables, started) = (variables.clone(), started.clone());
        let write = async move {
            loop {
                let number = started.fetch_add(1, Ordering::Relaxed);
                if number >= UPDATES {
                    return anyhow::Ok(());
                }
                variables.update(name(writer), number as f64).await?;
            }
        };
        async { tokio::spawn(write).await? }
    });
    try_join_all(writers).await?;
    let taken = begun.elapsed();
    let revision = variables.revision().await?;
    ensure!(revision.0 == (UPDATES + WRITERS) as u64, "the session is at {revision}");
    Ok(UPDATES as f64 / taken.as_secs_f64())
}

/// Updates per second of SQLite itself, in transactions of these sizes.
fn bare(path: &Path, sizes: &[usize]) -> Result<f64> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 1000; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;
    let (key, at): (Vec<u8>, i64) =
        connection
            .query_row("SELECT key, created_at FROM session", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (kind, mut data): (String, Vec<u8>) =
        connection
            .query_row("SELECT type, data FROM change LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut change = connection.prepare(
        "INSERT INTO change (session, revision, place, name, kind, type, form, data, bytes, at, author, earlier_revision,
                             earlier_place)
         VALUES (?1, ?2, 0, ?3, 'updated', ?4, NULL, ?5, 8, ?6, NULL, ?7, 0)",
    )?;
    let mut variable = connection
        .prepare("UPDATE variable SET version = ?3, place = 0, bytes = 8 WHERE session = ?1 AND name = ?2")?;
    let mut session = connection.prepare(
        "UPDATE session SET revision = ?2, variables = ?3, bytes = ?4, log_bytes = ?5, log_changes = ?6 WHERE key = ?1",
    )?;
    let (mut begin, mut commit) = (connection.prepare("BEGIN IMMEDIATE")?, connection.prepare("COMMIT")?);
    let names: Vec<String> = (0..WRITERS).map(name).collect();
    let mut revision = WRITERS as i64;
    let begun = Instant::now();
    for size in sizes {
        begin.execute([])?;
        for _ in 0..*size {
            revision += 1;
            let name = names.get(revision as usize % WRITERS).context("there is no such writer")?;
            data.clear();
            data.extend((revision as f64).to_le_bytes());
            change.execute(params![key, revision, name, kind, data, at, revision - WRITERS as i64])?;
            ensure!(variable.execute(params![key, name, revision])? == 1, "there is no variable {name}");
            session.execute(params![
                key,
                revision,
                WRITERS as i64,
                8 * WRITERS as i64,
                8 * revision,
                revision
            ])?;
        }
        commit.execute([])?;
    }
    Ok(UPDATES as f64 / begun.elapsed().as_secs_f64())
}

/// How many writes each transaction of a store had, as the store tells those who trace it.
#[derive(Clone, Default)]
struct Sizes(Arc<Mutex<Vec<usize>>>);

impl Sizes {
    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Sizes {
    fn on_event(&self, event: &Event<'_>, _: Where<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Sizes {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "writes" {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(value as usize);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
