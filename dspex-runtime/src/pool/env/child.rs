//! Runs the programs that provisioning needs: interpreters, venv, uv, pip.
//!
//! A child gets the user's variables (proxies, certificates and index settings live there) less those that would
//! change *what* gets installed, or where.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::config::Vars;

/// What runs the guard of a program.
const SHELL: &str = "/bin/sh";

/// How many lines of output an error message shows.
const TAIL_LINES: usize = 20;

/// Variables that a child never sees. Those of pip and uv that are named here say what to install, into what, or skip
/// the hashes; all others (index, proxy, certificates, time-outs, caches) are the user's to set.
const REMOVED: &[&str] = &[
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONOPTIMIZE",
    "PYTHONPLATLIBDIR",
    "PYTHONUSERBASE",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_PYTHON",
    "PIP_PLATFORM",
    "PIP_PYTHON_VERSION",
    "PIP_ABI",
    "PIP_IMPLEMENTATION",
    "PIP_REQUIREMENT",
    "PIP_REQUIREMENTS",
    "PIP_CONSTRAINT",
    "PIP_BUILD_CONSTRAINT",
    "PIP_EDITABLE",
    "PIP_NO_BINARY",
    "PIP_DRY_RUN",
    "PIP_REPORT",
    "PIP_LOG",
    "PIP_QUIET",
    "PIP_UPLOADED_PRIOR_TO",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_CONSTRAINT",
    "UV_BUILD_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_EXCLUDE",
    "UV_EXCLUDE_NEWER",
    "UV_NO_BINARY",
    "UV_NO_BINARY_PACKAGE",
    "UV_NO_VERIFY_HASHES",
    "UV_RESOLUTION",
    "UV_PRERELEASE",
    "UV_FORK_STRATEGY",
    "UV_VENV_SEED",
    "UV_VENV_RELOCATABLE",
    "UV_PROJECT",
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",
    "UV_PROJECT_ENVIRONMENT",
    "UV_QUIET",
];

/// A command with the user's variables, without those that would change the result.
///
/// `PIP_USER=0` overrides a `user = true` in a pip configuration file, which makes every install into a virtual
/// environment fail. uv must never fetch an interpreter from the internet unasked.
pub(super) fn command(program: &Path, vars: &Vars) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    command.envs(vars.iter().filter(|(name, _)| !REMOVED.iter().any(|removed| *name == OsStr::new(removed))));
    command
        .env("PIP_USER", "0")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .env("PIP_NO_INPUT", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONIOENCODING", "utf-8")
        .env("UV_PYTHON_DOWNLOADS", "never")
        .env("UV_NO_PROGRESS", "1")
        .env("NO_COLOR", "1");
    command
}

/// How a child ended and the last lines it wrote.
pub(super) struct Outcome {
    pub(super) status: ExitStatus,
    pub(super) tail: String,
}

/// Runs a command to its end and passes on each line that it writes to stdout or stderr. Neither it nor what it starts
/// outlives this process.
pub(super) fn run(command: &mut Command, mut on_line: impl FnMut(&str)) -> io::Result<Outcome> {
    let mut tail = VecDeque::new();
    let status = run_until(&mut bound_to_us(command), None, |line| {
        on_line(line);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line.to_owned());
    })?;
    let mut tail = Vec::from(tail).join("\n");
    if status.code().is_none() {
        tail.push_str(&format!("\n(ended by {status})"));
    }
    Ok(Outcome { status, tail })
}

/// A shell that becomes the program, beside a guard that waits for the end of a pipe which this process alone holds: it comes when this
/// process ends, by whatever cause, and the guard then kills the group that both are in.
const GUARD: &str = "exec 3<&0 </dev/null
(read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 &
exec \"$@\" 3<&-";

/// The same command under a guard, where there is a shell for it. An installer works for minutes, and would go on writing after its host
/// was killed.
fn bound_to_us(command: &Command) -> Command {
    let with_guard = Path::new(SHELL).exists();
    let mut bound = Command::new(if with_guard { OsStr::new(SHELL) } else { command.get_program() });
    if with_guard {
        use std::os::unix::process::CommandExt;
        bound.args(["-c", GUARD, "dspex"]).arg(command.get_program()).process_group(0);
    }
    bound.args(command.get_args()).env_clear();
    bound.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        bound.current_dir(dir);
    }
    bound.stdin(if with_guard { Stdio::piped() } else { Stdio::null() });
    bound
}

/// Runs a command that should answer at once, and gives all of its output (stdout, stderr).
///
/// A program that hangs is ended and reported as [`io::ErrorKind::TimedOut`].
pub(super) fn ask(command: &mut Command, limit: Duration) -> io::Result<(ExitStatus, String)> {
    let mut output = String::new();
    let status = run_until(command, Some(Instant::now() + limit), |line| {
        output.push_str(line);
        output.push('\n');
    })?;
    Ok((status, output))
}

fn run_until(
    command: &mut Command,
    deadline: Option<Instant>,
    mut on_line: impl FnMut(&str),
) -> io::Result<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Held until its end: what `wait` would close first, the guard waits for.
    let _bond = child.stdin.take();
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, sender);
    }
    loop {
        let line = match deadline {
            None => lines.recv().ok(),
            Some(deadline) => match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => Some(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => None,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    child.kill()?;
                    child.wait()?;
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time"));
                }
            },
        };
        match line {
            Some(line) => on_line(&line),
            None => return child.wait(),
        }
    }
}

/// Reads lines on a thread of their own, so that neither pipe can fill up while the other is read.
fn forward(pipe: impl Read + Send + 'static, sender: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = command(Path::new(SHELL), &Vars::of_process());
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_guarded_program_is_run_with_its_arguments_its_output_and_its_code() {
        let mut lines = Vec::new();
        let mut script = shell("echo \"$1 $0\"; echo err >&2; exit 3");
        let outcome = run(script.args(["zero", "a b"]), |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(outcome.status.code(), Some(3));
        lines.sort();
        assert_eq!(lines, ["a b zero", "err"]);
    }

    #[test]
    fn what_a_program_leaves_running_ends_with_it() {
        let outcome = run(&mut shell("sleep 600 >/dev/null 2>&1 & echo $!"), |_| {}).unwrap();
        let pid: u32 = outcome.tail.trim().parse().unwrap();
        let begun = Instant::now();
        while crate::pool::process::start_time(pid).is_some() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it runs on");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
