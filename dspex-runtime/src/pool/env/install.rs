//! Builds a virtual environment from a lock: by uv where it is present, else by the pip that Python brings along.
//!
//! Both install with hashes required and from wheels only, so that what runs is byte for byte what was locked and
//! nothing is compiled or executed on the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::child::{self, Outcome};
use super::config::{EnvConfig, Installer, Vars};
use super::error::{EnvError, InstallFailure};
use super::progress::Reporter;
use super::python::Interpreter;

/// The lock's name inside an environment, where it stays for people to look at.
const LOCK_FILE: &str = "requirements.lock";
/// uv before this version lacks parts of universal locks.
const OLDEST_UV: (u32, u32) = (0, 4);

/// A program that can install packages.
#[derive(Debug, Clone)]
pub(super) enum Tool {
    Uv { uv: PathBuf, version: String },
    Pip,
}

impl Tool {
    /// uv if it is wanted, present and working, else pip.
    pub(super) fn pick(config: &EnvConfig) -> Self {
        match config.installer {
            Installer::Pip => Self::Pip,
            Installer::Auto | Installer::Uv => {
                find_uv(&config.vars).map_or(Self::Pip, |(uv, version)| Self::Uv { uv, version })
            }
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Uv { .. } => "uv",
            Self::Pip => "pip",
        }
    }

    /// For the marker and the log: the name, and the version where it is known.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Uv { version, .. } => format!("uv {version}"),
            Self::Pip => "pip".to_owned(),
        }
    }
}

/// The first uv on `PATH` that runs, and its version.
pub(super) fn find_uv(vars: &Vars) -> Option<(PathBuf, String)> {
    vars.on_path("uv").into_iter().find_map(|uv| {
        let (status, output) = child::ask(child::command(&uv, vars).arg("--version"), Duration::from_secs(10)).ok()?;
        let version = output.strip_prefix("uv ")?.split_whitespace().next()?.to_owned();
        let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
        let number = (parts.next()??, parts.next()??);
        if !status.success() || number < OLDEST_UV {
            tracing::info!(target: "dspex::env", uv = %uv.display(), version, "this uv is too old, pip is used");
            return None;
        }
        Some((uv, version))
    })
}

/// The interpreter of a virtual environment.
pub(super) fn python_of(venv: &Path) -> PathBuf {
    if cfg!(windows) { venv.join("Scripts").join("python.exe") } else { venv.join("bin").join("python") }
}

/// One build of an environment.
pub(super) struct Build<'a> {
    pub(super) config: &'a EnvConfig,
    pub(super) tool: &'a Tool,
    pub(super) base: &'a Interpreter,
    /// The empty directory to build in.
    pub(super) dir: &'a Path,
    /// Where the environment will be in the end.
    pub(super) place: &'a Path,
}

