//! Runs the real command, with the Python environment of all tests.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "not every test needs all of it; a test that cannot go on says where"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The command in a directory, without colours or settings of whoever runs the test.
pub fn schema_gen(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schema-gen"));
    command.args(args).current_dir(dir).env_remove("NO_COLOR").env("RUST_BACKTRACE", "0");
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

/// Succeeds, or the test ends with what the command said.
pub fn ok(output: Output) -> Output {
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    output
}

/// A copy of a snapshot that comes with dspex.
pub fn snapshot(dir: &Path, version: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dspex-schema/schemas").join(version);
    std::fs::create_dir_all(dir).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
}

/// All files of a directory with their texts, by name.
pub fn files(dir: &Path) -> std::collections::BTreeMap<String, String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// Replaces a text in a file; it has to be there.
pub fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} does not contain {from}", path.display());
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}
