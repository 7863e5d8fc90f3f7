//! The certificate of a group of workers or of a host, with its key and what goes beside it.

use std::path::{Path, PathBuf};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

use super::CertsError;
use super::authority::Authority;
use super::files::Dir;

/// Who shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Worker,
    Host,
}

impl Purpose {
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Worker => "workers",
            Self::Host => "hosts",
        }
    }

    /// The certificate, its key, and the authority for whom the other side shows its own.
    fn files(self) -> [&'static str; 3] {
        match self {
            Self::Worker => ["server.pem", "server.key", "client-ca.pem"],
            Self::Host => ["client.pem", "client.key", "ca.pem"],
        }
    }
}

/// A certificate to make, or one that there is.
pub(super) struct Leaf {
    purpose: Purpose,
    name: String,
    names: Vec<String>,
}

/// What a certificate says.
pub(super) struct Facts {
    pub(super) ends: OffsetDateTime,
    names: Vec<String>,
}

impl Leaf {
    /// Reads `NAME[=ADDRESS,..]`.
    pub(super) fn worker(text: &str) -> Result<Self, CertsError> {
        let (name, addresses) = text.split_once('=').unwrap_or((text, ""));
        let mut leaf = Self::named(Purpose::Worker, name)?;
        for address in addresses.split(',').map(str::trim).filter(|address| !address.is_empty()) {
            let problem = |problem: String| CertsError::Address { name: address.to_owned(), problem };
            if address.parse::<std::net::IpAddr>().is_err() {
                if address.contains([':', '/', ' ']) {
                    return Err(problem("expected a host name or an IP address, without a port".to_owned()));
                }
                san(address).map_err(|error| problem(error.to_string()))?;
            }
            leaf.names.push(address.to_owned());
        }
        Ok(leaf)
    }

    pub(super) fn host(name: &str) -> Result<Self, CertsError> {
        Self::named(Purpose::Host, name)
    }

    fn named(purpose: Purpose, name: &str) -> Result<Self, CertsError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let right = !name.is_empty()
            && name.len() <= 63
            && name.chars().all(allowed)
            && !name.starts_with(['.', '-']);
        if !right {
            return Err(CertsError::Name(name.to_owned()));
        }
        Ok(Self { purpose, name: name.to_owned(), names: vec![name.to_owned()] })
    }

    /// Those of a directory.
    pub(super) fn all(dir: &Dir) -> Result<Vec<Self>, CertsError> {
        let mut leaves = Vec::new();
        for purpose in [Purpose::Worker, Purpose::Host] {
            for name in dir.folders(purpose.folder())? {
                let mut leaf = Self::named(purpose, &name)?;
                leaf.names = leaf.read(dir)?.names;
                leaves.push(leaf);
            }
        }
        Ok(leaves)
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Its directory, within the authority's.
    pub(super) fn dir(&self) -> PathBuf {
        Path::new(self.purpose.folder()).join(&self.name)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Until when the one that there is is valid.
    pub(super) fn ends(&self, dir: &Dir) -> Result<OffsetDateTime, CertsError> {
        Ok(self.read(dir)?.ends)
    }

    fn read(&self, dir: &Dir) -> Result<Facts, CertsError> {
        let path = self.dir().join(self.purpose.files()[0]);
        let pem = dir.read(&path)?;
        facts(&pem).map_err(|problem| CertsError::Certificate { path: dir.path().join(path), problem })
    }

    /// Makes it, with a new key; returns until when it is valid. `replace`: there may be one.
    pub(super) fn write(
        &self,
        dir: &Dir,
        authority: &Authority,
        lasting: std::time::Duration,
        replace: bool,
    ) -> Result<OffsetDateTime, CertsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name.as_str());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = begin();
        params.not_after = OffsetDateTime::now_utc() + Duration::seconds(lasting.as_secs().cast_signed());
        // Neither can stand in for the other.
        params.extended_key_usages = vec![match self.purpose {
            Purpose::Worker => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Host => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        for name in &self.names {
            params.subject_alt_names.push(san(name)?);
        }
        let pem = authority.sign(&params, &key)?;
        let [certificate, secret, ca] = self.purpose.files();
        let at = self.dir();
        dir.write(at.join(secret), &key.serialize_pem(), replace)?;
        dir.write(at.join(certificate), &pem, replace)?;
        dir.write(at.join(ca), authority.pem(), replace)?;
        if self.purpose == Purpose::Host && !replace {
            dir.write(at.join("token"), &format!("{}\n", new_token()), false)?;
        }
        Ok(params.not_after)
    }
}

/// Tells all workers of all hosts.
pub(super) fn write_tokens(dir: &Dir) -> Result<(), CertsError> {
    let mut tokens = String::new();
    for host in dir.folders(Purpose::Host.folder())? {
        let token = dir.read(Path::new(Purpose::Host.folder()).join(&host).join("token"))?;
        tokens += &format!("{host}:{}\n", token.trim());
    }
    for worker in dir.folders(Purpose::Worker.folder())? {
        dir.write(Path::new(Purpose::Worker.folder()).join(worker).join("tokens"), &tokens, true)?;
    }
    Ok(())
}

/// 244 random bits.
fn new_token() -> String {
    let random = || uuid::Uuid::new_v4().simple().to_string();
    random() + &random()
}

fn san(name: &str) -> Result<SanType, rcgen::Error> {
    Ok(match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into()?),
    })
}

/// A little earlier than now: clocks differ.
pub(super) fn begin() -> OffsetDateTime {
    OffsetDateTime::now_utc() - Duration::minutes(5)
}

/// As in 2026-11-23.
pub(super) fn day(moment: OffsetDateTime) -> String {
    moment.date().to_string()
}

/// Reads a certificate; the error goes on after its file's name.
pub(super) fn facts(pem: &str) -> Result<Facts, String> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|error| error.to_string())?;
    let certificate = pem.parse_x509().map_err(|error| error.to_string())?;
    let mut names = Vec::new();
    if let Ok(Some(found)) = certificate.subject_alternative_name() {
        for name in &found.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
                _ => {}
            }
        }
    }
    Ok(Facts { ends: certificate.validity().not_after.to_datetime(), names })
}

fn address(bytes: &[u8]) -> Option<String> {
    let address: std::net::IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        _ => <[u8; 16]>::try_from(bytes).ok()?.into(),
    };
    Some(address.to_string())
}
