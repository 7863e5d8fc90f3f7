//! Why a schema could not be made or used.

use std::fmt;
use std::path::PathBuf;

/// Why a schema could not be made or used. The message names the file and the next step.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The workers could not be started, or introspection failed in Python.
    #[cfg(feature = "cli")]
    #[error(transparent)]
    Runtime(#[from] dspex_runtime::Error),
    /// The schema is missing, damaged or of another format, or could not be written.
    #[error(transparent)]
    Schema(#[from] dspex_schema::Error),
    /// A file of the build could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// An option of [`Config`](crate::Config) that makes no sense.
    #[error("{0}")]
    Option(String),
    /// [`Config::compile`](crate::Config::compile) outside of a build script.
    #[error("`{0}` is not set; `compile()` belongs in a build script, where cargo sets it")]
    NoBuildScript(&'static str),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// The message with its causes, in one line.
    pub(crate) fn line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let more = error.to_string();
            // Some messages carry their cause already.
            if !text.contains(&more) {
                text += &format!(": {more}");
            }
            cause = error.source();
        }
        text.replace('\n', " ")
    }
}

/// As people read it: a build script that returns the error has Rust print this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}
