//! A crate outside of the workspace that depends on dspex alone, under another name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"
//! Depends on dspex alone, under another name.
#![deny(warnings, missing_docs)]

use renamed::{FieldType, Module, dspy_module};

/// How soon.
#[derive(Debug, Clone, FieldType)]
#[field(crate = ::renamed)]
pub enum Urgency {
    /// Now.
    High,
    /// Some day.
    Low,
}

/// Triage a support ticket.
#[dspy_module("dspy.ChainOfThought", crate = ::renamed, temperature = 0.2)]
#[derive(Debug, Clone)]
pub struct Triage {
    /// What the customer wrote.
    #[input]
    ticket: String,
    /// How soon.
    #[output]
    urgency: Urgency,
}

/// The facade through a path of this crate.
pub mod nested {
    pub use renamed as facade;

    /// Asks.
    #[facade::dspy_module("dspy.Predict", crate = crate::nested::facade)]
    pub struct Ask {
        /// The question.
        #[input]
        question: String,
        /// The answer.
        #[output]
        answer: Option<Vec<String>>,
    }
}

/// The name of a module.
#[must_use]
pub fn name() -> &'static str {
    Triage::definition().name
}

/// Uses everything.
///
/// # Errors
/// Those of the call.
pub async fn triage(session: &renamed::Session) -> renamed::Result<String> {
    let out = Triage::call(session, TriageInputs { ticket: String::new() }).await?;
    Ok(format!("{:?}, {}", out.urgency, out.reasoning))
}
"#;

#[test]
fn a_crate_without_serde_and_with_dspex_under_another_name_compiles() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[package]\nname = \"downstream\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nrenamed = {{ package = \"dspex\", path = {workspace:?} }}\n"
    );
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/lib.rs"), SOURCE).unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::copy(workspace.join("Cargo.lock"), dir.path().join("Cargo.lock")).unwrap();

    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline"])
        .current_dir(dir.path())
        .env("CARGO_TARGET_DIR", target_dir())
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The directory that this test was built in, where most dependencies are built already.
fn target_dir() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}
