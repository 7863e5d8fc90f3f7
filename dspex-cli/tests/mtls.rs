//! From one command to a DSPy call on a worker over TLS with certificates on both sides; and all that is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

#[path = "../../tests/common/word.rs"]
mod word;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dspex::prelude::*;
use dspex::{ClientTls, Endpoint};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use word::{assert_answers, lm};

fn certs(dir: &Path, args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dspex"));
    let status =
        command.arg("certs").args(&args[..1]).arg("--dir").arg(dir).args(&args[1..]).stdout(Stdio::null());
    assert!(status.status().unwrap().success());
}

/// A worker that `dspex serve` became.
struct Worker {
    process: Child,
    dir: tempfile::TempDir,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Worker {
    fn start(files: &Path) -> (Self, u16) {
        let mut worker = Self::spawn(files);
        let port = worker.dir.path().join("port");
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            match std::fs::read_to_string(&port) {
                Ok(text) if text.ends_with('\n') => {
                    return (worker, text.trim().rsplit(':').next().unwrap().parse().unwrap());
                }
                _ => assert!(Instant::now() < give_up && worker.process.try_wait().unwrap().is_none()),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn spawn(files: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dspex"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--port-file"]).arg(dir.path().join("port"));
        for (option, file) in [
            ("--tls-cert", "server.pem"),
            ("--tls-key", "server.key"),
            ("--tls-client-ca", "client-ca.pem"),
            ("--token-file", "tokens"),
        ] {
            command.arg(option).arg(files.join(file));
        }
        Self { process: command.stderr(log).spawn().unwrap(), dir }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// What it says where it does not start.
    fn refusal(files: &Path) -> String {
        let mut worker = Self::spawn(files);
        assert!(!worker.process.wait().unwrap().success());
        worker.log()
    }
}

async fn start(endpoint: Endpoint, token: &str) -> dspex::Result<Dspex> {
    Dspex::builder().lm(lm()).endpoint(endpoint).token(token.trim().to_owned()).start().await
}

async fn refusal(endpoint: Endpoint, token: &str) -> String {
    let begun = Instant::now();
    let error = start(endpoint, token).await.map(drop).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "a refusal is no time-out: {error}");
    error.to_string()
}

struct Setup {
    _parent: tempfile::TempDir,
    dir: PathBuf,
}

impl Setup {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("certs");
        certs(&dir, &["init", "--worker", "gpu=localhost,127.0.0.1", "--host", "web"]);
        Self { _parent: parent, dir }
    }

    fn worker(&self) -> PathBuf {
        self.dir.join("workers/gpu")
    }

