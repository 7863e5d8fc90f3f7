//! What a local worker may use of the system.

use serde_json::{Value, json};

/// What each local worker may use, set in the forked process before it serves. Kernel limits, which hold whatever code runs
/// in the worker.
///
/// Beside these, a worker always runs without the right to gain privileges (`NO_NEW_PRIVS`) and leaves no core dump, which
/// would hold keys.
///
/// ```
/// use dspex_runtime::WorkerLimits;
///
/// let limits = WorkerLimits::new().memory_bytes(2 << 30).open_files(1024);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerLimits {
    memory: Option<u64>,
    files: Option<u64>,
    processes: Option<u64>,
    debuggable: bool,
}

impl WorkerLimits {
    /// No limits but those that the host itself has.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The most private memory that a worker may allocate, in bytes (`RLIMIT_DATA`). Code that wants more gets a `MemoryError`,
    /// or ends the worker, which is told as [`WorkerEnd::OutOfMemory`](crate::WorkerEnd). A fresh worker has about 100 MB with the
    /// threads' stacks (8 MB each) that are reserved and hardly used, so set it well above what is needed: a safety net, whereas
    /// `recycle_above_bytes` replaces a worker that grows without harm to any call. Default: no limit.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// How many files, sockets included, a worker may have open (`RLIMIT_NOFILE`); at least 32. Code that wants more gets an
    /// `OSError`. Default: the host's own limit.
    #[must_use]
    pub fn open_files(mut self, files: u64) -> Self {
        self.files = Some(files.max(32));
        self
    }

    /// How many processes and threads **the user** may have, all programs together (`RLIMIT_NPROC`); the kernel knows no count
    /// per worker, and no limit for root. Default: the host's own limit.
    #[must_use]
    pub fn user_processes(mut self, processes: u64) -> Self {
        self.processes = Some(processes);
        self
    }

    /// Lets debuggers and profilers of the same user look into workers (`PR_SET_DUMPABLE`). Default: only root may, since keys are
    /// in their memory.
    #[must_use]
    pub fn debuggable(mut self, debuggable: bool) -> Self {
        self.debuggable = debuggable;
        self
    }

    /// The memory limit, in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// As the zygote reads it.
    pub(crate) fn to_json(self) -> Value {
        json!({
            "memory_bytes": self.memory,
            "open_files": self.files,
            "user_processes": self.processes,
            "debuggable": self.debuggable,
        })
    }
}
