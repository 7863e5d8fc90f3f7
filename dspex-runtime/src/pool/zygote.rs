//! The zygote: one warm Python process that forks workers on demand.
//!
//! The host talks to it over the unix socket that is its standard input, one JSON message a line; file
//! descriptors for new workers travel beside the lines. Every Python process also inherits the read end of a
//! pipe of its own, its *lifeline*, on which nothing is ever written: when the host goes, by whatever cause, the
//! kernel closes the other end and kills the process. Closing a lifeline is also how the host kills a worker.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::config::{Carrier, PoolConfig};
use super::logs::{self, Tail};
use crate::error::PyFrame;

/// How long the zygote may take to read a request. Its socket holds thousands of them.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// What the zygote reports.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Report {
    /// DSPy is imported and warm.
    Ready {
        /// Milliseconds that it took.
        #[serde(default)]
        warm_ms: f64,
    },
    /// It could not be imported or warmed; the zygote ends itself.
    Failed {
        /// What Python raised.
        error: InitError,
    },
    /// A worker runs.
    Forked {
        /// The worker's name.
        worker: String,
        /// Its generation.
        generation: u64,
        /// Its process id.
        pid: u32,
    },
    /// A request that was not carried out.
    Refused {
        /// Which one.
        request: serde_json::Value,
        /// Why.
        error: InitError,
    },
    /// A worker ended.
    Exited {
        /// The worker's name.
        worker: String,
        /// Its generation.
        generation: u64,
        /// Its exit code, if it ended by itself.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// It answers a ping.
    Pong,
    /// All that it forked has ended, with what those started; it answers [`Zygote::finish`] so.
    Finished,
    /// The zygote itself is gone. Never sent by it.
    #[serde(skip)]
    Gone {
        /// What it wrote last.
        last_lines: String,
    },
}

/// Why Python could not start.
#[derive(Debug, Deserialize)]
pub(crate) struct InitError {
    /// The exception's class.
    pub(crate) class: String,
    /// Its message.
    pub(crate) message: String,
    /// Where it was raised, the innermost last; those of its cause come after it.
    #[serde(default)]
    pub(crate) frames: Vec<PyFrame>,
}

/// A handle on the running zygote. Dropping it ends the zygote; workers live on by their own lifelines.
pub(crate) struct Zygote {
    control: tokio::net::unix::OwnedWriteHalf,
    carrier: Carrier,
    // Held for their `Drop`.
    _lifeline: OwnedFd,
    _child: Child,
}

/// What a new worker inherits, and what stays with the host.
pub(crate) struct WorkerEnds {
    /// The host's end of the call socket (framed carrier only).
    pub(crate) socket: Option<UnixStream>,
    /// Closing it kills the worker.
    pub(crate) lifeline: OwnedFd,
    /// What the worker writes last.
    pub(crate) tail: Tail,
}

