//! Unpacks the worker's Python sources, which the crate carries, to where an interpreter can run them.

use std::fs;
use std::path::{Path, PathBuf};

use super::child;
use super::config::EnvConfig;
use super::error::EnvError;
use super::files::{BuildLock, Fingerprint, Staging};
use super::python::PythonVersion;

// `SOURCES: &[(&str, &[u8])]`, each file of the worker by its path below `worker_dir`; written by build.rs.
include!(concat!(env!("OUT_DIR"), "/worker_sources.rs"));

/// The script that starts a zygote or a worker.
pub(super) const ENTRY: &str = "run.py";

/// The directory with the unpacked sources; unpacks them first if they are not there.
///
/// Its name follows from the sources and the Python version, so programs built with different versions of dspex do not
/// get in each other's way, and neither do interpreters with different bytecode.
pub(super) fn unpack(
    config: &EnvConfig,
    root: &Path,
    python: &Path,
    version: PythonVersion,
) -> Result<PathBuf, EnvError> {
    let place = root.join("worker").join(fingerprint(version));
    if complete(&place) {
        return Ok(place);
    }
    let lock_file = place.with_extension("lock");
    let _lock = BuildLock::take(&lock_file, || {
        tracing::info!(target: "dspex::env", "another process is unpacking the worker");
    })?;
    if complete(&place) {
        return Ok(place);
    }
    let staging = Staging::beside(&place)?;
    for (name, content) in SOURCES {
        let file = staging.path().join(name);
        if let Some(dir) = file.parent() {
            super::files::create_dir(dir)?;
        }
        fs::write(&file, content).map_err(EnvError::io("write", &file))?;
    }
    compile(config, python, staging.path());
    staging.publish()?;
    Ok(place)
}

fn fingerprint(version: PythonVersion) -> String {
    let mut print = Fingerprint::new("worker");
    for (name, content) in SOURCES {
        print.add(name.as_bytes());
        print.add(content);
    }
    print.add(format!("{}.{}", version.0, version.1).as_bytes());
    print.finish()
}

/// Whether every file is there; something that tidies caches may have removed some.
fn complete(place: &Path) -> bool {
    SOURCES.iter().all(|(name, content)| {
        fs::metadata(place.join(name)).is_ok_and(|meta| meta.len() == content.len() as u64)
    })
}

/// Bytecode saves start time. These files never change, so Python need not compare it with them at each import.
fn compile(config: &EnvConfig, python: &Path, dir: &Path) {
    let mut command = child::command(python, &config.vars);
    command.args(["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]).arg(dir);
    match child::run(&mut command, |_| {}) {
        Ok(outcome) if outcome.status.success() => {}
        Ok(outcome) => {
            tracing::warn!(target: "dspex::env", output = outcome.tail, "the worker's bytecode was not compiled");
        }
        Err(error) => tracing::warn!(target: "dspex::env", %error, "the worker's bytecode was not compiled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_carries_the_worker_and_nothing_else() {
        let names: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&ENTRY) && names.contains(&"dspex_worker/__init__.py"), "{names:?}");
        for name in names {
            assert!(name == ENTRY || name.starts_with("dspex_worker/"), "{name}");
            assert!(!name.contains("__pycache__") && !name.contains('\\'), "{name}");
        }
    }

    #[test]
    fn another_python_version_gets_a_directory_of_its_own() {
        assert_eq!(fingerprint(PythonVersion(3, 11, 7)), fingerprint(PythonVersion(3, 11, 9)));
        assert_ne!(fingerprint(PythonVersion(3, 11, 7)), fingerprint(PythonVersion(3, 12, 1)));
    }
}
