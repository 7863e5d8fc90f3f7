//! Everything that a call can end with, besides its answer.

use std::time::Duration;

use dspex_state::VariableError;
use dspex_state::store::StoreError;
use serde_json::{Map, Value};

use crate::lm::LmError;
use crate::pool::env::EnvError;
use crate::pool::{PoolError, WorkerEnd};
use crate::tool::{ToolError, ToolSetError};
use crate::wire::WireError;

/// A result with dspex's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The Python environment could not be provided.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The pool could not serve; nothing of the call ran.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The language model failed; the same tree as DSPy's `LMError`.
    #[error(transparent)]
    Lm(#[from] LmError),
    /// Inputs are missing, unknown or of a wrong type. Nothing was sent to a model.
    #[error("invalid inputs for `{target}`: {problems}")]
    InvalidInput {
        /// The class or function.
        target: String,
        /// What is wrong with which field.
        problems: Problems,
    },
    /// The model's answer does not fit the signature.
    #[error("the model's answer does not fit the signature of `{target}`: {problems}")]
    InvalidOutput {
        /// The class.
        target: String,
        /// What is wrong with which field.
        problems: Problems,
        /// What the model said, where it is known.
        lm_response: Option<String>,
    },
    /// Python raised.
    #[error(transparent)]
    Python(Box<PyError>),
    /// No such class, function or method.
    #[error("{0}")]
    NotFound(String),
    /// A path outside DSPy's public API and the modules that were named.
    #[error("{0}")]
    NotAllowed(String),
    /// The deadline passed. Where the call ran already, it was cancelled in Python.
    #[error("the deadline of {after:?} passed {phase}")]
    DeadlineExceeded {
        /// The deadline.
        after: Duration,
        /// Where the call was.
        phase: Phase,
    },
    /// The call was cancelled: by its session's end, the pool's, or the worker.
    #[error("the call was cancelled: {0}")]
    Cancelled(String),
    /// The worker was lost while it ran the call, so nobody knows how far it came. Calls marked as
    /// [idempotent](crate::Run::idempotent) are tried again instead.
    #[error(
        "the worker was lost while it ran the call: {end}; whether the call took effect is unknown; mark the call as idempotent to have it tried again"
    )]
    OutcomeUnknown {
        /// How the worker ended.
        end: WorkerEnd,
    },
    /// The request ended the workers that ran it, twice in a row and with no other suspect there, so it is refused for a while. The same
    /// request with other inputs is not.
    #[error(
        "the call of `{target}` ended {workers} workers that ran it, the last one: {end}; it is refused for another {remains:.0?}, to \
         spare all other calls; look for what its inputs set off in C code or memory"
    )]
    PoisonCall {
        /// The class or function.
        target: String,
        /// How many workers.
        workers: u32,
        /// How the last one ended.
        end: WorkerEnd,
        /// How long the request will still be refused.
        remains: Duration,
    },
    /// The language model failed too often, so that its [circuit breaker](crate::CircuitBreaker) is open: it was not asked.
    #[error(
        "the language model `{model}` failed too often and is not asked for another {retry_after:.1?}; it failed last with: {last}"
    )]
    ModelUnavailable {
        /// The model's name.
        model: String,
        /// After how long a call may ask it again.
        retry_after: Duration,
        /// The model's last error.
        last: String,
    },
    /// A message over the limit of the pool.
    #[error("{what} of {size} bytes is over the limit of {limit} bytes; raise `max_message_bytes`")]
    TooLarge {
        /// Which message.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The code was compiled against another `dspy` than the workers run.
    #[error(
        "`{class}` differs between the schema that this program was compiled with and {}",
        if class.starts_with("dspy.") {
            format!(
                "DSPy {dspy_version} in the worker; rebuild with the schema of that version, or install the locked one"
            )
        } else {
            "the worker's modules; run `schema-gen dump` again and rebuild, or give the worker the modules of then".to_owned()
        }
    )]
    SchemaMismatch {
        /// The class.
        class: String,
        /// The version that the worker runs.
        dspy_version: String,
    },
    /// A Rust value could not be sent, or an answer could not be read as the type that was asked for.
    #[error("{what}: {problem}")]
    Wire {
        /// Which value.
        what: String,
        /// Why.
        problem: WireError,
    },
    /// A type's JSON Schema cannot serve as a field of a signature.
    #[error("`{module}` cannot be a DSPy module: {problem}")]
    Schema {
        /// The module's struct.
        module: String,
        /// Why.
        problem: String,
    },
    /// The transform of a module refused its outputs.
    #[error("the transform of `{module}` refused the outputs: {source}")]
    Transform {
        /// The module's struct.
        module: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No pool of this name.
    #[error(
        "there is no pool `{pool}`; there are {}; others are made with `Dspex::builder().pool(..)`", pools.join(", ")
    )]
    PoolNotFound {
        /// The name.
        pool: String,
        /// The pools that there are.
        pools: Vec<String>,
    },
    /// No session with this id.
    #[error("there is no session `{0}`; it was never created, or it expired or was deleted")]
    SessionNotFound(String),
    /// A session with this id exists.
    #[error("a session `{0}` exists already; `sessions().get` reaches it, and `get_or_create` either")]
    SessionExists(String),
    /// No instance of this name in the session.
    #[error("the session keeps no instance `{0}`; `Instance::keep` gives one its name")]
    InstanceNotFound(String),
    /// An instance with a closure of the program cannot be kept.
    #[error(
        "an instance of `{class}` cannot be kept, since its `{function}` is a function of this program alone; keep the module that it \
         is made of, and make it again"
    )]
    NotKept {
        /// The class.
        class: String,
        /// The argument that is a reward, a metric or an embedder.
        function: String,
    },
    /// Text that cannot be the id of a session.
    #[error("{0:?} is no id of a session: it needs 1 to 256 characters, none of them a control character")]
    SessionName(String),
    /// A tool ended with an error.
    #[error("the tool `{tool}` failed: {error}")]
    Tool {
        /// The tool's name.
        tool: String,
        /// What it ended with.
        error: ToolError,
    },
    /// Tools cannot be together, or not be registered.
    #[error(transparent)]
    Tools(#[from] ToolSetError),
    /// The session has no tool of this name.
    #[error(
        "the session has no tool `{tool}`; {}",
        if registered.is_empty() {
            "none is registered: `session.tools().register(tools![..])`".to_owned()
        } else {
            format!("there are {}", registered.join(", "))
        }
    )]
    ToolNotFound {
        /// The name.
        tool: String,
        /// The tools that there are.
        registered: Vec<String>,
    },
    /// A tool called a module that called a tool, and so on, over and over.
    #[error(
        "calls within tools are nested more than {limit} deep; does a tool call the module that calls it?"
    )]
    TooDeep {
        /// How deep they may be.
        limit: u32,
    },
    /// A variable cannot steer what it was bound to.
    #[error("cannot bind a variable to an instance of `{class}`: {problem}")]
    Binding {
        /// The class.
        class: String,
        /// Why.
        problem: String,
    },
    /// The store of sessions and variables did not do what it was asked.
    #[error(transparent)]
    Store(StoreError),
    /// A variable could not be read or written.
    #[error(transparent)]
    Variable(VariableError),
    /// The two sides broke the protocol; a bug of dspex, or a worker of another version.
    #[error("the protocol was broken: {0}")]
    Protocol(String),
}

