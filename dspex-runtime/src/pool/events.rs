//! What happens to the workers, as typed events: for metrics, for logs, and for the errors of calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::telemetry::PoolTelemetry;

/// Events that a listener may be behind before it misses some (and is told how many).
const KEPT_EVENTS: usize = 1024;

/// Something that happened to a pool's workers.
///
/// ```no_run
/// # async fn run(dspex: dspex_runtime::Dspex) {
/// use dspex_runtime::PoolChange;
/// use tokio::sync::broadcast::error::RecvError;
///
/// let mut events = dspex.pool_events();
/// loop {
///     match events.recv().await {
///         Ok(event) => {
///             if let PoolChange::Ended { end, .. } = &event.change {
///                 eprintln!("{event}: {}", end.cause());
///             }
///         }
///         Err(RecvError::Lagged(missed)) => eprintln!("{missed} events were missed"),
///         Err(RecvError::Closed) => break,
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolEvent {
    /// The pool's name.
    pub pool: Arc<str>,
    /// The worker that it happened to; `None` where it is the pool as a whole.
    pub worker: Option<WorkerId>,
    /// What happened.
    pub change: PoolChange,
}

/// One worker process of a pool, or the attempt to start one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WorkerId {
    /// The slot that it has, from 0 on.
    pub index: usize,
    /// Counts the workers that the slot had; unique within the slot.
    pub generation: u64,
}

impl WorkerId {
    pub(crate) fn new(index: usize, generation: u64) -> Self {
        Self { index, generation }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolChange {
    /// A worker is started.
    Starting,
    /// A worker takes calls.
    Ready {
        /// Its process id, on its own machine.
        pid: u32,
        /// From the request for it until it was ready.
        took: Duration,
    },
    /// A worker owes a sign of life: it gets no new calls until it answers.
    Suspected,
    /// A worker that was suspected answers again.
    Answers,
    /// A worker takes no new calls, and ends after those that it has.
    Draining {
        /// Why.
        why: Retirement,
    },
    /// A worker is gone.
    Ended {
        /// How it ended.
        end: WorkerEnd,
        /// From ready until its end; zero for one that was never ready.
        lived: Duration,
    },
    /// A worker failed too often: it is replaced after a while.
    BackingOff {
        /// How long.
        wait: Duration,
        /// Workers of its slot that did not start, or were lost, of late.
        failures: u32,
    },
    /// The zygote imported and warmed DSPy: workers can be forked.
    ZygoteWarm {
        /// How long it took.
        took: Duration,
    },
    /// The zygote is gone; workers that run go on, and a new zygote is started.
    ZygoteLost {
        /// What is known of it.
        reason: String,
    },
    /// Workers die faster than they should: replaced ever more slowly until one lives.
    Degraded {
        /// How the last one ended.
        cause: WorkerEnd,
    },
    /// A pool that was degraded has had no failure for as long as failures count.
    Recovered,
    /// The pool takes no new calls, and ends.
    ShuttingDown,
}

/// Why a worker is asked to end itself after its last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retirement {
    /// It ran as many calls as one worker may.
    Calls(u64),
    /// It lived as long as one may.
    Age(Duration),
    /// It uses more memory than one may, in bytes.
    Memory(u64),
    /// The pool is shut down.
    Shutdown,
}

impl fmt::Display for Retirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(calls) => write!(f, "it ran {calls} calls"),
            Self::Age(age) => write!(f, "it lived for {} s", age.as_secs()),
            Self::Memory(bytes) => write!(f, "it used {} MiB of memory", bytes >> 20),
            Self::Shutdown => f.write_str("the pool was shut down"),
        }
    }
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerEnd {
    /// A signal ended it that the pool did not send: a fault in C code, or somebody's `kill`.
    Signal(i32),
    /// It ended itself, with this code.
    Exit(i32),
    /// It was killed, or ended itself, for lack of memory.
    OutOfMemory {
        /// The signal that ended it, if one did.
        signal: Option<i32>,
        /// What says that it was memory.
        evidence: String,
    },
    /// The forked process could not set up DSPy. What the zygote cannot import ends the zygote: [`PoolChange::ZygoteLost`].
    ImportFailed(String),
    /// It did not start, or did not say Hello.
    NotStarted(String),
    /// It did not answer, and was killed.
    Unresponsive {
        /// For how long.
        silent: Duration,
        /// Whether it was stopped (SIGSTOP, a debugger) rather than busy.
        stopped: bool,
    },
    /// A cancelled call went on in Python for longer than `cancel_grace`, and it was killed. A worker that an operator started cannot be
    /// killed from here: it is left, and ends itself.
    IgnoredCancellation {
        /// How long the call was given.
        grace: Duration,
    },
    /// It sent what is no message, and was killed.
    Garbage(String),
    /// It was replaced by a fresh one, after its last call or its drain's deadline.
    Recycled(Retirement),
    /// The pool is shut down.
    Shutdown,
    /// The connection to it ended, and nothing more is known: an endpoint that went away, most often.
    Disconnected(String),
}

