//! The Python side of the comparisons: scripts that run in the environment that the workers run in.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use dspex::pool::env::{EnvConfig, Environment};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The environment's interpreter.
pub struct Python {
    /// Its path.
    pub interpreter: PathBuf,
    /// Its version.
    pub version: String,
}

/// Finds the environment, or builds it, so that no figure has to wait for it.
pub fn provision() -> Result<Python> {
    let environment = Environment::provision(&EnvConfig::new())?;
    Ok(Python { interpreter: environment.python, version: environment.python_version.to_string() })
}

/// A script that runs, takes lines and answers each with one. It ends when this is dropped.
pub struct Script {
    name: &'static str,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Script {
    /// Starts a script of `benches/figures/python`; completes when it has said that it is ready.
    pub async fn start(python: &Python, name: &'static str, arguments: &[&Path]) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/figures/python").join(name);
        let mut child = Command::new(&python.interpreter)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (stdin, stdout) = stdin.zip(stdout).context("the script has no pipes")?;
        let mut script = Self { name, stdin, stdout: BufReader::new(stdout).lines(), _child: child };
        match script.line().await?.as_str() {
            "ready" => Ok(script),
            other => bail!("{name} said {other:?} instead of \"ready\""),
        }
    }

    /// Asks for something and waits for the answer.
    pub async fn ask(&mut self, line: &str) -> Result<String> {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await?;
        self.stdin.flush().await?;
        self.line().await
    }

    async fn line(&mut self) -> Result<String> {
        let line = self.stdout.next_line().await?;
        line.with_context(|| format!("{} ended early; its errors stand above", self.name))
    }
}
