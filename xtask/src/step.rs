//! Runs the steps of a chore: a heading, the command's own output, the time it took; the first failure ends the run
//! with the command to repeat it.
//!
//! The output is passed on as it comes, and the counts that test runners close with are read off it.

use std::borrow::BorrowMut;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The steps of one run and what they counted.
#[derive(Default)]
pub struct Steps {
    counts: Counts,
}

/// Tests that passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Steps {
    /// Runs one command as a step.
    pub fn run(&mut self, title: &str, command: impl BorrowMut<Command>) -> Result<()> {
        self.run_allowing(title, command, &[])
    }

    /// Runs one command as a step for which these exit codes are no failure either.
    pub fn run_allowing(
        &mut self,
        title: &str,
        mut command: impl BorrowMut<Command>,
        codes: &[i32],
    ) -> Result<()> {
        let command = command.borrow_mut();
        heading(title);
        let started = Instant::now();
        if io::stdout().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always").env("PY_COLORS", "1").env("FORCE_COLOR", "1");
        }
        let line = show(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start: {line}"))?;
        let counted = pass_on(&mut child)?;
        self.counts.passed += counted.passed;
        self.counts.failed += counted.failed;
        let status = child.wait()?;
        let fine = status.success() || status.code().is_some_and(|code| codes.contains(&code));
        println!(
            "-- {title}: {} after {:.1} s",
            if fine { "ok" } else { "FAILED" },
            started.elapsed().as_secs_f64()
        );
        if fine {
            return Ok(());
        }
        // A step that counts nothing itself counts as one failure.
        self.counts.failed += u64::from(counted.failed == 0);
        self.close();
        bail!("{title} failed ({status}); to repeat it:\n\n    {line}\n");
    }

    /// The closing line.
    pub fn close(&self) {
        println!("\n{} passed, {} failed", self.counts.passed, self.counts.failed);
    }
}

/// Marks the beginning of a step.
pub fn heading(title: &str) {
    println!("\n== {title}");
}

/// A command as a person would type it.
fn show(command: &Command) -> String {
    let mut line = String::new();
    if let Some(dir) = command.get_current_dir() {
        line.push_str(&format!("cd {} && ", quote(&dir.to_string_lossy())));
    }
    let parts = std::iter::once(command.get_program()).chain(command.get_args());
    line.push_str(&parts.map(|part| quote(&part.to_string_lossy())).collect::<Vec<_>>().join(" "));
    line
}

fn quote(part: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !part.is_empty() && part.chars().all(plain) {
        part.to_owned()
    } else {
        format!("'{}'", part.replace('\'', r"'\''"))
    }
}

/// Passes both streams on, line by line, and adds up what the lines count.
fn pass_on(child: &mut Child) -> Result<Counts> {
    let stdout = child.stdout.take().context("stdout is a pipe")?;
    let stderr = child.stderr.take().context("stderr is a pipe")?;
    let errors = thread::spawn(move || copy(stderr, io::stderr()));
    let out = copy(stdout, io::stdout())?;
    let err = errors.join().ok().context("a reader panicked")??;
    Ok(Counts { passed: out.passed + err.passed, failed: out.failed + err.failed })
}

fn copy(from: impl Read, mut to: impl Write) -> io::Result<Counts> {
    let mut reader = BufReader::new(from);
    let mut counts = Counts::default();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        if let Some(found) = count(&String::from_utf8_lossy(&line)) {
            counts.passed += found.passed;
            counts.failed += found.failed;
        }
        line.clear();
    }
    Ok(counts)
}

/// The counts of a runner's closing line: nextest, cargo test or pytest.
fn count(line: &str) -> Option<Counts> {
    let line = plain(line);
    let line = line.trim().trim_matches('=').trim();
    let pytest = starts_with_number(line) && line.contains(" in ") && line.ends_with(['s', ')']);
    if !(line.starts_with("Summary [") || line.starts_with("test result: ") || pytest) {
        return None;
    }
    let words: Vec<&str> = line.split([' ', ',', ';', '.', ':']).filter(|word| !word.is_empty()).collect();
    let before = |names: &[&str]| -> u64 {
        words
            .windows(2)
            .filter(|pair| names.contains(&pair[1]))
            .filter_map(|pair| pair[0].parse::<u64>().ok())
            .sum()
    };
    let counts =
        Counts { passed: before(&["passed"]), failed: before(&["failed", "error", "errors", "timed"]) };
    (counts != Counts::default()).then_some(counts)
}

fn starts_with_number(line: &str) -> bool {
    line.split(' ').next().is_some_and(|word| word.parse::<u64>().is_ok())
}

/// A line without the codes that colour it.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, after)| after);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_every_runner_are_counted() {
        for (line, passed, failed) in [
            ("     Summary [  88.405s] 45 tests run: 45 passed, 0 skipped\n", 45, 0),
            ("     Summary [   1.0s] 5/9 tests run: 3 passed (1 slow), 2 failed, 1 skipped\n", 3, 2),
            ("test result: ok. 14 passed; 0 failed; 0 ignored; 0 measured; finished in 0.12s\n", 14, 0),
            ("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured\n", 1, 2),
            ("======== 3 failed, 12 passed, 1 warning in 4.05s ========\n", 12, 3),
            ("12 passed in 0.05s\n", 12, 0),
            ("== 1 passed, 1 error in 61.00s (0:01:01) ==\n", 1, 1),
            ("\u{1b}[32m\u{1b}[1m2 passed\u{1b}[0m\u{1b}[32m in 0.02s\u{1b}[0m\n", 2, 0),
        ] {
            assert_eq!(count(line), Some(Counts { passed, failed }), "{line}");
        }
        for line in ["test a_thing ... ok\n", "3 files already formatted\n", "Finished in 2 passes\n", "\n"] {
            assert_eq!(count(line), None, "{line}");
        }
    }

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("cargo");
        command.args(["test", "a b", "it's"]).current_dir("/tmp");
        assert_eq!(show(&command), r"cd /tmp && cargo test 'a b' 'it'\''s'");
    }

    #[test]
    fn a_failed_step_ends_the_run_and_an_allowed_exit_code_does_not() {
        let exits = |code: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exit {code}")]);
            command
        };
        let mut steps = Steps::default();
        assert!(steps.run("fine", exits("0")).is_ok());
        assert!(steps.run_allowing("none selected", exits("5"), &[5]).is_ok());
        let error = steps.run("broken", exits("3")).unwrap_err().to_string();
        assert!(error.contains("broken failed") && error.contains("sh -c 'exit 3'"), "{error}");
        assert_eq!(steps.counts, Counts { passed: 0, failed: 1 });
    }
}
