//! A crate outside of the workspace, as users have them, for what only a compiler can tell.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// A crate that depends on dspex by path.
pub struct Crate {
    name: &'static str,
    dir: TempDir,
}

impl Crate {
    /// A crate with this source, and with a build script that makes the bindings if it says so.
    pub fn new(name: &'static str, source: &str, build_script: bool) -> Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = tempfile::tempdir()?;
        let mut manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\ndspex = {{ path = {workspace:?} }}\n"
        );
        if build_script {
            manifest += &format!(
                "\n[build-dependencies]\nschema-gen = {{ path = {:?} }}\n",
                workspace.join("schema-gen")
            );
            let script = "fn main() -> Result<(), schema_gen::Error> { schema_gen::configure().compile() }\n";
            fs::write(dir.path().join("build.rs"), script)?;
        }
        fs::create_dir(dir.path().join("src"))?;
        fs::write(dir.path().join("src/lib.rs"), source)?;
        fs::write(dir.path().join("Cargo.toml"), manifest)?;
        fs::copy(workspace.join("Cargo.lock"), dir.path().join("Cargo.lock"))?;
        Ok(Self { name, dir })
    }

    /// `cargo check` with this variable set; the seconds that it took.
    pub fn check(&self, variable: Option<(&str, &OsStr)>) -> Result<f64> {
        let mut cargo = self.cargo()?;
        cargo.args(["check", "--quiet", "--offline"]).envs(variable);
        let begun = Instant::now();
        let output = cargo.output().context("cargo cannot be started")?;
        let seconds = begun.elapsed().as_secs_f64();
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the crate `{}` does not compile:\n{stderr}", self.name);
        Ok(seconds)
    }

    /// Forgets what was compiled of the crate itself and of these of its dependencies.
    pub fn clean(&self, dependencies: &[&str]) -> Result<()> {
        let mut cargo = self.cargo()?;
        cargo.args(["clean", "--quiet", "--offline", "--package", self.name]);
        for dependency in dependencies {
            cargo.args(["--package", dependency]);
        }
        let output = cargo.output().context("cargo cannot be started")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn cargo(&self) -> Result<Command> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(self.dir.path()).env("CARGO_TARGET_DIR", target_dir()?).env_remove("RUSTFLAGS");
        Ok(command)
    }
}

/// A directory beside what the figures are built in, so that dependencies are compiled once.
fn target_dir() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(3).context("this program does not lie in a target directory")?;
    Ok(target.join("figures"))
}
