//! The Python environment: an interpreter with exactly the locked packages, and the worker's sources.
//!
//! [`Environment::provision`] finds one or builds it. A built environment is a virtual environment in a cache
//! directory, named by the hash of everything it depends on, so it is never changed, only replaced:
//!
//! ```text
//! ~/.cache/dspex/
//!   env/3f2a…/            bin/python, lib/…, requirements.lock, ready.json (written last)
//!   env/3f2a….lock        held while 3f2a… is built
//!   worker/9c41…/         run.py, dspex_worker/
//!   python/77d0….json     which interpreter a search found
//! ```
//!
//! A start with a complete environment reads a few small files and runs no Python at all. `DSPEX_PYTHON` names an
//! interpreter that has the packages already; then nothing is built.
//!
//! This module may not depend on the rest of the runtime: build tools use it without a pool.

mod child;
mod config;
mod error;
mod files;
mod install;
mod progress;
mod python;
mod ready;
mod requirements;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

pub use self::config::{EnvConfig, Installer, LOCK};
pub use self::error::{EnvError, InstallFailure, ReadyProblem, Unsuitable};
pub use self::progress::{Progress, ProgressEvent};
pub use self::python::{NEWEST_MINOR, OLDEST_MINOR, PythonVersion};

use self::files::{BuildLock, Fingerprint, Staging};
use self::install::{Build, Tool};
use self::progress::Reporter;
use self::python::Interpreter;

/// Goes up when environments are built differently, so that old ones are not taken for new ones.
const FORMAT: u32 = 1;
/// The marker of a complete environment.
const MARKER: &str = "ready.json";

/// An interpreter with the locked packages, and the worker's sources for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Environment {
    /// The interpreter to start workers with.
    pub python: PathBuf,
    /// The directory that holds `run.py` and the package `dspex_worker`.
    pub worker_dir: PathBuf,
    /// Whether dspex built this environment; `false` for an interpreter that the user named.
    pub provisioned: bool,
    /// Whether this very call built it.
    pub built: bool,
    /// The version of the interpreter.
    pub python_version: PythonVersion,
}

impl Environment {
    /// Finds the environment that `config` asks for, or builds it.
    ///
    /// Takes a few milliseconds where the environment is there, and blocks for up to minutes where it is not: async code
    /// calls it on a blocking thread. Several processes may call it at once: one builds, the others wait and share.
    ///
    /// # Errors
    ///
    /// [`EnvError`] tells what is missing and what to do about it. A failed build leaves nothing behind.
    pub fn provision(config: &EnvConfig) -> Result<Self, EnvError> {
        let root = config.cache_root()?;
        if let Some(python) = config.ready_python() {
            let (python, found) = ready::check(&python, config)?;
            let worker_dir = worker::unpack(config, &root, &python, found.version)?;
            return Ok(Self {
                python,
                worker_dir,
                provisioned: false,
                built: false,
                python_version: found.version,
            });
        }
        let base = python::find(&config.vars, &root, || install::find_uv(&config.vars).map(|(uv, _)| uv))?;
        let place = root.join("env").join(fingerprint(&config.lock, &base));
        let built = match complete(&place) {
            true => false,
            false => build(config, &base, &place)?,
        };
        let python = install::python_of(&place);
        let worker_dir = worker::unpack(config, &root, &python, base.version)?;
        Ok(Self { python, worker_dir, provisioned: true, built, python_version: base.version })
    }

    /// The script that a zygote or a worker is started with.
    pub fn entry(&self) -> PathBuf {
        self.worker_dir.join(worker::ENTRY)
    }
}

/// The versions of the packages that a worker cannot start without.
type Packages = BTreeMap<String, Option<String>>;

/// What a complete environment says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    python: PythonVersion,
    base: PathBuf,
    platform: String,
    installer: String,
    packages: Packages,
    seconds: f64,
}