impl WorkerEnd {
    /// The cause as one word, the same for all ends of a kind: for labels of metrics.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Signal(_) => "signal",
            Self::Exit(_) => "exit",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::ImportFailed(_) => "import",
            Self::NotStarted(_) => "not_started",
            Self::Unresponsive { .. } => "unresponsive",
            Self::IgnoredCancellation { .. } => "ignored_cancellation",
            Self::Garbage(_) => "garbage",
            Self::Recycled(_) => "recycled",
            Self::Shutdown => "shutdown",
            Self::Disconnected(_) => "disconnected",
        }
    }

    /// Whether the pool ended it as planned, so that it counts as no failure.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        matches!(self, Self::Recycled(_) | Self::Shutdown)
    }

    /// Whether more may become known when the process itself is gone.
    pub(crate) fn is_vague(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

impl From<String> for WorkerEnd {
    fn from(reason: String) -> Self {
        Self::Disconnected(reason)
    }
}

impl fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(9) => f.write_str("it was killed by signal 9 (SIGKILL), which dspex did not send"),
            Self::Signal(number) => {
                write!(f, "it was ended by signal {number}")?;
                match signal_name(*number) {
                    "" => Ok(()),
                    name => write!(f, " ({name})"),
                }
            }
            Self::Exit(code) => write!(f, "it ended with exit code {code}"),
            Self::OutOfMemory { signal, evidence } => {
                match signal {
                    Some(number) => write!(f, "it was ended by signal {number}, ")?,
                    None => f.write_str("it ended, ")?,
                }
                write!(f, "perhaps out of memory: {evidence}")
            }
            Self::ImportFailed(reason) => write!(
                f,
                "Python could not import what it needs: {reason}; what worked in the zygote failed in a process forked from it, so let modules set up on first use, not on import, what cannot be forked"
            ),
            Self::NotStarted(reason) => write!(f, "it did not start: {reason}"),
            Self::Unresponsive { silent, stopped: true } => {
                write!(
                    f,
                    "it was stopped (SIGSTOP or a debugger) and silent for {silent:.1?}, so it was killed"
                )
            }
            Self::Unresponsive { silent, stopped: false } => write!(
                f,
                "it did not answer for {silent:.1?}, so it was killed; does code block its event loop, or hold the GIL?"
            ),
            Self::IgnoredCancellation { grace } => {
                write!(f, "a call ignored its cancellation for {grace:?}, so it was given up")
            }
            Self::Garbage(what) => write!(f, "it broke the protocol: {what}"),
            Self::Recycled(why) => write!(f, "it was replaced by a fresh one, since {why}"),
            Self::Shutdown => f.write_str("the pool was shut down"),
            Self::Disconnected(reason) => f.write_str(reason),
        }
    }
}

/// The name of a signal, for the ones that end processes.
fn signal_name(number: i32) -> &'static str {
    match number {
        2 => "SIGINT",
        4 => "SIGILL, an illegal instruction",
        6 => "SIGABRT: C code gave up",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV, a segmentation fault in C code",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ: a file over the limit",
        31 => "SIGSYS",
        _ => "",
    }
}

