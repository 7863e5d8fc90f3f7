//! Workers as an operator starts them, one or several.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dspex::Endpoint;
use dspex::pool::env::{EnvConfig, Environment};
use dspex::prelude::*;

use super::{PROGRAMS, eventually};

/// A worker process of the test's own, ended with it.
pub struct Operator {
    pub process: Child,
    dir: tempfile::TempDir,
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Operator {
    /// Starts a worker at `listen`, or at a socket of its own; returns it with the address that it is bound to.
    pub fn start(listen: Option<&str>, token: Option<&str>) -> (Self, Endpoint) {
        Self::start_in(&std::env::temp_dir(), listen, token)
    }

    /// The same, with the operator's files in a directory of `parent`.
    pub fn start_in(parent: &Path, listen: Option<&str>, token: Option<&str>) -> (Self, Endpoint) {
        let environment = Environment::provision(&EnvConfig::new()).expect("an environment");
        let dir = tempfile::tempdir_in(parent).unwrap();
        let socket = dir.path().join("worker.sock");
        let address = dir.path().join("address");
        let mut command = Command::new(&environment.python);
        command.arg("-I").arg(environment.worker_dir.join("run.py")).arg("serve");
        command
            .arg("--listen")
            .arg(listen.map_or_else(|| format!("unix:{}", socket.display()), str::to_owned));
        command.arg("--port-file").arg(&address);
        command.args(["--module", PROGRAMS, "--python-path"]);
        command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python"));
        // What its environment holds is looked at, by whoever runs the tests.
        command.arg("--debuggable");
        if let Some(token) = token {
            let file = dir.path().join("token");
            std::fs::write(&file, token).unwrap();
            command.arg("--token-file").arg(file);
        }
        let process = command.stderr(Stdio::inherit()).spawn().expect("the worker starts");
        let operator = Self { process, dir };
        let bound = operator.wait_for(&address);
        let endpoint = match listen {
            None => Endpoint::unix(socket),
            Some(_) => Endpoint::tcp(format!("127.0.0.1:{}", bound.trim().rsplit(':').next().unwrap())),
        };
        (operator, endpoint)
    }

    fn wait_for(&self, file: &Path) -> String {
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            match std::fs::read_to_string(file) {
                Ok(text) if !text.trim().is_empty() => return text,
                _ => assert!(Instant::now() < give_up, "the worker never wrote {}", file.display()),
            }
            assert!(self.dir.path().exists());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Several of them.
pub struct Fleet {
    pub operators: Vec<Operator>,
    pub endpoints: Vec<Endpoint>,
}

impl Fleet {
    /// Starts them side by side.
    pub fn of(size: usize) -> Self {
        let starting: Vec<_> =
            (0..size).map(|_| std::thread::spawn(|| Operator::start(None, None))).collect();
        let (operators, endpoints) = starting.into_iter().map(|starting| starting.join().unwrap()).unzip();
        Self { operators, endpoints }
    }

    /// A host that uses all of them.
    pub async fn host(&self) -> Dspex {
        let builder =
            self.endpoints.iter().fold(Dspex::builder(), |builder, at| builder.endpoint(at.clone()));
        let dspex = builder.start().await.unwrap();
        let size = self.endpoints.len();
        eventually("all endpoints are ready", || dspex.load().ready_workers == size).await;
        dspex
    }

    /// The process of one.
    pub fn pid(&self, index: usize) -> u32 {
        self.operators[index].process.id()
    }
}
