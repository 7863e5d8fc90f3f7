//! What can go wrong below a call: the environment, the processes, the places.

use super::scheduler::Load;
use crate::error::PyFrame;

/// Why the pool cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The Python process could not be started at all.
    #[error("`{python}` could not be started: {error}; check the interpreter, or unset DSPEX_PYTHON")]
    Spawn {
        /// The interpreter.
        python: String,
        /// Why.
        error: std::io::Error,
    },
    /// Python started, and importing or warming DSPy or one of the named modules failed.
    #[error("the Python environment does not work: {class}: {message}{}", traceback(frames))]
    Import {
        /// The Python exception's class.
        class: String,
        /// Its message.
        message: String,
        /// Where it was raised, the innermost last; without those of dspex's own worker.
        frames: Vec<PyFrame>,
    },
    /// Python ended before it was ready.
    #[error("the Python process ended before it was ready; its last lines were:\n{last_lines}")]
    Died {
        /// What it wrote last.
        last_lines: String,
    },
    /// Python was not ready in time.
    #[error(
        "no worker was ready within {seconds} s; raise `start_timeout`, or look at the events of `dspex::python`"
    )]
    StartTimeout {
        /// The limit in seconds.
        seconds: u64,
    },
    /// All places are taken and the queue is full.
    #[error(
        "the pool is saturated: {} of {} places taken, {} of {} waiting{}; slow down, or raise `workers`, `in_flight_per_worker` or `queue_limit`",
        .0.in_flight, .0.capacity, .0.queued, .0.queue_limit,
        .0.retry_after.map(|wait| format!(", room for the next in about {wait:.1?}")).unwrap_or_default()
    )]
    Saturated(Load),
    /// An endpoint on another machine; the connection would not be encrypted.
    #[error(
        "the connection to {0} would not be encrypted, and keys and tokens travel on it; give the endpoint `tls`, use a tunnel to loopback, or `allow_unencrypted_endpoints` on a network that nobody else can read"
    )]
    Unencrypted(String),
    /// A pool beside the default one could not be started.
    #[error("the pool `{pool}` could not be started: {error}")]
    Named {
        /// Its name.
        pool: String,
        /// Why.
        error: Box<PoolError>,
    },
    /// What cannot be the name of a pool.
    #[error("{0:?} is no name of a pool: it needs one character at least, and no control characters")]
    Name(String),
    /// An endpoint that cannot be connected to as it was given.
    #[error("the endpoint {endpoint}: {problem}")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No worker runs, and none can be started.
    #[error("no worker can be started: {0}")]
    Down(String),
    /// The pool was shut down.
    #[error("the pool was shut down")]
    Closed,
    /// An operating system call failed.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: std::io::Error,
    },
}

impl PoolError {
    /// The same error, with the pool that it is about.
    pub(crate) fn named(pool: &str, error: Self) -> Self {
        Self::Named { pool: pool.to_owned(), error: Box::new(error) }
    }
}

/// The frames, one a line.
fn traceback(frames: &[PyFrame]) -> String {
    let line = |frame: &PyFrame| {
        format!("\n  at line {} of module `{}`, in `{}`", frame.line, frame.module, frame.function)
    };
    frames.iter().map(line).collect()
}
