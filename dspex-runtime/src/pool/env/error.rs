//! What can go wrong while the Python environment is made ready, and what to do next.
//!
//! Every message names the thing that failed and the next step, because these are the first errors that a new user
//! of a program built on dspex may see, and that user need not know Python.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::python::{NEWEST_MINOR, OLDEST_MINOR};

/// The Python environment could not be made ready.
///
/// ```
/// use dspex_runtime::pool::env::{EnvConfig, EnvError, Environment};
///
/// // A search path without any Python on it.
/// let empty = tempfile::tempdir()?;
/// let config = EnvConfig::new().cache_dir(empty.path()).vars([("PATH", empty.path())]);
/// let error = Environment::provision(&config).unwrap_err();
/// assert!(matches!(error, EnvError::NoPython { .. }));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// No interpreter was found at all.
    #[error(
        "no Python was found (looked for {} on PATH); install Python 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}, for \
         example with `apt install python3 python3-venv`{}, or set DSPEX_PYTHON to an interpreter that has the \
         packages of dspex",
        tried.join(", "),
        if *uv { " or `uv python install 3.12`" } else { "" }
    )]
    NoPython {
        /// The names that were looked for.
        tried: Vec<String>,
        /// Whether uv is there, which could install a Python (dspex never downloads one by itself).
        uv: bool,
    },

    /// Interpreters were found, and none of them can be used.
    #[error(
        "no suitable Python was found: dspex needs CPython 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}, and there is {}; \
         install one of these beside it (it need not be the default), or set DSPEX_PYTHON to an interpreter that \
         has the packages of dspex",
        list(found)
    )]
    UnsupportedPython {
        /// Each interpreter that was found and why it cannot be used.
        found: Vec<Unsuitable>,
    },

    /// The interpreter that `DSPEX_PYTHON` (or [`EnvConfig::python`](super::EnvConfig::python)) names cannot be used.
    #[error("the interpreter {} (from DSPEX_PYTHON or the configuration) cannot be used: {problem}", python.display())]
    ReadyPython {
        /// The interpreter as it was named.
        python: PathBuf,
        /// What is wrong with it.
        problem: ReadyProblem,
    },

    /// The virtual environment could not be created.
    #[error("{} could not create a virtual environment; {next_step}{}", python.display(), tail(output))]
    VenvFailed {
        /// The interpreter that was asked to.
        python: PathBuf,
        /// The last lines of its output.
        output: String,
        /// What to do about it.
        next_step: String,
    },

    /// The locked packages could not be installed.
    #[error("{installer} could not install the Python packages: {kind}; {next_step}{}", tail(output))]
    InstallFailed {
        /// What the output says went wrong.
        kind: InstallFailure,
        /// Which installer ran: `uv` or `pip`.
        installer: String,
        /// The last lines of its output.
        output: String,
        /// What to do about it.
        next_step: String,
    },

    /// There is no place for the environment: neither `DSPEX_CACHE_DIR`, `XDG_CACHE_HOME` nor `HOME` is set.
    #[error(
        "no directory for the Python environment is known: set DSPEX_CACHE_DIR (or HOME) to a writable directory"
    )]
    NoCacheDir,

    /// A file operation of dspex itself failed.
    #[error("could not {action} {}: {source}{}", path.display(), io_next_step(source))]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl EnvError {
    /// For `map_err`: a failed file operation with its path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// An interpreter that was found and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsuitable {
    /// Where it was found.
    pub python: PathBuf,
    /// Why it cannot be used, such as `is CPython 3.8.18`.
    pub reason: String,
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.python.display(), self.reason)
    }
}

/// What is wrong with an interpreter that was named as ready for use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadyProblem {
    /// The path leads nowhere.
    #[error("there is no such file; name the interpreter itself, for example /path/to/venv/bin/python")]
    Missing,
    /// The path is a directory.
    #[error("it is a directory; name the interpreter in it, for example {}", suggestion.display())]
    Directory {
        /// Where an interpreter would be in this directory.
        suggestion: PathBuf,
    },
    /// It does not run as a Python interpreter.
    #[error(
        "it does not run as a Python interpreter: {0}; name a CPython 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}"
    )]
    DoesNotRun(String),
    /// It runs, and its version or implementation does not fit.
    #[error("it {0}, and dspex needs CPython 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}")]
    Unsupported(String),
    /// It lacks packages, or has them in another version.
    #[error(
        "it lacks {}; install the locked packages with `{install}`, or unset DSPEX_PYTHON and let dspex build an \
         environment of its own",
        packages.join(", ")
    )]
    Packages {
        /// Each missing package with its version, such as `dspy 3.4.1 (has 3.3.0)`.
        packages: Vec<String>,
        /// The command that installs them.
        install: String,
    },
}