impl Zygote {
    /// Starts the process; reports arrive on `reports` with its number, the last of them [`Report::Gone`].
    pub(crate) async fn start(
        python: &Path,
        worker_dir: &Path,
        config: &PoolConfig,
        token: Option<&SecretString>,
        number: u64,
        reports: mpsc::UnboundedSender<(u64, Report)>,
    ) -> std::io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let (stderr, stderr_end) = std::io::pipe()?;
        let child = Command::new(python)
            // Isolated: no user site, no PYTHON* variables, no current directory in the search path.
            .args(["-I", "-X", "utf8"])
            .arg(worker_dir.join("run.py"))
            .arg("zygote")
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(stderr_end.try_clone()?)))
            .stderr(Stdio::from(OwnedFd::from(stderr_end)))
            // A Ctrl-C in the terminal is the host's to handle.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let tail = logs::follow("zygote".into(), tokio_pipe(stderr.into())?);
        ours.set_nonblocking(true)?;
        let (read, control) = UnixStream::from_std(ours)?.into_split();
        tokio::spawn(read_reports(read, tail, number, reports));
        let (lifeline_end, lifeline) = std::io::pipe()?;
        let zygote = Self { control, carrier: config.carrier, _lifeline: lifeline.into(), _child: child };
        let carrier = match config.carrier {
            Carrier::Framed => "framed",
            Carrier::Grpc => "grpc",
        };
        let settings = json!({
            "modules": config.modules,
            "python_path": config.python_path,
            "max_message_bytes": config.max_message_bytes,
            "sync_threads": config.sync_threads,
            "limits": config.limits.to_json(),
        });
        let init = init_line(carrier, &settings, token)?;
        zygote.send(&init, &[lifeline_end.as_fd()]).await?;
        Ok(zygote)
    }

    /// Asks for a worker. It answers on the returned socket, or listens at `listen` (gRPC carrier).
    pub(crate) async fn fork(
        &self,
        worker: &str,
        generation: u64,
        listen: Option<&Path>,
    ) -> std::io::Result<WorkerEnds> {
        let (lifeline_end, lifeline) = std::io::pipe()?;
        let (stderr, stderr_end) = std::io::pipe()?;
        let mut message = json!({"op": "fork", "worker": worker, "generation": generation});
        let socket = match self.carrier {
            Carrier::Framed => {
                let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
                self.send(&line(&message), &[theirs.as_fd(), lifeline_end.as_fd(), stderr_end.as_fd()])
                    .await?;
                ours.set_nonblocking(true)?;
                Some(UnixStream::from_std(ours)?)
            }
            Carrier::Grpc => {
                message["listen"] = json!(listen.map(|path| format!("unix:{}", path.display())));
                self.send(&line(&message), &[lifeline_end.as_fd(), stderr_end.as_fd()]).await?;
                None
            }
        };
        let tail = logs::follow(worker.to_owned(), tokio_pipe(stderr.into())?);
        Ok(WorkerEnds { socket, lifeline: lifeline.into(), tail })
    }

    /// Asks for a sign of life, which is [`Report::Pong`].
    pub(crate) async fn ping(&self) -> std::io::Result<()> {
        self.send(&line(&json!({"op": "ping"})), &[]).await
    }

    /// Asks for its end, once all that it forked has ended: [`Report::Finished`].
    pub(crate) async fn finish(&self) -> std::io::Result<()> {
        self.send(&line(&json!({"op": "exit"})), &[]).await
    }

    /// One line, with descriptors beside its first byte. One that does not read is not waited for.
    async fn send(&self, line: &[u8], descriptors: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        let overdue = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not read");
        tokio::time::timeout(SEND_TIMEOUT, self.send_all(line, descriptors)).await.map_err(overdue)?
    }

    async fn send_all(&self, line: &[u8], descriptors: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        let stream: &UnixStream = self.control.as_ref();
        let mut sent = 0;
        while sent < line.len() {
            sent += stream
                .async_io(Interest::WRITABLE, || {
                    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
                    let mut ancillary = SendAncillaryBuffer::new(&mut space);
                    if sent == 0 {
                        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
                    }
                    let bytes = [IoSlice::new(&line[sent..])];
                    rustix::net::sendmsg(stream, &bytes, &mut ancillary, SendFlags::NOSIGNAL)
                        .map_err(Into::into)
                })
                .await?;
        }
        Ok(())
    }
}

fn line(message: &serde_json::Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// The first line to the zygote. It holds the token, and is wiped when it was sent.
fn init_line(
    carrier: &str,
    settings: &serde_json::Value,
    token: Option<&SecretString>,
) -> std::io::Result<Zeroizing<Vec<u8>>> {
    #[derive(Serialize)]
    struct Init<'a> {
        op: &'a str,
        carrier: &'a str,
        config: Config<'a>,
    }
    #[derive(Serialize)]
    struct Config<'a> {
        token: &'a str,
        #[serde(flatten)]
        settings: &'a serde_json::Value,
    }
    let token = token.map_or("", |token| token.expose_secret());
    // Room for all of it: a vector that grows leaves what it had so far behind, which nobody wipes.
    let room = settings.to_string().len() + token.len() + 256;
    let mut line = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *line, &Init { op: "init", carrier, config: Config { token, settings } })?;
    line.push(b'\n');
    debug_assert!(line.len() <= room, "the line grew beyond its room");
    Ok(line)
}

fn tokio_pipe(read_end: OwnedFd) -> std::io::Result<tokio::net::unix::pipe::Receiver> {
    tokio::net::unix::pipe::Receiver::from_owned_fd(read_end)
}

async fn read_reports(
    read: OwnedReadHalf,
    tail: Tail,
    number: u64,
    reports: mpsc::UnboundedSender<(u64, Report)>,
) {
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(report) => {
                if reports.send((number, report)).is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(target: "dspex::pool", %error, "the zygote sent an unknown report"),
        }
    }
    let _ = reports.send((number, Report::Gone { last_lines: tail.text() }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_has_the_token_and_never_grows_beyond_the_room_that_is_wiped() {
        let token = SecretString::from("t".repeat(64));
        for modules in [0, 1000] {
            let settings = json!({"modules": vec!["my_team.\"programs\""; modules], "sync_threads": 8});
            let line = init_line("grpc", &settings, Some(&token)).unwrap();
            let room = settings.to_string().len() + 64 + 256;
            assert!(line.len() <= room && line.capacity() == room, "{} of {}", line.len(), line.capacity());
            let init: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert_eq!((&init["op"], &init["carrier"]), (&json!("init"), &json!("grpc")));
            assert_eq!(init["config"]["token"], "t".repeat(64));
            assert_eq!(init["config"]["modules"], settings["modules"]);
            assert!(line.ends_with(b"}\n"));
        }
        let line = init_line("framed", &json!({}), None).unwrap();
        assert!(
            line.starts_with(br#"{"op":"init","carrier":"framed","config":{"token":"""#),
            "none is asked for"
        );
    }
}
