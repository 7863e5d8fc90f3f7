//! A worker that an operator started: where it is, and what it and the host show each other.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

#[cfg(feature = "tls")]
use super::tls::ClientTls;

/// A worker that an operator started with `dspex serve --listen ..`, or with `python -m dspex_worker --listen ..` in an
/// environment of their own.
///
/// ```
/// use dspex_runtime::Endpoint;
///
/// // On this machine: nobody but the socket's owner can connect.
/// let here = Endpoint::unix("/run/dspex/worker.sock");
/// // At the end of a tunnel.
/// let tunnel = Endpoint::tcp("127.0.0.1:7443").token("of the line that names this host in the worker's file");
/// ```
///
/// With the feature `tls`, on another machine:
///
#[cfg_attr(feature = "tls", doc = "```no_run")]
#[cfg_attr(not(feature = "tls"), doc = "```ignore")]
/// use dspex_runtime::{ClientTls, Endpoint};
///
/// let far = Endpoint::tcp("gpu-1.internal:7443").tls(ClientTls::from_dir("certs/hosts/web"));
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(super) address: Address,
    pub(super) token: Option<SecretString>,
    /// The owner that a unix socket's worker must have, where it is neither this process's user nor root.
    pub(super) owner: Option<u32>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<ClientTls>,
}

/// Where a worker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

impl Endpoint {
    fn new(address: Address) -> Self {
        Self {
            address,
            token: None,
            owner: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// A worker that listens on a unix socket. It must run as the same user as this program, or as root; see
    /// [`owned_by`](Self::owned_by). The path has at most 107 bytes; with a longer one, `start` ends with
    /// [`PoolError::Endpoint`](crate::PoolError::Endpoint).
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Address::Unix(path.into()))
    }

    /// A worker that listens on TCP, as `host:port`, with an IPv6 address in brackets; with anything else, `start` ends with
    /// [`PoolError::Endpoint`](crate::PoolError::Endpoint). One on another machine needs `tls`, else it is
    /// [`PoolError::Unencrypted`](crate::PoolError::Unencrypted).
    pub fn tcp(authority: impl Into<String>) -> Self {
        Self::new(Address::Tcp(authority.into()))
    }

    /// The token of this host at this worker. Without it, the one of
    /// [`DspexBuilder::token`](crate::DspexBuilder::token).
    #[must_use]
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The user id that the worker at the other end of a unix socket runs as, where it is another one than this
    /// program's. What listens there as anybody else is shown nothing.
    #[must_use]
    pub fn owned_by(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Encrypts the connection and shows certificates both ways.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// What is used where the endpoint has no token of its own.
    pub(crate) fn or_token(mut self, token: Option<&SecretString>) -> Self {
        self.token = self.token.or_else(|| token.cloned());
        self
    }

    /// The socket's path.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match &self.address {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) => None,
        }
    }

    /// Whether nobody else can read what travels on the connection.
    pub(crate) fn is_private(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return true;
        }
        match &self.address {
            Address::Unix(_) => true,
            Address::Tcp(authority) => is_loopback(host_of(authority)),
        }
    }

    /// What can be told to be wrong before anything is connected.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.address {
            Address::Unix(path) => {
                #[cfg(feature = "tls")]
                if self.tls.is_some() {
                    return Err("a unix socket needs no TLS; its owner alone can connect to it".to_owned());
                }
                // The limit of `sockaddr_un`, with its final zero.
                let length = path.as_os_str().len();
                if length > 107 {
                    return Err(format!("a unix socket's path has at most 107 bytes, and this one {length}"));
                }
                Ok(())
            }
            Address::Tcp(authority) => {
                let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
                if port.is_none_or(|port| port == 0) || host_of(authority).is_empty() {
                    return Err("expected host:port".to_owned());
                }
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.tls {
                    tls.check()?;
                }
                Ok(())
            }
        }
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
pub(super) fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp(authority) => f.write_str(authority),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_sockets_are_private_and_nothing_else_is() {
        for private in ["127.0.0.1:1", "[::1]:1", "localhost:1", "127.8.0.9:80"] {
            assert!(Endpoint::tcp(private).is_private(), "{private}");
        }
        for public in ["192.0.2.1:1", "[2001:db8::1]:1", "localhost.example:1", "worker:1"] {
            assert!(!Endpoint::tcp(public).is_private(), "{public}");
        }
        assert!(Endpoint::unix("/run/worker.sock").is_private());
    }

    #[test]
    fn what_is_no_address_is_told() {
        for wrong in ["worker", "worker:", ":7443", "worker:99999", "worker:0"] {
            assert!(Endpoint::tcp(wrong).check().is_err(), "{wrong}");
        }
        assert!(Endpoint::tcp("worker:7443").check().is_ok());
        assert!(Endpoint::unix("/".repeat(200)).check().is_err());
    }

    #[test]
    fn a_token_is_not_printed() {
        let endpoint = Endpoint::tcp("worker:1").token("canary-7f3a");
        assert!(!format!("{endpoint:?} {endpoint}").contains("canary"));
    }
}
