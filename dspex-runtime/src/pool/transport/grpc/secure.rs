//! TLS with certificates on both sides.

use secrecy::ExposeSecret;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as Target, Identity};

use super::super::LinkError;
use super::dial::{carrier, configure};
use crate::pool::endpoint::host_of;
use crate::pool::tls::ClientTls;

/// Connects to `host:port`, whose certificate must be of the authority and hold the name.
pub(super) async fn dial(tls: &ClientTls, authority: &str) -> Result<Channel, LinkError> {
    // Files: a look at the disk, once for each connection.
    let loaded = tokio::task::spawn_blocking({
        let tls = tls.clone();
        move || tls.load()
    });
    let loaded = loaded.await.map_err(|error| LinkError::Carrier(error.to_string()))?;
    let loaded = loaded.map_err(LinkError::Certificate)?;
    let config = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(loaded.authority))
        .identity(Identity::from_pem(loaded.certificate, loaded.key.expose_secret()))
        .domain_name(tls.name_for(host_of(authority)));
    let target = Target::from_shared(format!("https://{authority}")).map_err(carrier)?;
    let target = target.tls_config(config).map_err(|error| {
        LinkError::Certificate(format!(
            "the certificate or its key cannot be used: {}",
            super::describe(&error)
        ))
    })?;
    configure(target).connect().await.map_err(|error| told(super::describe(&error)))
}

/// What TLS calls the problem, and where to look.
pub(super) fn told(problem: String) -> LinkError {
    let advice = [
        ("received fatal alert: CertificateRequired", "the worker asks for a certificate and took none"),
        ("received fatal alert: CertificateExpired", "this host's certificate has expired: renew it"),
        (
            "received fatal alert: UnknownCA",
            "the worker does not trust this host's certificate: another authority than its --tls-client-ca signed it",
        ),
        (
            "received fatal alert: DecryptError",
            "the worker does not trust this host's certificate: another authority of the same name signed it",
        ),
        ("received fatal alert", "the worker refuses this host's certificate; its log says more"),
        (
            "UnknownIssuer",
            "the worker's certificate was not signed by the authority that this host was given",
        ),
        ("BadSignature", "the worker's certificate was not signed by the authority that this host was given"),
        (
            "not valid for name",
            "the worker's certificate is for another name: connect to one of its names, or give it with `server_name`",
        ),
        ("Expired", "the worker's certificate has expired: renew it"),
        ("NotValidYet", "the worker's certificate is not valid yet; are both clocks right?"),
        ("InvalidContentType", "no TLS is spoken there: was the worker started with --tls-cert?"),
    ];
    match advice.iter().find(|(sign, _)| problem.contains(sign)) {
        Some((_, advice)) => LinkError::Certificate(format!("{advice} ({problem})")),
        None => LinkError::Carrier(problem),
    }
}
