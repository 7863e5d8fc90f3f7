//! `DSPEX_PYTHON`: an interpreter that the user prepared is checked before anything relies on it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod env_support;

use std::fs;
use std::path::PathBuf;

use dspex_runtime::pool::env::{EnvConfig, EnvError, Environment, Installer, LOCK, Progress, ReadyProblem};
use env_support::Place;

/// The version that the embedded lock pins.
fn locked(name: &str) -> &'static str {
    let line = LOCK.lines().find(|line| line.starts_with(&format!("{name}=="))).unwrap();
    line[name.len() + 2..].split([' ', ';']).next().unwrap()
}

/// A configuration that names a ready interpreter through the variable.
fn ready(place: &Place, python: impl Into<std::ffi::OsString>) -> EnvConfig {
    EnvConfig::new()
        .cache_dir(place.cache())
        .progress(Progress::Silent)
        .vars(place.vars(Installer::Pip))
        .var("DSPEX_PYTHON", python)
}

fn problem(config: &EnvConfig) -> (ReadyProblem, String) {
    match Environment::provision(config).expect_err("this has to fail") {
        EnvError::ReadyPython { python, problem } => {
            let text = EnvError::ReadyPython { python, problem: problem.clone() }.to_string();
            (problem, text)
        }
        other => panic!("another error: {other}"),
    }
}

/// An interpreter with stand-ins of these packages, of which only the metadata counts here.
fn python_with(place: &Place, specs: &[&str]) -> PathBuf {
    let lock = place.wheels(specs);
    Environment::provision(&place.config(&lock, Installer::Auto)).unwrap().python
}

#[test]
fn an_interpreter_with_the_locked_packages_is_used_as_it_is() {
    let place = Place::new();
    let specs = [format!("dspy=={}", locked("dspy")), format!("protobuf=={}", locked("protobuf"))];
    let python = python_with(&place, &[&specs[0], &specs[1]]);
    let environments = place.environments();

    let environment = Environment::provision(&ready(&place, &python)).unwrap();
    assert_eq!(environment.python, python);
    assert!(!environment.provisioned && !environment.built);
    assert!(environment.entry().is_file());
    assert_eq!(place.environments(), environments, "nothing is built");

    // By configuration it is the same, and a bare name is looked for on PATH.
    let config = ready(&place, "/nowhere").python(&python);
    assert_eq!(Environment::provision(&config).unwrap().python, python);
    let named = place.program("mypython", &format!("exec {} \"$@\"", python.display()));
    assert_eq!(Environment::provision(&ready(&place, "mypython")).unwrap().python, named);
}

#[test]
fn missing_packages_are_named_with_the_command_that_installs_them() {
    let place = Place::new();
    let python = python_with(&place, &["dspy==3.3.0"]);
    let (problem, text) = problem(&ready(&place, &python));
    let ReadyProblem::Packages { packages, install } = problem else { panic!("{problem:?}") };
    let expected =
        [format!("dspy {} (it has 3.3.0)", locked("dspy")), format!("protobuf {}", locked("protobuf"))];
    assert_eq!(packages, expected);
    assert!(text.contains("-m pip install --require-hashes -r "), "{text}");
    // The command names a file that is there and holds the lock.
    let lock = install.rsplit(' ').next().unwrap();
    assert_eq!(fs::read_to_string(lock).unwrap(), LOCK);
}

#[test]
fn a_path_that_leads_nowhere_says_what_to_name() {
    let place = Place::new();
    for nowhere in ["/no/such/python", "no-such-command"] {
        let (problem, text) = problem(&ready(&place, nowhere));
        assert_eq!(problem, ReadyProblem::Missing);
        assert!(text.contains("no-such-command") || text.contains("/no/such/python"), "{text}");
        assert!(text.contains("DSPEX_PYTHON"), "{text}");
    }
}

#[test]
fn a_directory_is_answered_with_the_interpreter_in_it() {
    let place = Place::new();
    let (_, text) = problem(&ready(&place, place.path("home")));
    assert!(text.contains(place.path("home").join("bin/python").to_str().unwrap()), "{text}");
}

#[test]
fn a_file_that_is_no_interpreter_is_refused_with_what_it_said() {
    let place = Place::new();
    let data = place.path("data");
    fs::write(&data, "not a program").unwrap();
    assert!(matches!(problem(&ready(&place, &data)).0, ReadyProblem::DoesNotRun(_)));
    let other = place.program("other", "echo 'usage: other [file]' >&2; exit 64");
    let (found, text) = problem(&ready(&place, &other));
    assert!(matches!(found, ReadyProblem::DoesNotRun(_)) && text.contains("usage: other [file]"), "{text}");
}

#[test]
fn a_version_outside_the_range_is_refused() {
    let place = Place::new();
    let old = place.program(
        "old",
        "echo '{\"implementation\":\"CPython\",\"version\":[3,8,18],\"prerelease\":false,\"free_threaded\":false,\
         \"executable\":\"/x\",\"platform\":\"linux\",\"packages\":{}}'",
    );
    let (found, text) = problem(&ready(&place, &old));
    assert_eq!(found, ReadyProblem::Unsupported("is CPython 3.8.18".to_owned()));
    assert!(text.contains("3.10 to 3.14"), "{text}");
}