impl fmt::Display for PoolEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.worker {
            Some(WorkerId { index, generation }) => {
                write!(f, "worker {index} (generation {generation}) of pool `{}`: ", self.pool)?;
            }
            None => write!(f, "pool `{}`: ", self.pool)?,
        }
        match &self.change {
            PoolChange::Starting => f.write_str("starting"),
            PoolChange::Ready { pid, took } => write!(f, "ready after {took:.1?}, process {pid}"),
            PoolChange::Suspected => f.write_str("does not answer; it gets no calls"),
            PoolChange::Answers => f.write_str("answers again"),
            PoolChange::Draining { why } => write!(f, "draining, since {why}"),
            PoolChange::Ended { end, lived } => write!(f, "ended after {lived:.1?}: {end}"),
            PoolChange::BackingOff { wait, failures } => {
                write!(f, "replaced in {wait:.1?}, after {failures} failures")
            }
            PoolChange::ZygoteWarm { took } => write!(f, "the zygote is warm after {took:.1?}"),
            PoolChange::ZygoteLost { reason } => write!(f, "the zygote is gone: {reason}"),
            PoolChange::Degraded { cause } => write!(f, "workers die too often; the last one: {cause}"),
            PoolChange::Recovered => f.write_str("workers live again"),
            PoolChange::ShuttingDown => f.write_str("takes no new calls, and ends"),
        }
    }
}

/// The pool's side of its events.
#[derive(Clone, Debug)]
pub(crate) struct PoolEvents {
    /// Told of every event before all others are, so that it misses none.
    telemetry: Arc<PoolTelemetry>,
    sender: broadcast::Sender<PoolEvent>,
}

impl PoolEvents {
    /// Those of the pool of this name.
    pub(crate) fn new(pool: impl Into<Arc<str>>) -> Self {
        Self { telemetry: PoolTelemetry::new(pool.into()), sender: broadcast::Sender::new(KEPT_EVENTS) }
    }

    /// What is known and measured of the pool.
    pub(crate) fn telemetry(&self) -> &Arc<PoolTelemetry> {
        &self.telemetry
    }

    /// Those of another pool, for the same listeners.
    pub(crate) fn of(&self, pool: impl Into<Arc<str>>) -> Self {
        Self { telemetry: PoolTelemetry::new(pool.into()), sender: self.sender.clone() }
    }

    /// What happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<PoolEvent> {
        self.sender.subscribe()
    }

    /// Something happened to a worker.
    pub(crate) fn of_worker(&self, worker: WorkerId, change: PoolChange) {
        self.send(Some(worker), change);
    }

    /// Something happened to the pool.
    pub(crate) fn of_pool(&self, change: PoolChange) {
        self.send(None, change);
    }

    fn send(&self, worker: Option<WorkerId>, change: PoolChange) {
        let event = PoolEvent { pool: self.telemetry.pool.clone(), worker, change };
        self.telemetry.note(&event);
        // Nobody listens, most often.
        let _ = self.sender.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_says_in_words_what_is_known_and_no_more() {
        let killed = WorkerEnd::Signal(9).to_string();
        assert!(killed.contains("signal 9") && !killed.contains("memory"), "{killed}");
        let oom = WorkerEnd::OutOfMemory { signal: Some(9), evidence: "the kernel counted one".into() };
        assert!(oom.to_string().contains("perhaps out of memory: the kernel counted one"), "{oom}");
        assert!(WorkerEnd::Signal(11).to_string().contains("segmentation fault"));
    }

    #[tokio::test]
    async fn a_listener_that_is_behind_is_told_how_much_it_missed_and_goes_on() {
        let events = PoolEvents::new("main");
        events.of_pool(PoolChange::Recovered);
        let mut listener = events.subscribe();
        for _ in 0..KEPT_EVENTS + 5 {
            events.of_worker(WorkerId::new(0, 1), PoolChange::Starting);
        }
        assert_eq!(listener.recv().await, Err(broadcast::error::RecvError::Lagged(5)));
        assert_eq!(
            listener.recv().await.unwrap().to_string(),
            "worker 0 (generation 1) of pool `main`: starting"
        );
    }
}
