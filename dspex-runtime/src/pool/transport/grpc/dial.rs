//! The connection to a worker that listens.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint as Target};

use super::super::LinkError;
use crate::pool::endpoint::{Address, Endpoint};

/// Connects, and sees to it that the one at the other end is who it should be.
pub(super) async fn dial(endpoint: &Endpoint) -> Result<Connection, LinkError> {
    #[cfg(feature = "tls")]
    if let (Address::Tcp(authority), Some(tls)) = (&endpoint.address, &endpoint.tls) {
        let alert = super::secure::Alert::default();
        let channel = super::secure::dial(tls, authority, alert.clone()).await?;
        return Ok(Connection { channel, alert: Some(alert) });
    }
    let channel = match &endpoint.address {
        Address::Tcp(authority) => dial_tcp(authority).await?,
        Address::Unix(path) => dial_unix(path, endpoint.owner).await?,
    };
    Ok(Connection {
        channel,
        #[cfg(feature = "tls")]
        alert: None,
    })
}

/// A connection, which the other end may have refused all the same.
pub(super) struct Connection {
    pub(super) channel: Channel,
    /// Of one with TLS: what it failed with.
    #[cfg(feature = "tls")]
    alert: Option<super::secure::Alert>,
}

impl Connection {
    /// Why nothing is answered on it.
    pub(super) fn refusal(&self, status: &tonic::Status) -> LinkError {
        if status.code() == tonic::Code::Unauthenticated {
            return LinkError::Unauthenticated(status.message().to_owned());
        }
        #[cfg(feature = "tls")]
        if let Some(alert) = &self.alert
            && super::is_connection_loss(status)
        {
            let seen = alert.get().cloned().unwrap_or_else(|| super::describe(status));
            return super::secure::hung_up(seen);
        }
        LinkError::Carrier(super::describe(status))
    }
}

async fn dial_tcp(authority: &str) -> Result<Channel, LinkError> {
    let target = Target::from_shared(format!("http://{authority}")).map_err(carrier)?;
    configure(target).connect().await.map_err(carrier)
}

async fn dial_unix(path: &Path, owner: Option<u32>) -> Result<Channel, LinkError> {
    let path: Arc<Path> = Arc::from(path);
    // The authority is not used to connect, yet HTTP/2 wants one.
    configure(Target::from_static("http://worker.invalid"))
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move {
                let stream = UnixStream::connect(&path).await?;
                check_owner(stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw(), owner, &path)?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        }))
        .await
        .map_err(carrier)
}

/// Whoever can write to the directory of a socket can listen there, and would be shown the token and all inputs.
fn check_owner(found: u32, own: u32, expected: Option<u32>, path: &Path) -> std::io::Result<()> {
    let right = match expected {
        Some(uid) => found == uid,
        None => found == own || found == 0,
    };
    if right {
        return Ok(());
    }
    let wanted = expected.unwrap_or(own);
    Err(std::io::Error::new(
        std::io::ErrorKind::PermissionDenied,
        format!(
            "what listens at {} runs as user {found} and not as user {wanted}; if that is right, say so with `owned_by({found})`",
            path.display()
        ),
    ))
}

/// The settings of every connection.
pub(super) fn configure(target: Target) -> Target {
    target
        .connect_timeout(Duration::from_secs(5))
        // Well above the minimum that grpcio accepts, else it hangs up with "too many pings".
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_connection_window_size(16 << 20)
        .initial_stream_window_size(4 << 20)
        .http2_max_header_list_size(16 << 10)
        .tcp_nodelay(true)
}

pub(super) fn carrier(error: tonic::transport::Error) -> LinkError {
    LinkError::Carrier(super::describe(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_of_another_user_is_refused_unless_that_is_said() {
        let path = Path::new("/run/worker.sock");
        assert!(check_owner(1000, 1000, None, path).is_ok());
        assert!(check_owner(0, 1000, None, path).is_ok());
        assert!(check_owner(1001, 1000, Some(1001), path).is_ok());
        for (found, expected) in [(1001, None), (0, Some(1001)), (1000, Some(1001))] {
            let error = check_owner(found, 1000, expected, path).unwrap_err();
            assert!(error.to_string().contains(&format!("owned_by({found})")), "{error}");
        }
    }
}