impl Error {
    /// Whether the same call may succeed later without any change, and running it again repeats nothing.
    ///
    /// A call that ran when its deadline passed or its worker was lost may have taken effect: whether to repeat it is
    /// for the caller to know.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Lm(error) => error.is_retryable(),
            Self::Tool { error, .. } => error.is_retryable(),
            Self::Pool(error) => matches!(error, PoolError::Saturated(_) | PoolError::Down(_)),
            Self::DeadlineExceeded { phase, .. } => *phase == Phase::Queued,
            Self::ModelUnavailable { .. } => true,
            _ => false,
        }
    }

    /// How long to wait before the same call is tried again, where that is known: from the provider, from the model's breaker, or from how
    /// fast a full queue moves.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Pool(PoolError::Saturated(load)) => load.retry_after,
            Self::PoisonCall { remains, .. } => Some(*remains),
            other => other.asks_to_come_again(),
        }
    }

    /// The time after which the language model may be asked again, as it said itself or as its breaker says.
    pub(crate) fn asks_to_come_again(&self) -> Option<Duration> {
        match self {
            Self::Lm(error) if error.is_retryable() => error.retry_after(),
            Self::ModelUnavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

impl From<VariableError> for Error {
    fn from(error: VariableError) -> Self {
        match error {
            VariableError::Store(error) => error.into(),
            other => Self::Variable(other),
        }
    }
}

/// As `Display`: what went wrong and what to do, also where `main` returns the error.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Where a call was when its deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It waited for a place at a worker; nothing of it ran.
    Queued,
    /// It ran in Python.
    Running,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queued => "while the call waited for a worker",
            Self::Running => "while the call ran",
        })
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The field, and the path within it: `person.age`.
    pub field: String,
    /// What is wrong, in words.
    pub problem: String,
    /// What would be right.
    #[serde(default)]
    pub expected: Option<String>,
}

/// All that is wrong with a call's inputs or outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, Problem { field, problem, expected }) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            if field.is_empty() {
                f.write_str(problem)?;
            } else {
                write!(f, "`{field}`: {problem}")?;
            }
            if let Some(expected) = expected {
                write!(f, " (expected {expected})")?;
            }
        }
        Ok(())
    }
}

/// A Python exception.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PyError {
    /// The qualified class: `dspy.utils.exceptions.AdapterParseError`.
    pub class: String,
    /// The qualified base classes, nearest first, without `object`.
    pub mro: Vec<String>,
    /// What `str(error)` says.
    pub message: String,
    /// The exception that this one was raised from.
    pub cause: Option<Box<PyError>>,
    /// Where it was raised, outermost first.
    pub frames: Vec<PyFrame>,
    /// What the exception carries, as far as JSON can hold it.
    pub attributes: Map<String, Value>,
}

impl PyError {
    /// Whether the exception is of this class or derived from it. The name may be qualified or not.
    ///
    /// ```
    /// # fn check(error: &dspex_runtime::PyError) -> bool {
    /// error.is_instance("ValueError") || error.is_instance("dspy.utils.exceptions.DSPyError")
    /// # }
    /// ```
    #[must_use]
    pub fn is_instance(&self, class: &str) -> bool {
        std::iter::once(&self.class)
            .chain(&self.mro)
            .any(|name| name == class || name.rsplit('.').next().is_some_and(|short| short == class))
    }
}

impl std::fmt::Display for PyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.class, self.message)?;
        if let Some(frame) = self.frames.last() {
            write!(f, " (in {}.{}, line {})", frame.module, frame.function, frame.line)?;
        }
        Ok(())
    }
}

impl std::error::Error for PyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// One line of a Python traceback.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[non_exhaustive]
pub struct PyFrame {
    /// The module's dotted name.
    pub module: String,
    /// The function.
    pub function: String,
    /// The line in the module's file.
    pub line: u32,
}
