//! Checks an interpreter that the user prepared: `DSPEX_PYTHON`.

use std::path::{Path, PathBuf};

use super::config::EnvConfig;
use super::error::{EnvError, ReadyProblem};
use super::install;
use super::python::Interpreter;
use super::requirements;

/// Makes sure that `python` runs, fits, and has the packages that a worker cannot start without.
///
/// Their versions are read from the package metadata: importing DSPy would take a second.
pub(super) fn check(python: &Path, config: &EnvConfig) -> Result<(PathBuf, Interpreter), EnvError> {
    let unusable = |problem| EnvError::ReadyPython { python: python.to_owned(), problem };
    let path = resolve(python, config).map_err(unusable)?;
    let pins = requirements::needed(&config.lock);
    let names: Vec<&str> = pins.iter().map(|pin| pin.name).collect();
    let found = Interpreter::probe(&path, &config.vars, &names)
        .map_err(|reason| unusable(ReadyProblem::DoesNotRun(reason)))?;
    if let Some(reason) = found.unsuitable() {
        return Err(unusable(ReadyProblem::Unsupported(reason)));
    }
    // A package may be pinned differently for different Pythons: any of its pins will do.
    let mut packages = Vec::new();
    for pin in &pins {
        let installed = found.packages.get(pin.name).cloned().flatten();
        let fits = pins
            .iter()
            .filter(|other| other.name == pin.name)
            .any(|other| installed.as_deref().is_some_and(|version| requirements::satisfies(other, version)));
        if !fits {
            let has = installed.map_or(String::new(), |version| format!(" (it has {version})"));
            packages.push(format!("{} {}{has}", pin.name, pin.version));
        }
    }
    if packages.is_empty() {
        return Ok((path, found));
    }
    // The user has no lock at hand: it is written out for the command to name.
    let lock = config.cache_root()?.join("requirements.lock");
    if let Some(dir) = lock.parent() {
        super::files::create_dir(dir)?;
    }
    std::fs::write(&lock, config.lock.as_bytes()).map_err(EnvError::io("write", &lock))?;
    let install = format!("{} -m pip install --require-hashes -r {}", path.display(), lock.display());
    Err(unusable(ReadyProblem::Packages { packages, install }))
}

/// A path as it is; a bare name is looked for on `PATH`, as a shell would.
fn resolve(python: &Path, config: &EnvConfig) -> Result<PathBuf, ReadyProblem> {
    let bare = python.components().count() == 1 && !python.is_absolute();
    let found = match python.to_str() {
        Some(name) if bare && !python.exists() => config.vars.on_path(name).into_iter().next(),
        _ => None,
    };
    let path = match found {
        Some(path) => path,
        None => std::path::absolute(python).map_err(|_| ReadyProblem::Missing)?,
    };
    if path.is_dir() {
        return Err(ReadyProblem::Directory { suggestion: install::python_of(&path) });
    }
    if path.exists() { Ok(path) } else { Err(ReadyProblem::Missing) }
}