    fn host(&self) -> PathBuf {
        self.dir.join("hosts/web")
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.host().join("token")).unwrap()
    }

    /// A leaf of this authority with dates of its own, in the place of one that there is.
    fn sign(&self, folder: &Path, stem: &str, usage: ExtendedKeyUsagePurpose, begins: i64, ends: i64) {
        let ca = |name: &str| std::fs::read_to_string(self.dir.join(name)).unwrap();
        let issuer =
            Issuer::from_ca_cert_pem(&ca("ca.pem"), KeyPair::from_pem(&ca("ca.key")).unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let day = |days| OffsetDateTime::now_utc() + time::Duration::days(days);
        (params.not_before, params.not_after) = (day(begins), day(ends));
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &issuer).unwrap().pem();
        std::fs::write(folder.join(format!("{stem}.key")), key.serialize_pem()).unwrap();
        std::fs::write(folder.join(format!("{stem}.pem")), pem).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_is_enough_for_a_typed_call_over_tls_and_renewing_needs_no_restart() {
    let setup = Setup::new();
    let (worker, port) = Worker::start(&setup.worker());
    let tls = ClientTls::from_dir(setup.host());
    for endpoint in [
        Endpoint::tcp(format!("127.0.0.1:{port}")).tls(tls.clone()),
        Endpoint::tcp(format!("localhost:{port}")).tls(tls.clone()),
        Endpoint::tcp(format!("127.0.0.1:{port}")).tls(tls.clone().server_name("gpu")),
    ] {
        assert_answers(&start(endpoint, &setup.token()).await.unwrap()).await;
    }
    assert!(worker.log().contains("the host web is connected"), "{}", worker.log());
    certs(&setup.dir, &["renew"]);
    let here = || Endpoint::tcp(format!("127.0.0.1:{port}")).tls(tls.clone());
    assert_answers(&start(here(), &setup.token()).await.unwrap()).await;
    assert!(worker.log().contains("serves with the new certificate"), "{}", worker.log());
    assert!(!worker.log().contains(setup.token().trim()), "its log shows a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authority_takes_the_place_of_one_that_nobody_trusts_any_more() {
    let (setup, other) = (Setup::new(), Setup::new());
    let (worker, port) = Worker::start(&setup.worker());
    let at = |host: PathBuf| Endpoint::tcp(format!("127.0.0.1:{port}")).tls(ClientTls::from_dir(host));
    assert_answers(&start(at(setup.host()), &setup.token()).await.unwrap()).await;
    for (files, from, to) in [
        (["server.pem", "server.key", "client-ca.pem"], other.worker(), setup.worker()),
        (["ca.pem", "client.pem", "client.key"], other.host(), setup.dir.join("hosts/renewed")),
    ] {
        std::fs::create_dir_all(&to).unwrap();
        for file in files {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
    let renewed = at(setup.dir.join("hosts/renewed"));
    assert_answers(&start(renewed, &setup.token()).await.unwrap()).await;
    assert!(worker.log().contains("serves with the new certificate"), "{}", worker.log());
    // The host of the old one: it trusts the worker no more, nor does the worker trust it where it does.
    let error = refusal(at(setup.host()), &setup.token()).await;
    assert!(error.contains("was not signed by the authority"), "{error}");
    let half = setup.host();
    let half =
        ClientTls::from_files(other.host().join("ca.pem"), half.join("client.pem"), half.join("client.key"));
    let error = refusal(Endpoint::tcp(format!("127.0.0.1:{port}")).tls(half), &setup.token()).await;
    assert!(error.contains("this host's certificate"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_the_wrong_thing_is_refused_and_told_why() {
    let (setup, other) = (Setup::new(), Setup::new());
    let (_worker, port) = Worker::start(&setup.worker());
    let at = |host: &str| Endpoint::tcp(format!("{host}:{port}"));
    let token = setup.token();

    // The right certificate and the wrong token, or none.
    let tls = ClientTls::from_dir(setup.host());
    assert!(refusal(at("127.0.0.1").tls(tls.clone()), &other.token()).await.contains("none of the worker's"));
    // No TLS at all.
    let error = refusal(at("127.0.0.1"), &token).await;
    assert!(error.contains("could not be reached"), "{error}");
    // A worker whose name is another one.
    let error = refusal(at("127.0.0.1").tls(tls.clone().server_name("cpu")), &token).await;
    assert!(error.contains("for another name"), "{error}");
    // A host of another authority; a worker of another authority.
    let theirs = other.host();
    let foreign = ClientTls::from_files(
        setup.host().join("ca.pem"),
        theirs.join("client.pem"),
        theirs.join("client.key"),
    );
    let error = refusal(at("127.0.0.1").tls(foreign), &token).await;
    assert!(error.contains("the worker") && error.contains("this host's certificate"), "{error}");
    let error = refusal(at("127.0.0.1").tls(ClientTls::from_dir(other.host())), &token).await;
    assert!(error.contains("was not signed by the authority"), "{error}");
    // A host's certificate that has expired; a worker's in its place.
    let expired = tempfile::tempdir().unwrap();
    setup.sign(expired.path(), "client", ExtendedKeyUsagePurpose::ClientAuth, -9, -1);
    std::fs::copy(setup.dir.join("ca.pem"), expired.path().join("ca.pem")).unwrap();
    let error = refusal(at("127.0.0.1").tls(ClientTls::from_dir(expired.path())), &token).await;
    assert!(error.contains("this host's certificate"), "{error}");
    let wrong = setup.worker();
    let swapped =
        ClientTls::from_files(setup.dir.join("ca.pem"), wrong.join("server.pem"), wrong.join("server.key"));
    let error = refusal(at("127.0.0.1").tls(swapped), &token).await;
    assert!(error.contains("this host's certificate"), "{error}");
    // A key that is not the certificate's.
    let mixed = ClientTls::from_files(
        setup.dir.join("ca.pem"),
        setup.host().join("client.pem"),
        theirs.join("client.key"),
    );
    let error = refusal(at("127.0.0.1").tls(mixed), &token).await;
    assert!(error.contains("cannot be used"), "{error}");

    // And the worker serves those who show the right ones.
    assert_answers(&start(at("127.0.0.1").tls(tls), &token).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_without_a_certificate_is_told_nothing() {
    let setup = Setup::new();
    let (_worker, port) = Worker::start(&setup.worker());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(setup.dir.join("ca.pem")).unwrap()).unwrap();
    let provider = std::sync::Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut answer = Vec::new();
    // For TLS 1.3 the host's handshake is done before the worker has seen that a certificate is missing.
    if let Ok(mut stream) = connector.connect("127.0.0.1".try_into().unwrap(), stream).await {
        let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the worker hangs up");
    }
    assert!(answer.is_empty(), "{answer:?}");
}

#[test]
fn a_worker_does_not_start_with_what_no_host_could_connect_to() {
    let setup = Setup::new();
    let files = setup.worker();
    let key = std::fs::read_to_string(files.join("server.key")).unwrap();
    let other = KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(files.join("server.key"), other).unwrap();
    assert!(Worker::refusal(&files).contains("is not the key of the certificate"));
    std::fs::write(files.join("server.key"), "no key").unwrap();
    assert!(Worker::refusal(&files).contains("server.key cannot be used"));
    std::fs::remove_file(files.join("server.key")).unwrap();
    assert!(Worker::refusal(&files).contains("--tls-key: cannot read"));
    std::fs::write(files.join("server.key"), key).unwrap();
    let ca = std::fs::read_to_string(files.join("client-ca.pem")).unwrap();
    std::fs::write(
        files.join("client-ca.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(Worker::refusal(&files).contains("client-ca.pem holds a certificate that cannot be read"));
    std::fs::write(files.join("client-ca.pem"), ca).unwrap();
    setup.sign(&files, "server", ExtendedKeyUsagePurpose::ServerAuth, -9, -1);
    assert!(Worker::refusal(&files).contains("expired on 20"));
    setup.sign(&files, "server", ExtendedKeyUsagePurpose::ServerAuth, 1, 9);
    assert!(Worker::refusal(&files).contains("is valid from 20"));
}