impl Build<'_> {
    /// Creates the environment, installs the lock into it, compiles its bytecode.
    pub(super) fn run(&self, report: &mut Reporter) -> Result<(), EnvError> {
        report.step("creating a virtual environment");
        self.create_venv()?;
        let lock = self.dir.join(LOCK_FILE);
        fs::write(&lock, self.config.lock.as_bytes()).map_err(EnvError::io("write", &lock))?;
        report.step(&format!("downloading and installing packages with {}", self.tool.title()));
        self.install(&lock, report)?;
        if matches!(self.tool, Tool::Pip) {
            report.step("compiling bytecode");
            self.compile()?;
        }
        self.move_scripts().map_err(EnvError::io("set up the scripts of", self.dir))
    }

    fn create_venv(&self) -> Result<(), EnvError> {
        let Tool::Uv { uv, .. } = self.tool else {
            let mut venv = self.command(&self.base.executable);
            venv.args(["-I", "-m", "venv", "--without-pip"]).arg(self.dir);
            self.venv_step(venv)?;
            // What `venv` would do itself, but then it would keep to itself what went wrong.
            let mut pip = self.command(&python_of(self.dir));
            pip.args(["-I", "-m", "ensurepip", "--upgrade", "--default-pip"]);
            return self.venv_step(pip);
        };
        let mut venv = self.command(uv);
        venv.args(["venv", "--quiet", "--no-project", "--python"]).arg(&self.base.executable).arg(self.dir);
        self.venv_step(venv)
    }

    fn venv_step(&self, mut command: Command) -> Result<(), EnvError> {
        let outcome = self.start(&mut command, |_| {})?;
        if outcome.status.success() {
            return Ok(());
        }
        let said = outcome.tail.to_lowercase();
        let next_step = if InstallFailure::classify(&said) == InstallFailure::Disk {
            self.disk_step()
        } else if ["no module named ensurepip", "no module named venv", "ensurepip is not available"]
            .iter()
            .any(|words| said.contains(words))
        {
            "this Python comes without its venv parts: install them (`apt install python3-venv` on Debian and \
             Ubuntu), or install uv, which does without them"
                .to_owned()
        } else {
            format!("see its output; the command was: {}", show(&command))
        };
        Err(EnvError::VenvFailed { python: self.base.executable.clone(), output: outcome.tail, next_step })
    }

    fn install(&self, lock: &Path, report: &mut Reporter) -> Result<(), EnvError> {
        let python = python_of(self.dir);
        let mut command = match self.tool {
            Tool::Uv { uv, .. } => {
                let mut command = self.command(uv);
                command.args([
                    "pip",
                    "install",
                    "--require-hashes",
                    "--no-deps",
                    "--no-build",
                    "--compile-bytecode",
                ]);
                command.arg("--python").arg(&python);
                command
            }
            Tool::Pip => {
                let mut command = self.command(&python);
                command.args([
                    "-I",
                    "-m",
                    "pip",
                    "install",
                    "--require-hashes",
                    "--no-deps",
                    "--only-binary",
                    ":all:",
                ]);
                command.args(["--no-compile", "--progress-bar", "off"]);
                command
            }
        };
        command.arg("-r").arg(lock);
        let outcome = self.start(&mut command, |line| {
            tracing::debug!(target: "dspex::env", "{line}");
            if let Some(name) = package_of(line) {
                report.package(name);
            }
        })?;
        if outcome.status.success() {
            return Ok(());
        }
        let kind = InstallFailure::classify(&outcome.tail);
        Err(EnvError::InstallFailed {
            kind,
            installer: self.tool.name().to_owned(),
            next_step: self.next_step(kind, &command),
            output: outcome.tail,
        })
    }

    /// uv compiles as it installs; pip would do it on one core.
    fn compile(&self) -> Result<(), EnvError> {
        let mut command = self.command(&python_of(self.dir));
        command.args(["-I", "-m", "compileall", "-q", "-j", "0"]).arg(self.dir);
        let outcome = self.start(&mut command, |_| {})?;
        let kind = InstallFailure::classify(&outcome.tail);
        match (outcome.status.success(), kind) {
            (true, _) => Ok(()),
            (false, InstallFailure::Disk) => Err(EnvError::InstallFailed {
                kind,
                installer: self.tool.name().to_owned(),
                next_step: self.disk_step(),
                output: outcome.tail,
            }),
            // Some packages carry files that are not meant for this Python version. Bytecode saves start time; what
            // lacks it works all the same.
            (false, _) => {
                tracing::debug!(target: "dspex::env", output = outcome.tail, "some files were not compiled");
                Ok(())
            }
        }
    }

    /// Scripts and `pyvenv.cfg` name the directory that they were made in: they are to name the one that they go to.
    /// The interpreter itself finds its packages relative to where it is.
    fn move_scripts(&self) -> std::io::Result<()> {
        let (Some(from), Some(to)) = (self.dir.to_str(), self.place.to_str()) else { return Ok(()) };
        let python = python_of(self.dir);
        let scripts = fs::read_dir(python.parent().unwrap_or(self.dir))?;
        let files = scripts.flatten().map(|entry| entry.path()).chain([self.dir.join("pyvenv.cfg")]);
        for file in files {
            // Not the links to the interpreter, which belongs to the system.
            if !fs::symlink_metadata(&file)?.is_file() {
                continue;
            }
            // Not programs either: they hold no text.
            let Ok(text) = String::from_utf8(fs::read(&file)?) else { continue };
            if text.contains(from) {
                // Writing in place keeps the permissions.
                fs::write(&file, text.replace(from, to))?;
            }
        }
        Ok(())
    }

    /// Children start in the cache: uv reads settings of the project that it stands in, and pip may not find a
    /// module of the user's in its way.
    fn command(&self, program: &Path) -> Command {
        let mut command = child::command(program, &self.config.vars);
        command.current_dir(self.dir);
        command
    }

    fn start(&self, command: &mut Command, on_line: impl FnMut(&str)) -> Result<Outcome, EnvError> {
        child::run(command, on_line).map_err(EnvError::io("start", Path::new(command.get_program())))
    }

    fn next_step(&self, kind: InstallFailure, command: &Command) -> String {
        let (mirror, clean) = match self.tool {
            Tool::Uv { .. } => ("UV_DEFAULT_INDEX", "uv cache clean"),
            Tool::Pip => ("PIP_INDEX_URL", "python3 -m pip cache purge"),
        };
        match kind {
            InstallFailure::Network => format!(
                "check the network (and HTTPS_PROXY behind a proxy) and start again, or name a reachable mirror in \
                 {mirror}; on a machine without network set DSPEX_PYTHON to an interpreter that has the packages"
            ),
            InstallFailure::Disk => self.disk_step(),
            InstallFailure::Hash => format!(
                "nothing of it was used; remove the installer's cache with `{clean}` and start again; if it stays, \
                 the index or a proxy serves altered files"
            ),
            InstallFailure::Resolution => format!(
                "this is CPython {} on {}: use another Python 3.10 to 3.14 or a platform with wheels, or check that \
                 the index ({mirror}) answers and carries all packages; or install them yourself and set DSPEX_PYTHON",
                self.base.version, self.base.platform
            ),
            InstallFailure::Other => format!("see its output; the command was: {}", show(command)),
        }
    }

    fn disk_step(&self) -> String {
        let parent = self.place.parent().unwrap_or(self.place);
        format!(
            "about 600 MB are needed in {} (and space in the temporary directory and in the installer's cache): free \
             some, or set DSPEX_CACHE_DIR to a directory on another disk",
            parent.display()
        )
    }
}

