//! The thread that writes. It takes what waits, does all of it in one transaction, and answers after the commit: so many
//! writers share one wait for the disk, and the batches grow by themselves where the disk is slow.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::Doing;
use crate::store::StoreError;

/// So many writes wait before those who bring more have to wait as well.
const QUEUE: usize = 1024;
/// The most writes of one transaction.
const BATCH: usize = 512;

/// Does one write, or learns why there is no transaction for it. The answer is for after the commit.
type Job = Box<dyn FnOnce(&Transaction<'_>) -> Ack + Send>;
/// Answers whoever waits, with the error of the transaction if it has one.
type Ack = Box<dyn FnOnce(Option<&StoreError>) + Send>;

/// A transaction that several writes share.
struct Transaction<'a> {
    connection: &'a Connection,
    /// Why there is none, or no more: some errors, such as a full disk, make SQLite take all of it back.
    broken: RefCell<Option<StoreError>>,
}

impl<'a> Transaction<'a> {
    fn begin(connection: &'a Connection) -> Self {
        let begun = connection.execute_batch("BEGIN IMMEDIATE").doing("begin a transaction");
        Self { connection, broken: RefCell::new(begun.err()) }
    }

    /// Why nothing can be written, for one more write.
    fn failure(&self) -> Option<StoreError> {
        self.broken.borrow().as_ref().map(again)
    }

    /// Runs a write so that its failure takes back what it did: alone if it has a savepoint, else with all of the transaction.
    fn run<T>(
        &self,
        undo: Undo,
        write: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        let outcome = match undo {
            Undo::Savepoint => savepoint(self.connection, write),
            Undo::Transaction => {
                let before = self.connection.total_changes();
                let outcome = contained(self.connection, write);
                if outcome.is_err()
                    && self.connection.total_changes() != before
                    && !self.connection.is_autocommit()
                {
                    execute(self.connection, "ROLLBACK").doing("take a transaction back")?;
                }
                outcome
            }
        };
        if let Err(error) = &outcome
            && self.connection.is_autocommit()
        {
            *self.broken.borrow_mut() = Some(again(error));
        }
        outcome
    }

    /// Ends it; why it failed, if it did.
    fn commit(self) -> Option<StoreError> {
        let failure = self.broken.into_inner();
        if failure.is_some() {
            return failure;
        }
        let outcome = self.connection.execute_batch("COMMIT").doing("commit");
        if outcome.is_err() && !self.connection.is_autocommit() {
            // The next transaction has to be able to begin.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        outcome.err()
    }
}

/// What is taken back of a write that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// What it changed, and nothing else: for writes that may be refused when they have changed something.
    Savepoint,
    /// Nothing, if it changed nothing; else the transaction, with the writes beside it. A savepoint costs as much as the write
    /// itself, so this is for writes that are refused before they change anything, and after that only fail as the disk does.
    Transaction,
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on a connection. It ends when the writer is dropped and everything that waited is written.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("dspex-state".to_owned())
            .spawn(move || run(&connection, queue))
            .map_err(|source| StoreError::Unavailable { doing: "start its thread", source: source.into() })?;
        Ok(Self { jobs, thread: Some(thread) })
    }

    /// Does a write, alone or with others in a transaction; if it fails, nothing of it is left. `after` runs once it is
    /// written, before the answer.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        undo: Undo,
        write: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let outcome = transaction.run(undo, write);
            Box::new(move |failure| {
                let outcome = match (outcome, failure) {
                    (Ok(_), Some(failure)) => Err(again(failure)),
                    (outcome, _) => outcome,
                };
                if let Ok(value) = &outcome {
                    after(value);
                }
                // Whoever asked may have gone.
                let _ = answer.send(outcome);
            })
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends when nobody can send any more.
        let (closed, _) = mpsc::channel(1);
        self.jobs = closed;
        // The last to hold the store may be a write that nobody waits for: then it goes here, on the thread itself.
        let other = |thread: &JoinHandle<()>| thread.thread().id() != std::thread::current().id();
        if let Some(thread) = self.thread.take().filter(other) {
            // It has said what it had to say; a panic in it was answered as `Closed`.
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    // Nothing is written outside a transaction.
    while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
        let transaction = Transaction::begin(connection);
        let writes = jobs.len();
        let acks: Vec<Ack> = jobs.drain(..).map(|job| job(&transaction)).collect();
        let failure = transaction.commit();
        if let Some(error) = &failure {
            tracing::error!(%error, "the store cannot write");
        }
        tracing::trace!(writes, "a transaction");
        acks.into_iter().for_each(|ack| ack(failure.as_ref()));
    }
}

/// Runs a write between savepoints.
fn savepoint<T>(
    connection: &Connection,
    write: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    execute(connection, "SAVEPOINT one").doing("begin a write")?;
    let outcome = contained(connection, write);
    if outcome.is_err() && !connection.is_autocommit() {
        execute(connection, "ROLLBACK TO one").doing("take a write back")?;
    }
    if !connection.is_autocommit() {
        execute(connection, "RELEASE one").doing("end a write")?;
    }
    outcome
}

fn contained<T>(
    connection: &Connection,
    write: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(|| write(connection)))
        .unwrap_or_else(|_| Err(StoreError::Unavailable { doing: "write", source: "it panicked".into() }))
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// The failure of a transaction, once more for each of its writes.
fn again(failure: &StoreError) -> StoreError {
    match failure {
        StoreError::Full => StoreError::Full,
        StoreError::Corrupt { path, reason } => {
            StoreError::Corrupt { path: path.clone(), reason: reason.clone() }
        }
        other => StoreError::Unavailable { doing: "commit", source: other.to_string().into() },
    }
}