/// What made an installation fail, as far as the installer's output tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstallFailure {
    /// The package index could not be reached.
    Network,
    /// The disk is full, or a quota is used up.
    Disk,
    /// A downloaded file is not the one that the lock describes.
    Hash,
    /// A locked package has no file for this interpreter and platform.
    Resolution,
    /// Anything else.
    Other,
}

impl fmt::Display for InstallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "the package index could not be reached",
            Self::Disk => "the disk is full",
            Self::Hash => "a downloaded file differs from the one that was locked",
            Self::Resolution => "a locked package has no file for this Python and platform",
            Self::Other => "the installer failed",
        })
    }
}

impl InstallFailure {
    /// Reads the kind of failure off an installer's output.
    ///
    /// The order matters: without a network pip ends on "No matching distribution found", and a full disk can show
    /// up as a failed download.
    pub(super) fn classify(output: &str) -> Self {
        const DISK: &[&str] = &[
            "no space left on device",
            "os error 28",
            "errno 28",
            "disk quota exceeded",
            "os error 122",
            "errno 122",
        ];
        const HASH: &[&str] = &["do not match the hashes", "hash mismatch"];
        const NETWORK: &[&str] = &[
            "connection refused",
            "connection reset",
            "connection timed out",
            "connecttimeout",
            "readtimeout",
            "read timed out",
            "operation timed out",
            "newconnectionerror",
            "max retries exceeded",
            "name resolution",
            "failed to lookup address",
            "dns error",
            "network is unreachable",
            "no route to host",
            "error sending request",
            "could not connect",
            "proxyerror",
            "sslerror",
            "certificate verify failed",
            "invalid peer certificate",
            "remotedisconnected",
            "network connectivity is disabled",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway",
        ];
        const RESOLUTION: &[&str] = &[
            "no matching distribution",
            "could not find a version",
            "no solution found",
            "unsatisfiable",
            "has no wheels",
            "no usable wheels",
            "not found in the package registry",
            "not a supported wheel",
            "no compatible",
        ];
        let output = output.to_lowercase();
        let has = |needles: &[&str]| needles.iter().any(|needle| output.contains(needle));
        match () {
            () if has(DISK) => Self::Disk,
            () if has(HASH) => Self::Hash,
            () if has(NETWORK) => Self::Network,
            () if has(RESOLUTION) => Self::Resolution,
            () => Self::Other,
        }
    }
}

fn list(found: &[Unsuitable]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The last lines of a child's output, set apart from the message.
fn tail(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!("\n--- last output ---\n{output}") }
}

fn io_next_step(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space there, or set DSPEX_CACHE_DIR to a directory on another disk"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; set DSPEX_CACHE_DIR to a directory that this user may write"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_recognised_from_the_words_of_either_installer() {
        for (output, kind) in [
            (
                "error: Failed to write to the client cache\n  Caused by: No space left on device (os error 28)",
                InstallFailure::Disk,
            ),
            (
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
                InstallFailure::Disk,
            ),
            (
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
                InstallFailure::Hash,
            ),
            (
                "  × Failed to download `six==1.17.0`\n  ╰─▶ Hash mismatch for `six==1.17.0`",
                InstallFailure::Hash,
            ),
            (
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\nERROR: No matching distribution found for six",
                InstallFailure::Network,
            ),
            (
                "error: Failed to fetch: `http://127.0.0.1:9/simple/six/`\n  Caused by: tcp connect error: Connection refused",
                InstallFailure::Network,
            ),
            ("ERROR: No matching distribution found for six==99.0", InstallFailure::Resolution),
            ("  × No solution found when resolving dependencies:", InstallFailure::Resolution),
            ("Segmentation fault", InstallFailure::Other),
        ] {
            assert_eq!(InstallFailure::classify(output), kind, "{output}");
        }
    }

    #[test]
    fn a_full_disk_under_our_own_files_says_where_to_go() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = EnvError::io("write", Path::new("/cache/ready.json"))(full).to_string();
        assert!(error.contains("/cache/ready.json") && error.contains("DSPEX_CACHE_DIR"), "{error}");
    }
}
