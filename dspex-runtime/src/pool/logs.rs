//! What Python writes to stderr becomes `tracing` events of the target `dspex::python`.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio_util::sync::CancellationToken;

/// Lines kept to explain a process that ended.
const KEPT_LINES: usize = 30;

/// Longer lines are cut.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// The last lines that a process wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    lines: Arc<Mutex<VecDeque<String>>>,
    ended: CancellationToken,
}

impl Tail {
    pub(super) fn push(&self, line: String) {
        let mut lines = self.lock();
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        // Queue operations leave the queue whole.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all that was written has been read. The news of a process' end may be sooner than its last lines.
    pub(crate) async fn whole(&self, at_most: Duration) {
        // What the process started may hold its stderr open.
        let _ = tokio::time::timeout(at_most, self.ended.cancelled()).await;
    }

    /// What follows these words on the last line that has them, else the line that came last.
    pub(crate) fn said_after(&self, words: &str) -> String {
        let lines = self.lock();
        let said = lines.iter().rev().find_map(|line| Some(line.split_once(words)?.1));
        said.or(lines.back().map(String::as_str)).unwrap_or_default().to_owned()
    }

    /// The lines, oldest first.
    pub(crate) fn text(&self) -> String {
        self.lock().iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// Reads lines until the last writer is gone.
pub(crate) fn follow(worker: String, stderr: impl AsyncRead + Send + Unpin + 'static) -> Tail {
    let tail = Tail::default();
    let kept = tail.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while read_line(&mut lines, &mut line).await {
            // Bytes, not text: nothing promises that a C library writes UTF-8.
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            line.clear();
            if !text.is_empty() {
                emit(&worker, &text);
                kept.push(text);
            }
        }
        kept.ended.cancel();
    });
    tail
}

/// Reads up to the next end of a line, a carriage return included, and keeps what the limit allows: a program that
/// prints without end costs no memory. False at the end of the stream.
async fn read_line(input: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> bool {
    loop {
        let available = match input.fill_buf().await {
            Ok(bytes) if !bytes.is_empty() => bytes,
            _ => return !line.is_empty(),
        };
        let end = available.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let taken = end.unwrap_or(available.len());
        let room = MAX_LINE_BYTES.saturating_sub(line.len());
        line.extend_from_slice(&available[..taken.min(room)]);
        input.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return true;
        }
    }
}

/// The worker's own lines are `L logger: text`, with L the level's first letter; others are prints of a library. Within a call the
/// logger is followed by ` [session=.. trace=..]`.
fn emit(worker: &str, line: &str) {
    let own = line.split_at_checked(2).and_then(|(level, rest)| Some((level, Own::read(rest)?)));
    let Some((level, Own { text, session, trace })) = own else {
        return tracing::info!(target: "dspex::python", worker, "{line}");
    };
    match level {
        "E " | "C " => tracing::error!(target: "dspex::python", worker, session, trace_id = trace, "{text}"),
        "W " => tracing::warn!(target: "dspex::python", worker, session, trace_id = trace, "{text}"),
        "I " => tracing::info!(target: "dspex::python", worker, session, trace_id = trace, "{text}"),
        "D " => tracing::debug!(target: "dspex::python", worker, session, trace_id = trace, "{text}"),
        _ => tracing::info!(target: "dspex::python", worker, "{line}"),
    }
}

/// A line of the worker's own, without its level.
#[derive(Debug, PartialEq)]
struct Own<'a> {
    /// The logger and what it said.
    text: Cow<'a, str>,
    session: Option<String>,
    trace: Option<&'a str>,
}

impl<'a> Own<'a> {
    fn read(rest: &'a str) -> Option<Self> {
        let (head, said) = rest.split_once(": ")?;
        let Some((logger, call)) = head.strip_suffix(']').and_then(|head| head.split_once(" [")) else {
            return names_a_logger(head).then_some(Self { text: rest.into(), session: None, trace: None });
        };
        let fact = |name: &str| {
            call.split(' ').find_map(|fact| fact.strip_prefix(name)).filter(|value| !value.is_empty())
        };
        let (session, trace) = (fact("session=").map(decode), fact("trace="));
        let reads = names_a_logger(logger) && (session.is_some() || trace.is_some());
        reads.then(|| Self { text: format!("{logger}: {said}").into(), session, trace })
    }
}

fn names_a_logger(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))
}

/// Takes percent-encoding back.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let code = others.get(..2).filter(|_| first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(mut input: &[u8]) -> Vec<String> {
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        while read_line(&mut input, &mut line).await {
            lines.push(String::from_utf8(std::mem::take(&mut line)).unwrap());
        }
        lines
    }

    #[tokio::test]
    async fn lines_end_at_new_lines_and_carriage_returns_and_are_cut_at_the_limit() {
        assert_eq!(lines(b"one\ntwo\rthree").await, ["one", "two", "three"]);
        let long = lines(&[b'x'; 100_000]).await;
        assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE_BYTES]);
    }

    #[test]
    fn a_print_that_only_looks_like_a_log_line_is_a_print() {
        assert!(Own::read("dspex_worker.zygote: cannot start").is_some());
        for print in
            ["= mc2", "have a dream: one", "have [a dream]: one", "logger [x=1]: text", "logger []: text"]
        {
            assert_eq!(Own::read(print), None, "{print}");
        }
    }

    #[test]
    fn a_line_of_a_call_says_which() {
        let own = Own::read("program [session=team%20a/%5B%C3%BC trace=0af7]: hot: [x]").unwrap();
        assert_eq!(
            (&*own.text, own.session.as_deref(), own.trace),
            ("program: hot: [x]", Some("team a/[ü"), Some("0af7"))
        );
        let own = Own::read("program [trace=0af7]: hot").unwrap();
        assert_eq!((own.session, own.trace), (None, Some("0af7")));
        assert_eq!(decode("%zz%4"), "%zz%4");
    }
}
