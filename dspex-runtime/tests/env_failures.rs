//! Everything that can keep an environment from being built: each is a typed error that names the next step, and
//! leaves nothing half-built behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod env_support;

use std::fs;
use std::process::Command;

use dspex_runtime::pool::env::{EnvConfig, EnvError, Environment, InstallFailure, Installer, Progress};
use env_support::{Place, closed_port, installers, real_python};

fn failure(config: &EnvConfig) -> EnvError {
    Environment::provision(config).expect_err("this has to fail")
}

/// The kind and the whole message of a failed installation.
fn install_failure(config: &EnvConfig) -> (InstallFailure, String) {
    match failure(config) {
        error @ EnvError::InstallFailed { kind, .. } => (kind, error.to_string()),
        other => panic!("not an installation: {other}"),
    }
}

/// A configuration with nothing on `PATH` but the place's own programs.
fn alone(place: &Place) -> EnvConfig {
    EnvConfig::new()
        .cache_dir(place.cache())
        .progress(Progress::Silent)
        .vars([("PATH", place.path("bin").into_os_string()), ("HOME", place.path("home").into_os_string())])
}

#[test]
fn without_any_python_the_error_says_how_to_get_one() {
    let place = Place::new();
    let error = failure(&alone(&place));
    assert!(matches!(&error, EnvError::NoPython { uv: false, .. }), "{error:?}");
    let text = error.to_string();
    for part in ["python3", "apt install python3", "DSPEX_PYTHON", "3.10 to 3.14"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn with_uv_but_no_python_nothing_is_downloaded_unasked() {
    let place = Place::new();
    let log = place.path("asked");
    place.program(
        "uv",
        &format!(
            "case \"$1\" in --version) echo 'uv 99.0.0'; exit;; esac\n\
             echo \"$UV_PYTHON_DOWNLOADS $*\" >> {}; exit 2",
            log.display()
        ),
    );
    let error = failure(&alone(&place));
    assert!(matches!(&error, EnvError::NoPython { uv: true, .. }), "{error:?}");
    assert!(error.to_string().contains("uv python install 3.12"));
    let asked = fs::read_to_string(log).unwrap();
    assert!(asked.starts_with("never python find") && asked.lines().count() == 1, "{asked}");
}

#[test]
fn interpreters_of_the_wrong_kind_are_each_named_with_the_reason() {
    let place = Place::new();
    let answer = |implementation: &str, version: &str| {
        format!(
            "echo '{{\"implementation\":\"{implementation}\",\"version\":{version},\"prerelease\":false,\
             \"free_threaded\":false,\"executable\":\"/x\",\"platform\":\"linux\",\"packages\":{{}}}}'"
        )
    };
    let old = place.program("python3", &answer("CPython", "[3,8,18]"));
    place.program("python3.12", &answer("PyPy", "[3,12,1]"));
    place.program("python", "echo 'Unknown option: -I' >&2; exit 2");
    let error = failure(&alone(&place));
    let EnvError::UnsupportedPython { found } = &error else { panic!("{error:?}") };
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].python, old);
    let text = error.to_string();
    for part in ["is CPython 3.8.18", "is PyPy 3.12.1", "Unknown option: -I", "3.10 to 3.14"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn without_a_network_the_error_names_mirror_and_proxy() {
    for installer in installers() {
        let place = Place::new();
        let lock = place.wheels(&["tinydep==1.0"]);
        let index = format!("http://{}/simple", closed_port());
        let no_config = place.path("empty.toml");
        fs::write(&no_config, "").unwrap();
        let config = place
            .config(&lock, installer)
            .var("PIP_NO_INDEX", "0")
            .var("PIP_FIND_LINKS", "")
            .var("PIP_INDEX_URL", &index)
            .var("PIP_RETRIES", "1")
            .var("UV_CONFIG_FILE", &no_config)
            .var("UV_DEFAULT_INDEX", &index)
            .var("UV_HTTP_RETRIES", "0");
        let (kind, text) = install_failure(&config);
        assert_eq!(kind, InstallFailure::Network, "{text}");
        assert!(text.contains("HTTPS_PROXY") && text.contains("DSPEX_PYTHON"), "{text}");
        let mirror = if installer == Installer::Uv { "UV_DEFAULT_INDEX" } else { "PIP_INDEX_URL" };
        assert!(text.contains(mirror), "{text}");
        assert!(place.environments().is_empty(), "{:?}", place.environments());
    }
}

#[test]
fn a_file_that_differs_from_the_lock_is_not_installed() {
    for installer in installers() {
        let place = Place::new();
        let lock = place.wheels(&["tinydep==1.0"]);
        let digest = lock.split("sha256:").nth(1).unwrap().trim();
        let tampered = lock.replace(digest, &"0".repeat(64));
        let (kind, text) = install_failure(&place.config(&tampered, installer));
        assert_eq!(kind, InstallFailure::Hash, "{text}");
        assert!(text.contains("altered files"), "{text}");
        assert!(place.environments().is_empty());
    }
}

#[test]
fn a_lock_without_hashes_is_refused() {
    for installer in installers() {
        let place = Place::new();
        place.wheels(&["tinydep==1.0"]);
        let (kind, text) = install_failure(&place.config("tinydep==1.0\n", installer));
        assert_eq!(kind, InstallFailure::Other, "{text}");
        assert!(text.to_lowercase().contains("hash"), "{text}");
    }
}

#[test]
fn a_package_that_the_index_does_not_carry_is_named() {
    for installer in installers() {
        let place = Place::new();
        let lock = place.wheels(&["tinydep==1.0"]).replace("==1.0", "==9.9");
        let (kind, text) = install_failure(&place.config(&lock, installer));
        assert_eq!(kind, InstallFailure::Resolution, "{text}");
        assert!(text.contains("tinydep") && text.contains("DSPEX_PYTHON"), "{text}");
    }
}

#[test]
fn a_full_disk_is_recognised_from_what_the_installer_says() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    // The kernel's own answer: /dev/full is always full.
    place.program(
        "uv",
        "case \"$1\" in --version) echo 'uv 99.0.0'; exit;; venv) exit 0;; esac\n\
         echo 'error: Failed to install: tinydep-1.0-py3-none-any.whl' >&2; cat /etc/passwd > /dev/full; exit 1",
    );
    let (kind, text) = install_failure(&place.config(&lock, Installer::Uv));
    assert_eq!(kind, InstallFailure::Disk, "{text}");
    assert!(text.contains("DSPEX_CACHE_DIR") && text.contains("MB"), "{text}");
    assert!(place.environments().is_empty());
}

#[test]
fn a_full_disk_under_the_virtual_environment_is_no_missing_part_of_python() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    place.program(
        "uv",
        "case \"$1\" in --version) echo 'uv 99.0.0'; exit;; esac\n\
         echo 'Error: ensurepip returned non-zero exit status 1.' >&2; cat /etc/passwd > /dev/full; exit 1",
    );
    let error = failure(&place.config(&lock, Installer::Uv));
    assert!(matches!(error, EnvError::VenvFailed { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("DSPEX_CACHE_DIR") && !text.contains("python3-venv"), "{text}");
}

#[test]
fn a_python_without_its_venv_parts_says_what_to_install() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    let python = real_python();
    let here = place.path("bin").join("python3");
    // As Debian's python3 without the package python3-venv: environments come out without ensurepip.
    place.program(
        "python3",
        &format!(
            "for last; do :; done\n\
             case \"$*\" in *'-m venv'*) mkdir \"$last/bin\"; echo '#!/bin/sh' > \"$last/bin/python\"\n\
             echo 'echo $0: No module named ensurepip; exit 1' >> \"$last/bin/python\"\n\
             chmod 755 \"$last/bin/python\"; exit;; esac\n\
             {} \"$@\" | sed 's|\"executable\": \"[^\"]*\"|\"executable\": \"{}\"|'",
            python.display(),
            here.display()
        ),
    );
    let error = failure(&place.config(&lock, Installer::Pip));
    assert!(matches!(error, EnvError::VenvFailed { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("apt install python3-venv") && text.contains("uv"), "{text}");
    assert!(place.environments().is_empty());
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    let file = place.path("file");
    fs::write(&file, "in the way").unwrap();
    let error = failure(&place.config(&lock, Installer::Auto).cache_dir(&file));
    assert!(matches!(&error, EnvError::Io { path, .. } if path.starts_with(&file)), "{error:?}");
    assert!(error.to_string().contains(file.to_str().unwrap()));
}

#[test]
fn without_home_or_cache_variable_the_error_names_them() {
    let error = failure(&EnvConfig::new().vars([("PATH", "/usr/bin")]).progress(Progress::Silent));
    assert!(matches!(error, EnvError::NoCacheDir));
    assert!(error.to_string().contains("DSPEX_CACHE_DIR"));
}

#[test]
fn a_failed_build_can_simply_be_tried_again() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    let wheel = place.path("index").join("tinydep-1.0-py3-none-any.whl");
    let away = place.path("away");
    fs::rename(&wheel, &away).unwrap();
    let config = place.config(&lock, Installer::Auto);
    failure(&config);
    fs::rename(&away, &wheel).unwrap();
    let environment = Environment::provision(&config).unwrap();
    assert!(
        Command::new(environment.python).args(["-I", "-c", "import tinydep"]).status().unwrap().success()
    );
}
