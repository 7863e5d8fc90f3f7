//! Finds the interpreter that an environment is built from.
//!
//! A candidate is judged by what it says about itself when it runs, never by its name: `python3` can be a shim of a
//! version manager, a Python 3.8, or PyPy. Because asking costs tens of milliseconds and often more behind a shim, the
//! answer is remembered in the cache for as long as the files that led to it stay the same.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::child;
use super::config::Vars;
use super::error::{EnvError, Unsuitable};
use super::files::{self, Fingerprint};

/// The oldest Python 3 minor version that the lock holds wheels for.
pub const OLDEST_MINOR: u32 = 10;
/// The newest Python 3 minor version that the lock holds wheels for.
pub const NEWEST_MINOR: u32 = 14;

/// The names that are tried, best first: what the user calls Python comes before particular versions.
const NAMES: &[&str] =
    &["python3", "python3.13", "python3.12", "python3.14", "python3.11", "python3.10", "python"];

/// Asks an interpreter about itself.
const PROBE: &str = include_str!("probe.py");
const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// The version of an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PythonVersion(
    /// Major, 3.
    pub u32,
    /// Minor, 10 to 14.
    pub u32,
    /// Patch.
    pub u32,
);

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What an interpreter says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Interpreter {
    pub(super) implementation: String,
    pub(super) version: PythonVersion,
    pub(super) prerelease: bool,
    pub(super) free_threaded: bool,
    /// The interpreter itself; for one in a virtual environment, the one that environment was made from.
    pub(super) executable: PathBuf,
    pub(super) platform: String,
    /// The versions of the packages that were asked for; `None` for a missing one.
    pub(super) packages: BTreeMap<String, Option<String>>,
}

impl Interpreter {
    /// Runs `python` and asks it about itself and about `packages`.
    ///
    /// It runs isolated, as the workers will: packages of `PYTHONPATH` and of the user's own site directory do not
    /// count.
    pub(super) fn probe(python: &Path, vars: &Vars, packages: &[&str]) -> Result<Self, String> {
        let mut command = child::command(python, vars);
        command.args(["-I", "-c", PROBE]).args(packages);
        let (status, output) = child::ask(&mut command, PROBE_LIMIT).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => format!("did not answer within {} s", PROBE_LIMIT.as_secs()),
            _ => format!("could not be started: {error}"),
        })?;
        let answer = output.lines().find_map(|line| serde_json::from_str::<Self>(line).ok());
        match answer {
            Some(mut found) => {
                // A link would hide that the interpreter behind it was replaced.
                found.executable = fs::canonicalize(&found.executable).unwrap_or(found.executable);
                Ok(found)
            }
            None => {
                let said = output.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing");
                Err(format!("does not answer as a Python 3 ({status}; it said: {said})"))
            }
        }
    }

    /// Why this interpreter cannot run dspex, if so.
    pub(super) fn unsuitable(&self) -> Option<String> {
        let Self { implementation, version, .. } = self;
        let fits = version.0 == 3 && (OLDEST_MINOR..=NEWEST_MINOR).contains(&version.1);
        match () {
            () if implementation != "CPython" => Some(format!("is {implementation} {version}")),
            () if !fits => Some(format!("is CPython {version}")),
            () if self.prerelease => Some(format!("is a pre-release of CPython {version}")),
            () if self.free_threaded => Some(format!("is a free-threaded build of CPython {version}")),
            () => None,
        }
    }
}

/// The interpreter to build an environment from: the first suitable one on `PATH`, else one that uv manages.
///
/// `uv` is the uv executable, if there is one that works.
pub(super) fn find(
    vars: &Vars,
    cache: &Path,
    uv: impl FnOnce() -> Option<PathBuf>,
) -> Result<Interpreter, EnvError> {
    let candidates = candidates(vars);
    let memory = Memory::of(vars, cache, &candidates);
    if let Some(interpreter) = memory.recall() {
        return Ok(interpreter);
    }
    let mut found = Vec::new();
    let mut try_one = |python: &Path| match Interpreter::probe(python, vars, &[]) {
        Ok(interpreter) => match interpreter.unsuitable() {
            None => Some(interpreter),
            Some(reason) => {
                found.push(Unsuitable { python: python.to_owned(), reason });
                None
            }
        },
        Err(reason) => {
            tracing::debug!(target: "dspex::env", python = %python.display(), reason, "passed over an interpreter");
            found.push(Unsuitable { python: python.to_owned(), reason });
            None
        }
    };
    if let Some(interpreter) = candidates.iter().find_map(|candidate| try_one(candidate)) {
        memory.keep(&interpreter);
        return Ok(interpreter);
    }
    let uv = uv();
    if let Some(interpreter) =
        uv.as_deref().and_then(|uv| managed_by_uv(uv, vars)).and_then(|python| try_one(&python))
    {
        return Ok(interpreter);
    }
    if found.is_empty() {
        Err(EnvError::NoPython { tried: NAMES.iter().map(ToString::to_string).collect(), uv: uv.is_some() })
    } else {
        Err(EnvError::UnsupportedPython { found })
    }
}

