//! The private authority.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

use super::files::Dir;
use super::{CertsError, leaf};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";

/// Longer than anything it signs; shorter than one would forget where its key is.
const DAYS: i64 = 5 * 365;

/// Signs certificates.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    ends: OffsetDateTime,
}

impl Authority {
    /// A new one. Its name is like no other's, so that what another one signed is told apart at once.
    pub(super) fn make() -> Result<Self, CertsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("dspex private authority {}", &id[..12]));
        // Signs leaves alone.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = leaf::begin();
        params.not_after = OffsetDateTime::now_utc() + Duration::days(DAYS);
        let ends = params.not_after;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key), ends })
    }

    /// The one of a directory.
    pub(super) fn read(dir: &Dir) -> Result<Self, CertsError> {
        let path = dir.path().join(CERTIFICATE);
        if !path.exists() || !dir.path().join(KEY).exists() {
            return Err(CertsError::NoAuthority(dir.path().to_owned()));
        }
        let pem = dir.read(CERTIFICATE)?;
        let broken =
            |error: rcgen::Error| CertsError::Certificate { path: path.clone(), problem: error.to_string() };
        let key = KeyPair::from_pem(&dir.read(KEY)?).map_err(broken)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(broken)?;
        let ends = leaf::facts(&pem)
            .map_err(|problem| CertsError::Certificate { path: path.clone(), problem })?
            .ends;
        Ok(Self { pem, issuer, ends })
    }

    pub(super) fn write(&self, dir: &Dir) -> Result<(), CertsError> {
        dir.write(KEY, &self.issuer.key().serialize_pem(), false)?;
        Ok(dir.write(CERTIFICATE, &self.pem, false)?)
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn ends(&self) -> OffsetDateTime {
        self.ends
    }

    /// The certificate as PEM.
    pub(super) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Result<String, CertsError> {
        if params.not_after > self.ends {
            return Err(CertsError::AuthorityExpires(leaf::day(self.ends)));
        }
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}
