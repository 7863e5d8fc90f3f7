//! TLS with certificates on both sides.
//!
//! A worker refuses a host's certificate only after the handshake is done for the host, and what then arrives in the
//! place of an answer is lost in HTTP/2. So the stream below it keeps what it saw, in [`Alert`].

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tonic::transport::{Channel, Endpoint as Target};

use super::super::LinkError;
use super::dial::{carrier, configure};
use crate::pool::endpoint::host_of;
use crate::pool::tls::{ClientTls, Loaded};

/// What ended the encrypted stream, once something did.
pub(super) type Alert = Arc<OnceLock<String>>;

/// Connects to `host:port`, whose certificate must be of the authority and hold the name.
pub(super) async fn dial(tls: &ClientTls, authority: &str, alert: Alert) -> Result<Channel, LinkError> {
    let name = tls.name_for(host_of(authority)).to_owned();
    let name = ServerName::try_from(name.clone())
        .map_err(|_| LinkError::Certificate(format!("`{name}` cannot be the name of a worker")))?;
    // Files: a look at the disk, once for each connection.
    let tls = tls.clone();
    let loaded = tokio::task::spawn_blocking(move || tls.load());
    let loaded = loaded.await.map_err(|error| LinkError::Carrier(error.to_string()))?;
    let config = loaded.and_then(|loaded| config(&loaded)).map_err(LinkError::Certificate)?;
    let connector = TlsConnector::from(Arc::new(config));
    let address: Arc<str> = authority.into();
    // The stream is encrypted below HTTP/2, which therefore is told of a plain one.
    let target = Target::from_shared(format!("http://{authority}")).map_err(carrier)?;
    let dialled = tower::service_fn(move |_| {
        let (address, connector) = (address.clone(), connector.clone());
        let (name, alert) = (name.clone(), alert.clone());
        async move {
            let stream = TcpStream::connect(&*address).await?;
            stream.set_nodelay(true)?;
            let stream = connector.connect(name, stream).await?;
            Ok::<_, std::io::Error>(TokioIo::new(Noted { stream, alert }))
        }
    });
    configure(target).connect_with_connector(dialled).await.map_err(|error| told(super::describe(&error)))
}

fn config(loaded: &Loaded) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(loaded.authority.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("the authority cannot be read: {error}"))?;
        roots.add(certificate).map_err(|error| format!("the authority cannot be used: {error}"))?;
    }
    let chain = CertificateDer::pem_slice_iter(loaded.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("this host's certificate cannot be read: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(loaded.key.expose_secret().as_bytes())
        .map_err(|_| "this host's key cannot be read".to_owned())?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("this host's certificate and key cannot be used together: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// What TLS calls the problem, and where to look.
pub(super) fn told(problem: String) -> LinkError {
    let advice = [
        ("alert: CertificateExpired", "this host's certificate has expired; renew it"),
        (
            "alert: UnknownCA",
            "the worker refuses this host's certificate, which another authority than its --tls-client-ca signed",
        ),
        ("fatal alert", "the worker refuses this host's certificate"),
        (
            "UnknownIssuer",
            "the worker's certificate was not signed by the authority that this host was given",
        ),
        ("BadSignature", "the worker's certificate was not signed by the authority that this host was given"),
        (
            "not valid for name",
            "the worker's certificate is for another name; connect to one of its names, or give it with `server_name`",
        ),
        ("certificate expired", "the worker's certificate has expired; renew it"),
        ("not valid yet", "the worker's certificate is not valid yet; are both clocks right?"),
        ("InvalidContentType", "no TLS is spoken there; was the worker started with --tls-cert?"),
    ];
    match advice.iter().find(|(sign, _)| problem.contains(sign)) {
        Some((_, advice)) => LinkError::Certificate(format!("{advice} ({problem})")),
        None => LinkError::Carrier(problem),
    }
}

/// Of a worker that ended the connection in the place of an answer. gRPC's own servers do not say why.
pub(super) fn hung_up(alert: String) -> LinkError {
    match told(alert) {
        LinkError::Carrier(alert) => LinkError::Certificate(format!(
            "the worker hung up when it had seen this host's certificate: has that expired, or did another authority than its --tls-client-ca sign it? ({alert})"
        )),
        told => told,
    }
}

/// The encrypted stream; what it fails with is noted.
struct Noted {
    stream: TlsStream<TcpStream>,
    alert: Alert,
}

impl Noted {
    fn note<T>(&self, done: Poll<std::io::Result<T>>) -> Poll<std::io::Result<T>> {
        if let Poll::Ready(Err(error)) = &done {
            let _ = self.alert.set(error.to_string());
        }
        done
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.note(done)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        // Only what is read tells why the worker hung up.
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