/// The package that a line of uv's or pip's output is about.
fn package_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(wheel) = line.strip_prefix("Processing ") {
        return wheel.split_whitespace().next()?.rsplit('/').next()?.split('-').next();
    }
    let rest = line
        .strip_prefix("Collecting ")
        .or_else(|| {
            line.strip_prefix("Downloading ").filter(|rest| !rest.contains("://") && !rest.contains(".whl"))
        })
        .or_else(|| line.strip_prefix("+ "))?;
    rest.split([' ', '=', '[']).next().filter(|name| !name.is_empty())
}

/// A command as a person would type it.
fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_off_the_output_of_either_installer() {
        for (line, name) in [
            ("Collecting aiohttp==3.14.5 (from -r requirements.lock (line 5))", Some("aiohttp")),
            ("  Downloading aiohttp-3.14.5-cp311-cp311-manylinux.whl (1.7 MB)", None),
            (
                "Processing ./wheels/tinydep-1.0-py3-none-any.whl (from -r requirements.lock (line 1))",
                Some("tinydep"),
            ),
            ("Downloading numpy (16.0MiB)", Some("numpy")),
            (" + attrs==26.1.0", Some("attrs")),
            ("Resolved 71 packages in 445ms", None),
        ] {
            assert_eq!(package_of(line), name, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_uv_that_does_not_run_or_is_too_old_gives_way_to_pip() {
        let bin = tempfile::tempdir().unwrap();
        let uv = bin.path().join("uv");
        let picked = |script: &str, installer| {
            // Written by a child: a process forked by another test meanwhile must not hold it open for writing.
            let mut writer = Command::new("sh");
            writer
                .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\""])
                .arg(&uv)
                .arg(script);
            assert!(writer.status().unwrap().success());
            Tool::pick(&EnvConfig::new().installer(installer).vars([("PATH", bin.path())])).title()
        };
        assert_eq!(picked("echo 'uv 0.13.9 (x86_64-unknown-linux-gnu)'", Installer::Auto), "uv 0.13.9");
        assert_eq!(picked("echo 'uv 0.13.9'", Installer::Pip), "pip");
        assert_eq!(picked("echo 'uv 0.1.3'", Installer::Auto), "pip");
        assert_eq!(picked("echo 'uv 0.13.9'; exit 1", Installer::Auto), "pip");
        assert_eq!(picked("echo something else", Installer::Auto), "pip");
        assert_eq!(picked("exit 127", Installer::Uv), "pip");
    }
}
