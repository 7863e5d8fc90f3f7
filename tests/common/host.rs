//! A host of its own: this test program itself, started again in the role of one.
//!
//! The test that plays the host does so only when [`role`] says which part, and has nothing to do otherwise.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "DSPEX_TEST_HOST";

/// The part that this process is to play; none where the test is only run along with all others.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Tells the test that started this host something, as a line of its own.
pub fn say(word: &str, what: impl std::fmt::Display) {
    // What the test harness prints ends without a newline.
    println!("\n{word} {what}");
    std::io::stdout().flush().unwrap();
}

/// The command that runs one test of this program as a host with a role.
pub fn command(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ROLE, role);
    command
}

/// A host that runs. It is ended with the test, however that ends.
pub struct Host {
    pub process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Host {
    /// Starts a [`command`].
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// What follows on the next line that begins so.
    pub fn said(&mut self, word: &str) -> String {
        let said = self
            .lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix(word).map(|rest| rest.trim().to_owned()));
        said.unwrap_or_else(|| panic!("the host says {word}"))
    }

    /// The processes that the host said it has.
    pub fn pids(&mut self) -> Vec<u32> {
        self.said("PIDS").split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }
}

/// Says which processes this host has.
pub fn say_pids(pids: &[u32]) {
    say("PIDS", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
}
