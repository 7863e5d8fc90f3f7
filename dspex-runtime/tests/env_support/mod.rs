//! What the tests of the Python environment share: a package index of tiny wheels in a directory, and programs that
//! stand in for `python3` or `uv` where those have to misbehave.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use dspex_runtime::pool::env::{EnvConfig, Installer, Progress};
use tempfile::TempDir;

/// Writes wheels as the arguments `name==version` say and prints a lock for them.
const WHEELS: &str = r#"
import base64, hashlib, sys, zipfile
index = sys.argv[1]
for spec in sys.argv[2:]:
    name, version = spec.split("==")
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"def main():\n    print('{name} {version}')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    wheel = f"{index}/{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    digest = hashlib.sha256(open(wheel, "rb").read()).hexdigest()
    print(f"{name}=={version} \\\n    --hash=sha256:{digest}")
"#;

/// A place for one test: a cache, an index of wheels, a directory for stand-in programs.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cache", "index", "bin", "home"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let index = dir.path().join("index");
        fs::write(dir.path().join("uv.toml"), format!("no-index = true\nfind-links = [{index:?}]\n"))
            .unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// Puts wheels into the index and gives a lock for them.
    pub fn wheels(&self, specs: &[&str]) -> String {
        let output = Command::new("python3")
            .args(["-I", "-c", WHEELS])
            .arg(self.path("index"))
            .args(specs)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A configuration that sees the machine's interpreters and only this place otherwise.
    pub fn config(&self, lock: &str, installer: Installer) -> EnvConfig {
        EnvConfig::new()
            .lock(lock.to_owned())
            .cache_dir(self.cache())
            .installer(installer)
            .progress(Progress::Silent)
            .vars(self.vars(installer))
    }

    /// The variables of [`Place::config`]: the machine's `PATH`, and an index that is reached without a network.
    pub fn vars(&self, installer: Installer) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut path = vec![self.path("bin")];
        if installer != Installer::Pip {
            path.extend(uv().map(|uv| uv.parent().unwrap().to_owned()));
        }
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut vars: Vec<(String, String)> = [
            ("PATH", std::env::join_paths(path).unwrap().to_str().unwrap().to_owned()),
            ("HOME", text(self.path("home"))),
            ("PIP_NO_INDEX", "1".to_owned()),
            ("PIP_FIND_LINKS", text(self.path("index"))),
            ("PIP_CACHE_DIR", text(self.path("pip-cache"))),
            ("UV_CONFIG_FILE", text(self.path("uv.toml"))),
            ("UV_CACHE_DIR", text(self.path("uv-cache"))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        // With another HOME, a version manager has to be told where its interpreters are.
        if let Ok(home) = std::env::var("HOME") {
            vars.push((
                "PYENV_ROOT".to_owned(),
                std::env::var("PYENV_ROOT").unwrap_or(format!("{home}/.pyenv")),
            ));
        }
        vars
    }

    /// Writes an executable shell script into the directory that comes first on `PATH`.
    ///
    /// A child writes it: were it open for writing in this process, a process forked by another test at that moment
    /// would keep it open, and running it would fail with "text file busy".
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let file = self.path("bin").join(name);
        let mut writer = Command::new("sh");
        writer
            .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\""])
            .arg(&file)
            .arg(script);
        assert!(writer.status().unwrap().success());
        file
    }

    /// Everything below the cache's `env` directory that is not a lock file.
    pub fn environments(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.cache().join("env")) else { return Vec::new() };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .collect()
    }
}

/// pip, and uv where this machine has one: a test says the same of both.
pub fn installers() -> Vec<Installer> {
    let mut installers = vec![Installer::Pip];
    installers.extend(uv().map(|_| Installer::Uv));
    installers
}

/// The uv of this machine; `DSPEX_TEST_UV` names one that is not on `PATH`.
pub fn uv() -> Option<PathBuf> {
    let on_path = || {
        std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("uv")).find(|uv| uv.is_file())
    };
    std::env::var_os("DSPEX_TEST_UV").map(PathBuf::from).or_else(on_path)
}

/// The machine's own `python3`, past any shim.
pub fn real_python() -> PathBuf {
    let output =
        Command::new("python3").args(["-I", "-c", "import sys; print(sys.executable)"]).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// A loopback address that nothing listens on.
pub fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Runs one test of this binary again, in a process of its own that `DSPEX_TEST_CHILD` tells what it is.
pub fn child_of(test: &str, role: &str, place: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env("DSPEX_TEST_CHILD", role)
        .env("DSPEX_TEST_PLACE", place);
    command
}

/// Waits until `done` is true; fails after half a minute.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A child that is ended when the test ends, however it ends.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