/// Every interpreter on `PATH`, best first, each file once.
fn candidates(vars: &Vars) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    let mut candidates = Vec::new();
    for candidate in NAMES.iter().flat_map(|name| vars.on_path(name)) {
        let real = fs::canonicalize(&candidate).unwrap_or_else(|_| candidate.clone());
        if !seen.contains(&real) {
            seen.push(real);
            candidates.push(candidate);
        }
    }
    candidates
}

/// An interpreter that uv installed earlier; uv may not download one now.
fn managed_by_uv(uv: &Path, vars: &Vars) -> Option<PathBuf> {
    let mut command = child::command(uv, vars);
    command.args(["python", "find", "--no-project", "--managed-python"]);
    command.arg(format!(">=3.{OLDEST_MINOR},<3.{}", NEWEST_MINOR + 1));
    let (status, output) = child::ask(&mut command, PROBE_LIMIT).ok()?;
    let path = PathBuf::from(output.lines().next()?.trim());
    (status.success() && path.is_absolute()).then_some(path)
}

/// The remembered outcome of a search.
struct Memory {
    file: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    interpreter: Interpreter,
    /// Of the interpreter's own file: it changes when Python is upgraded in place.
    modified: u128,
    size: u64,
}

impl Memory {
    /// The memory for exactly these candidates in their present state.
    fn of(vars: &Vars, cache: &Path, candidates: &[PathBuf]) -> Self {
        let mut print = Fingerprint::new("search");
        for candidate in candidates {
            let (modified, size) = state(candidate).unwrap_or_default();
            print.add(candidate.as_os_str().as_encoded_bytes());
            print.add(format!("{modified} {size}").as_bytes());
        }
        // A shim answers differently depending on these.
        for name in ["PYENV_VERSION", "PYENV_ROOT", "ASDF_PYTHON_VERSION", "MISE_PYTHON_VERSION"] {
            print.add(vars.get(name).unwrap_or_default().as_encoded_bytes());
        }
        Self { file: cache.join("python").join(format!("{}.json", print.finish())) }
    }

    fn recall(&self) -> Option<Interpreter> {
        let remembered: Remembered = serde_json::from_slice(&fs::read(&self.file).ok()?).ok()?;
        let same = state(&remembered.interpreter.executable) == Some((remembered.modified, remembered.size));
        same.then_some(remembered.interpreter)
    }

    /// Remembering is a convenience: a cache that cannot be written fails later, with a better message.
    fn keep(&self, interpreter: &Interpreter) {
        let Some((modified, size)) = state(&interpreter.executable) else { return };
        let remembered = Remembered { interpreter: interpreter.clone(), modified, size };
        if let Err(error) = files::write_json(&self.file, &remembered) {
            tracing::debug!(target: "dspex::env", %error, "could not remember the interpreter");
        }
    }
}

/// When a file was last modified (nanoseconds since 1970) and its size in bytes.
fn state(file: &Path) -> Option<(u128, u64)> {
    let meta = fs::metadata(file).ok()?;
    let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((modified.as_nanos(), meta.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(implementation: &str, version: PythonVersion) -> Interpreter {
        Interpreter {
            implementation: implementation.to_owned(),
            version,
            prerelease: false,
            free_threaded: false,
            executable: PathBuf::from("/usr/bin/python3"),
            platform: "linux-x86_64".to_owned(),
            packages: BTreeMap::new(),
        }
    }

    #[test]
    fn only_released_cpython_with_wheels_in_the_lock_is_suitable() {
        for minor in OLDEST_MINOR..=NEWEST_MINOR {
            assert_eq!(interpreter("CPython", PythonVersion(3, minor, 0)).unsuitable(), None);
        }
        let reason = |interpreter: Interpreter| interpreter.unsuitable().unwrap_or_default();
        assert_eq!(reason(interpreter("CPython", PythonVersion(3, 9, 18))), "is CPython 3.9.18");
        assert_eq!(reason(interpreter("CPython", PythonVersion(3, 15, 0))), "is CPython 3.15.0");
        assert_eq!(reason(interpreter("CPython", PythonVersion(2, 7, 18))), "is CPython 2.7.18");
        assert_eq!(reason(interpreter("PyPy", PythonVersion(3, 11, 9))), "is PyPy 3.11.9");
        let threaded = Interpreter { free_threaded: true, ..interpreter("CPython", PythonVersion(3, 14, 1)) };
        assert!(reason(threaded).contains("free-threaded"));
        let early = Interpreter { prerelease: true, ..interpreter("CPython", PythonVersion(3, 14, 0)) };
        assert!(reason(early).contains("pre-release"));
    }
}
