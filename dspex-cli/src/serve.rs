//! `dspex serve`: the worker of an operator.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use dspex_runtime::pool::env::{EnvConfig, Environment};

/// What is for this command; the rest is the worker's.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The directory of Python environments (default: the user's cache).
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// A lock file of your own, as `pip` takes it, in the place of the embedded one.
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// What the worker is told, as in `dspex serve --listen unix:/run/dspex/worker.sock`; `dspex serve -- --help` tells
    /// all of it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    worker: Vec<OsString>,
}

/// Becomes the worker.
pub(crate) fn run(options: Options) -> Result<(), String> {
    let mut config = EnvConfig::new();
    if let Some(lock) = options.lock {
        let text = std::fs::read_to_string(&lock)
            .map_err(|error| format!("{} cannot be read: {error}", lock.display()))?;
        config = config.lock(text);
    }
    if let Some(cache) = options.cache {
        config = config.cache_dir(cache);
    }
    let environment = Environment::provision(&config).map_err(|error| error.to_string())?;
    let mut command = Command::new(&environment.python);
    command.args(["-I", "-X", "utf8"]).arg(environment.worker_dir.join("run.py")).arg("serve");
    command.args(options.worker);
    Err(replace(command))
}

/// The worker gets this process's id, so that whoever started the command signals the worker. Returns where that failed.
#[cfg(unix)]
fn replace(mut command: Command) -> String {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    format!("{} could not be started: {error}", command.get_program().display())
}

#[cfg(not(unix))]
fn replace(mut command: Command) -> String {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => format!("{} could not be started: {error}", command.get_program().display()),
    }
}
