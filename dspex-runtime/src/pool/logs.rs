//! What Python writes to stderr becomes `tracing` events of the target `dspex::python`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Lines kept to explain a process that ended.
const KEPT_LINES: usize = 30;

/// Longer lines are cut.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// The last lines that a process wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: String) {
        // Queue operations leave the queue whole.
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines, oldest first.
    pub(crate) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// Reads lines until the last writer is gone.
pub(crate) fn follow(worker: String, stderr: impl AsyncRead + Send + Unpin + 'static) -> Tail {
    let tail = Tail::default();
    let kept = tail.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        // Bytes, not text: nothing promises that a C library writes UTF-8.
        while matches!(lines.read_until(b'\n', &mut line).await, Ok(1..)) {
            let end = line.len().min(MAX_LINE_BYTES);
            let text = String::from_utf8_lossy(&line[..end]).trim_end().to_owned();
            line.clear();
            if !text.is_empty() {
                emit(&worker, &text);
                kept.push(text);
            }
        }
    });
    tail
}

/// The worker's own lines are `L logger: text`, with L the level's first letter; others are prints of a library.
fn emit(worker: &str, line: &str) {
    let (level, rest) = line.split_at_checked(2).unwrap_or(("", line));
    match level {
        "E " | "C " => tracing::error!(target: "dspex::python", worker, "{rest}"),
        "W " => tracing::warn!(target: "dspex::python", worker, "{rest}"),
        "I " => tracing::info!(target: "dspex::python", worker, "{rest}"),
        "D " => tracing::debug!(target: "dspex::python", worker, "{rest}"),
        _ => tracing::info!(target: "dspex::python", worker, "{line}"),
    }
}
