//! Where the environment comes from and where it goes: the configuration of a provisioning.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::error::EnvError;
use super::progress::Progress;

/// The lock that this version of dspex was built with: every package with its hashes, for every platform.
pub const LOCK: &str = include_str!("../../../python/requirements.lock");

/// How an environment is provisioned.
///
/// The default is right for a program: the embedded lock, the user's cache directory, progress on stderr.
///
/// ```
/// use dspex_runtime::pool::env::{EnvConfig, Progress};
///
/// let config = EnvConfig::new().cache_dir("/var/cache/my-service").progress(Progress::Silent);
/// # let _ = config;
/// ```
#[derive(Debug, Clone)]
pub struct EnvConfig {
    pub(super) lock: Cow<'static, str>,
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) python: Option<PathBuf>,
    pub(super) installer: Installer,
    pub(super) progress: Progress,
    pub(super) vars: Vars,
}

/// Which program installs the packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Installer {
    /// uv where it is on `PATH` and works, else pip.
    #[default]
    Auto,
    /// uv; provisioning falls back to pip only where uv does not run.
    Uv,
    /// The pip that Python brings along.
    Pip,
}

impl Default for EnvConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl EnvConfig {
    /// The embedded lock, the user's cache directory, the variables of this process.
    pub fn new() -> Self {
        Self {
            lock: Cow::Borrowed(LOCK),
            cache_dir: None,
            python: None,
            installer: Installer::Auto,
            progress: Progress::Auto,
            vars: Vars::of_process(),
        }
    }

    /// Installs another lock than the embedded one: the text of a requirements file that pins every package with its
    /// hashes, as `uv pip compile --universal --generate-hashes` writes it.
    ///
    /// A lock of your own adds packages to the workers; it has to pin `dspy` and `protobuf` as the embedded one does.
    pub fn lock(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.lock = text.into();
        self
    }

    /// Keeps environments in this directory instead of `$DSPEX_CACHE_DIR`, `$XDG_CACHE_HOME/dspex` or `~/.cache/dspex`.
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// Uses this interpreter as it is, like `DSPEX_PYTHON`, over which it wins. It has to have the packages already.
    pub fn python(mut self, interpreter: impl Into<PathBuf>) -> Self {
        self.python = Some(interpreter.into());
        self
    }

    /// Whether both provide the same environment, however they show their progress.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        (&self.lock, &self.cache_dir, &self.python, &self.vars)
            == (&other.lock, &other.cache_dir, &other.python, &other.vars)
            && self.installer == other.installer
    }

    /// Chooses the installer.
    pub fn installer(mut self, installer: Installer) -> Self {
        self.installer = installer;
        self
    }

    /// Chooses where progress is shown.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Replaces the environment variables that provisioning sees and hands to the programs it runs. Without this they
    /// are those of the process.
    pub fn vars<K, V>(mut self, vars: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        self.vars = Vars(vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        self
    }

    /// Sets one more environment variable.
    pub fn var(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.vars.0.insert(name.into(), value.into());
        self
    }

    /// The directory that holds everything dspex keeps between starts, as an absolute path.
    ///
    /// # Errors
    ///
    /// [`EnvError::NoCacheDir`] if nothing names one.
    pub fn cache_root(&self) -> Result<PathBuf, EnvError> {
        let root = match &self.cache_dir {
            Some(dir) => dir.clone(),
            None => self.vars.cache_dir().ok_or(EnvError::NoCacheDir)?,
        };
        std::path::absolute(&root).map_err(EnvError::io("find", &root))
    }

    /// The interpreter that the user named as ready, if any.
    pub(super) fn ready_python(&self) -> Option<PathBuf> {
        self.python.clone().or_else(|| self.vars.get("DSPEX_PYTHON").map(PathBuf::from))
    }
}

/// A snapshot of environment variables: what provisioning looks at, so that it can be given other ones.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Vars(BTreeMap<OsString, OsString>);

impl Vars {
    pub(super) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of a variable; an empty one counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    fn cache_dir(&self) -> Option<PathBuf> {
        let dspex = self.get("DSPEX_CACHE_DIR").map(PathBuf::from);
        // The XDG specification says to ignore a relative path.
        let xdg = || self.get("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
        let home = || {
            self.get("HOME").or_else(|| self.get("USERPROFILE")).map(|home| Path::new(home).join(".cache"))
        };
        dspex.or_else(|| xdg().or_else(home).map(|dir| dir.join("dspex")))
    }

    /// Every file called `name` on `PATH`, in the order of the search.
    pub(super) fn on_path(&self, name: &str) -> Vec<PathBuf> {
        let Some(path) = self.get("PATH") else { return Vec::new() };
        std::env::split_paths(path)
            // An empty entry means the current directory to a shell: nothing is run from there by accident.
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
            .filter(|file| is_executable(file))
            .collect()
    }
}

/// Variables can hold secrets: only their names are shown.
impl std::fmt::Debug for Vars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_directory_follows_the_variables_in_their_order() {
        let root = |vars: &[(&str, &str)]| {
            EnvConfig::new()
                .vars(vars.iter().copied())
                .cache_root()
                .map(|root| root.display().to_string())
                .ok()
        };
        let home = ("HOME", "/home/ada");
        assert_eq!(root(&[home]).as_deref(), Some("/home/ada/.cache/dspex"));
        assert_eq!(root(&[home, ("XDG_CACHE_HOME", "/xdg")]).as_deref(), Some("/xdg/dspex"));
        assert_eq!(root(&[home, ("XDG_CACHE_HOME", "relative")]).as_deref(), Some("/home/ada/.cache/dspex"));
        assert_eq!(
            root(&[home, ("XDG_CACHE_HOME", "/xdg"), ("DSPEX_CACHE_DIR", "/mine")]).as_deref(),
            Some("/mine")
        );
        assert_eq!(root(&[home, ("DSPEX_CACHE_DIR", "")]).as_deref(), Some("/home/ada/.cache/dspex"));
        assert_eq!(root(&[]), None);
    }

    #[test]
    fn a_configuration_shows_no_values_of_variables() {
        let config = EnvConfig::new().var("SECRET_INDEX_TOKEN", "hunter2");
        let shown = format!("{config:?}");
        assert!(shown.contains("SECRET_INDEX_TOKEN") && !shown.contains("hunter2"));
    }
}