/// The name of the environment for a lock and an interpreter.
fn fingerprint(lock: &str, base: &Interpreter) -> String {
    let mut print = Fingerprint::new("environment");
    print.add(&FORMAT.to_le_bytes());
    print.add(lock.as_bytes());
    print.add(base.implementation.as_bytes());
    print.add(base.version.to_string().as_bytes());
    print.add(base.executable.as_os_str().as_encoded_bytes());
    print.add(base.platform.as_bytes());
    print.finish()
}

/// Whether an environment was built to its end.
fn complete(place: &Path) -> bool {
    let marker =
        fs::read(place.join(MARKER)).ok().and_then(|json| serde_json::from_slice::<Marker>(&json).ok());
    // The link leads to the interpreter that the environment was made from: that may have been removed since.
    marker.is_some_and(|marker| marker.format == FORMAT) && install::python_of(place).exists()
}

/// Builds the environment unless another process did meanwhile; tells whether it built.
fn build(config: &EnvConfig, base: &Interpreter, place: &Path) -> Result<bool, EnvError> {
    let started = Instant::now();
    let mut report = Reporter::new(&config.progress, requirements::count(&config.lock));
    let _lock = BuildLock::take(&place.with_extension("lock"), || {
        report.step("another process is building the Python environment, waiting for it");
    })?;
    if complete(place) {
        return Ok(false);
    }
    let mut tool = Tool::pick(config);
    report.step(&format!(
        "building the Python environment in {} (once; CPython {}, {})",
        place.display(),
        base.version,
        tool.title()
    ));
    let mut staging = Staging::beside(place)?;
    match (Build { config, tool: &tool, base, dir: staging.path(), place }).run(&mut report) {
        // A network may be set up for pip alone: a mirror or certificates in its configuration, which uv does not read.
        Err(EnvError::InstallFailed { kind: InstallFailure::Network, output, .. })
            if config.installer == Installer::Auto && matches!(tool, Tool::Uv { .. }) =>
        {
            tracing::info!(target: "dspex::env", output, "uv could not reach the package index");
            report.step("uv could not reach the package index, trying pip");
            tool = Tool::Pip;
            drop(staging);
            staging = Staging::beside(place)?;
            Build { config, tool: &tool, base, dir: staging.path(), place }.run(&mut report)?;
        }
        result => result?,
    }
    let packages = verify(config, base, staging.path())?;
    flush(staging.path());
    let marker = Marker {
        format: FORMAT,
        python: base.version,
        base: base.executable.clone(),
        platform: base.platform.clone(),
        installer: tool.title(),
        packages,
        seconds: started.elapsed().as_secs_f64(),
    };
    files::write_json(&staging.path().join(MARKER), &marker)?;
    staging.publish()?;
    report.finish(&format!("the Python environment is ready after {:.0} s", started.elapsed().as_secs_f64()));
    Ok(true)
}

/// Runs the new interpreter once: what was installed is there, in the locked versions.
fn verify(config: &EnvConfig, base: &Interpreter, dir: &Path) -> Result<Packages, EnvError> {
    let names: Vec<&str> = requirements::needed(&config.lock).iter().map(|pin| pin.name).collect();
    let unusable = |output| EnvError::VenvFailed {
        python: base.executable.clone(),
        output,
        next_step:
            "the interpreter of the new environment does not see what was installed: try another Python by \
                    putting it first on PATH"
                .to_owned(),
    };
    let found = Interpreter::probe(&install::python_of(dir), &config.vars, &names).map_err(unusable)?;
    match found.packages.iter().find(|(_, version)| version.is_none()) {
        Some((name, _)) => Err(unusable(format!("{name} is not there"))),
        None => Ok(found.packages),
    }
}

/// Brings everything to the disk before the marker says that it is there: after a power cut there may not be a marker
/// beside empty files.
#[cfg(target_os = "linux")]
fn flush(dir: &Path) {
    let flushed = fs::File::open(dir).and_then(|dir| rustix::fs::syncfs(dir).map_err(Into::into));
    if let Err(error) = flushed {
        tracing::debug!(target: "dspex::env", %error, "the file system was not flushed");
    }
}

#[cfg(not(target_os = "linux"))]
fn flush(_dir: &Path) {}
