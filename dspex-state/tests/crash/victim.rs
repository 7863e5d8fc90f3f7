//! Writers as processes, and their end.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

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

/// Numbers that look random, the same for the same seed (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// A number from 0 up to a limit, which is not among them.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// A time between two, in milliseconds, to the microsecond.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from * 1000 + self.below((to - from) * 1000))
    }
}
