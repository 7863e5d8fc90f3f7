//! `cargo xtask package`: packages all crates as they would be published, and proves on a program outside of the
//! workspace that the archives build and carry everything they embed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::step::Steps;

/// What the outside program does: the environment of the embedded lock is found (or built), and the worker that the
/// archive carried is unpacked beside it.
const PROGRAM: &str = r#"
use dspex_runtime::pool::env::{EnvConfig, Environment};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let environment = Environment::provision(&EnvConfig::new())?;
    assert!(environment.entry().is_file(), "{} is not there", environment.entry().display());
    assert!(environment.worker_dir.join("dspex_worker/__init__.py").is_file());
    println!("{} runs {}", environment.python.display(), environment.entry().display());
    Ok(())
}
"#;

/// Packages, unpacks elsewhere, builds and runs there.
pub fn run(root: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    // Beside the profile's directory that this program lies in.
    let target =
        std::env::current_exe()?.ancestors().nth(2).context("xtask lies in a target directory")?.to_owned();
    let mut steps = Steps::default();

    let mut package = Command::new(&cargo);
    package.args([
        "package",
        "--workspace",
        "--exclude",
        "xtask",
        // Tests that are crates of their own, for their build scripts.
        "--exclude",
        "bindings-of-dspy",
        "--exclude",
        "bindings-of-a-team",
        "--no-verify",
        "--allow-dirty",
        "--target-dir",
    ]);
    steps.run("cargo package", package.arg(&target).current_dir(root))?;

    let outside = tempfile::tempdir()?;
    let crates = unpack(&target.join("package"), &published(root)?, outside.path())?;
    write_program(root, outside.path(), &crates)?;
    let mut build = Command::new(&cargo);
    build.args(["run", "--quiet", "--target-dir"]).arg(target.join("outside"));
    steps.run("a program outside of the workspace", build.current_dir(outside.path()))
}

/// The names of the crates that are published: every member but this one.
fn published(root: &Path) -> Result<Vec<String>> {
    let mut names = vec!["dspex".to_owned()];
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name != "xtask" && path.join("Cargo.toml").is_file() {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Unpacks the archive of each crate; gives the crates with their directories.
fn unpack(archives: &Path, names: &[String], to: &Path) -> Result<Vec<(String, PathBuf)>> {
    let version = env!("CARGO_PKG_VERSION");
    let mut crates = Vec::new();
    for name in names {
        let archive = archives.join(format!("{name}-{version}.crate"));
        ensure!(archive.is_file(), "{} was not packaged", archive.display());
        let status = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(to).status();
        if !status.context("tar could not be started")?.success() {
            bail!("{} could not be unpacked", archive.display());
        }
        crates.push((name.clone(), to.join(format!("{name}-{version}"))));
    }
    Ok(crates)
}

/// A crate that depends on the unpacked ones and on nothing else of ours.
fn write_program(root: &Path, dir: &Path, crates: &[(String, PathBuf)]) -> Result<()> {
    let mut manifest = String::from(
        "[package]\nname = \"outside\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n\n\
         [dependencies]\n",
    );
    for (name, _) in crates {
        manifest.push_str(&format!("{name} = \"={}\"\n", env!("CARGO_PKG_VERSION")));
    }
    manifest.push_str("\n[patch.crates-io]\n");
    for (name, path) in crates {
        manifest.push_str(&format!("{name} = {{ path = {:?} }}\n", path.to_string_lossy()));
    }
    // It runs once.
    manifest.push_str("\n[profile.dev]\ndebug = false\nincremental = false\n");
    fs::write(dir.join("Cargo.toml"), manifest)?;
    // The same versions of everything else.
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock"))?;
    fs::create_dir(dir.join("src"))?;
    fs::write(dir.join("src/main.rs"), PROGRAM.trim_start())?;
    Ok(())
}
