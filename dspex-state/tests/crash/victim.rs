//! Writers as processes, and their end.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

pub use dice::Dice;

#[path = "dice.rs"]
mod dice;

/// A process that writes, and what it says.
pub struct Victim {
    process: Child,
    lines: Receiver<String>,
    reader: JoinHandle<()>,
    heard: Vec<String>,
}

impl Victim {
    /// Starts one.
    pub fn start(command: &mut Command) -> std::io::Result<Self> {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = process.stdout.take().ok_or_else(|| std::io::Error::other("it has no stdout"))?;
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut line = String::new();
            // One that is cut off was not said.
            while out.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let _ = sender.send(std::mem::take(&mut line).trim_end().to_owned());
            }
        });
        Ok(Self { process, lines, reader, heard: Vec::new() })
    }

    /// Waits for a line. False if the process ended before it said that.
    pub fn wait_for(&mut self, wanted: &str) -> bool {
        while let Ok(line) = self.lines.recv() {
            let found = line == wanted;
            self.heard.push(line);
            if found {
                return true;
            }
        }
        false
    }

    /// Kills it after a while; what it said until then. An error if it had ended by itself.
    pub fn kill_after(mut self, delay: Duration) -> std::io::Result<Vec<String>> {
        std::thread::sleep(delay);
        self.process.kill()?;
        let status = self.process.wait()?;
        // All that was said before the kill is in the pipe.
        let _ = self.reader.join();
        self.heard.extend(self.lines.try_iter());
        match status.signal() {
            Some(9) => Ok(self.heard),
            _ => Err(std::io::Error::other(format!("it ended by itself: {status}"))),
        }
    }
}
