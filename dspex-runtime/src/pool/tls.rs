//! What a host shows to a worker on another machine, and whom it trusts there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

/// Certificates of a host, for [`Endpoint::tls`](crate::Endpoint::tls).
///
/// Both sides show one, and each trusts the authority alone that is named here: the machine's own list of
/// authorities is not asked. `dspex certs init` of the crate `dspex-cli` makes such an authority with all that it
/// signs.
///
/// Files are read again for every new connection, so that a renewed certificate needs no restart.
#[derive(Clone)]
pub struct ClientTls {
    authority: Source,
    certificate: Source,
    key: Key,
    server_name: Option<String>,
}

#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    Pem(Arc<str>),
}

#[derive(Clone)]
enum Key {
    File(PathBuf),
    Pem(SecretString),
}

/// What a connection is set up with.
pub(super) struct Loaded {
    pub(super) authority: String,
    pub(super) certificate: String,
    pub(super) key: SecretString,
}

impl ClientTls {
    /// The files `ca.pem`, `client.pem` and `client.key` of a directory, as `dspex certs init` writes them.
    pub fn from_dir(dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref();
        Self::from_files(dir.join("ca.pem"), dir.join("client.pem"), dir.join("client.key"))
    }

    /// PEM files: the authority that signed the worker's certificate, this host's certificate, and its key.
    pub fn from_files(
        authority: impl Into<PathBuf>,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        Self {
            authority: Source::File(authority.into()),
            certificate: Source::File(certificate.into()),
            key: Key::File(key.into()),
            server_name: None,
        }
    }

    /// The same as PEM text.
    pub fn from_pem(
        authority: impl AsRef<str>,
        certificate: impl AsRef<str>,
        key: impl Into<SecretString>,
    ) -> Self {
        Self {
            authority: Source::Pem(authority.as_ref().into()),
            certificate: Source::Pem(certificate.as_ref().into()),
            key: Key::Pem(key.into()),
            server_name: None,
        }
    }

    /// The name that the worker's certificate must hold, where it is not the host that is connected to: that of a
    /// group of workers which share one certificate, say.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The name that the worker at `host` must have.
    pub(super) fn name_for<'a>(&'a self, host: &'a str) -> &'a str {
        self.server_name.as_deref().unwrap_or(host)
    }

    /// Reads everything. The error names the file and what is wrong with it.
    pub(super) fn load(&self) -> Result<Loaded, String> {
        let authority = self.authority.read()?;
        let certificate = self.certificate.read()?;
        let key = match &self.key {
            Key::File(path) => SecretString::from(read(path)?),
            Key::Pem(key) => key.clone(),
        };
        let key_of = || match &self.key {
            Key::File(path) => path.display().to_string(),
            Key::Pem(_) => "the key".to_owned(),
        };
        expect_pem(&authority, "CERTIFICATE", || self.authority.to_string())?;
        expect_pem(&certificate, "CERTIFICATE", || self.certificate.to_string())?;
        expect_pem(key.expose_secret(), "PRIVATE KEY", key_of)?;
        Ok(Loaded { authority, certificate, key })
    }

    /// Whether everything is there and can be read.
    pub(super) fn check(&self) -> Result<(), String> {
        self.load().map(drop)
    }
}

impl Source {
    fn read(&self) -> Result<String, String> {
        match self {
            Self::File(path) => read(path),
            Self::Pem(text) => Ok(text.to_string()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Pem(_) => f.write_str("the certificate"),
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn expect_pem(text: &str, what: &str, name: impl Fn() -> String) -> Result<(), String> {
    // A key may be one of several kinds, as in `-----BEGIN EC PRIVATE KEY-----`.
    let found =
        text.lines().any(|line| line.starts_with("-----BEGIN ") && line.ends_with(&format!("{what}-----")));
    if found { Ok(()) } else { Err(format!("{} holds no {} in PEM", name(), what.to_lowercase())) }
}

/// The key is not printed.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("authority", &self.authority.to_string())
            .field("certificate", &self.certificate.to_string())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_no_pem_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let tls = ClientTls::from_dir(dir.path());
        assert!(tls.check().unwrap_err().contains("ca.pem cannot be read"));
        let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        std::fs::write(dir.path().join("ca.pem"), pem).unwrap();
        std::fs::write(dir.path().join("client.pem"), "nothing").unwrap();
        std::fs::write(dir.path().join("client.key"), "a secret canary").unwrap();
        assert!(tls.check().unwrap_err().contains("client.pem holds no certificate"));
        std::fs::write(dir.path().join("client.pem"), pem).unwrap();
        let error = tls.check().unwrap_err();
        assert!(error.contains("client.key holds no private key") && !error.contains("canary"), "{error}");
    }

    #[test]
    fn a_key_is_not_printed() {
        let tls = ClientTls::from_pem("ca", "cert", "canary-7f3a");
        assert!(!format!("{tls:?}").contains("canary"));
    }
}
