//! The certificate authority of one door: made when it is opened, gone with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::EgressError;

/// Hosts whose certificates are kept; a rule with a wildcard could make a sandbox ask for more.
const MOST_HOSTS: usize = 256;

/// A task may be kept for weeks; what it was given has to hold.
const VALID: Duration = Duration::from_hours(24 * 90);

/// Clocks differ.
const BEFORE: Duration = Duration::from_hours(48);

/// Signs a certificate for each host whose TLS is ended here. Its key never leaves the process.
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    leaf_key: KeyPair,
    hosts: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    /// A new one, with a key of its own.
    pub(crate) fn new() -> Result<Self, EgressError> {
        let key = KeyPair::generate().map_err(EgressError::Authority)?;
        let mut params = dated(CertificateParams::default());
        params.distinguished_name.push(DnType::OrganizationName, "Quire");
        // Java and OpenSSL look issuers up by name: two tasks' authorities must not share one.
        let name = format!("Quire task {}", short(key.der_bytes()));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(EgressError::Authority)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            leaf_key: KeyPair::generate().map_err(EgressError::Authority)?,
            hosts: Mutex::new(HashMap::new()),
        })
    }

    /// Its own certificate: what the sandbox is to believe.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// How to be `host`: HTTP/1.1 and nothing else is offered.
    pub(crate) fn server(&self, host: &str) -> Result<Arc<ServerConfig>, EgressError> {
        let known = |hosts: &HashMap<String, Arc<ServerConfig>>| hosts.get(host).cloned();
        if let Some(config) = known(&self.hosts.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(config);
        }
        let config = Arc::new(self.sign(host)?);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MOST_HOSTS {
            hosts.clear();
        }
        hosts.insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    fn sign(&self, host: &str) -> Result<ServerConfig, EgressError> {
        let mut params =
            dated(CertificateParams::new(vec![host.to_owned()]).map_err(EgressError::Authority)?);
        // A common name holds 64 characters at most; the name that counts is the alternative one.
        params.distinguished_name.push(DnType::CommonName, "Quire egress");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf =
            params.signed_by(&self.leaf_key, &self.issuer).map_err(EgressError::Authority)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(EgressError::Tls)?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .map_err(EgressError::Tls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Valid from two days ago for ninety days.
fn dated(mut params: CertificateParams) -> CertificateParams {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let day = |at: Duration| {
        let (year, month, day) = civil(at.as_secs() / 86_400);
        rcgen::date_time_ymd(year, month, day)
    };
    params.not_before = day(now.saturating_sub(BEFORE));
    params.not_after = day(now + VALID);
    params
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar: counted in eras
/// of 400 years that begin on the first of March.
fn civil(days: u64) -> (i32, u8, u8) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (
        i32::try_from(year).unwrap_or(9999),
        u8::try_from(month).unwrap_or(1),
        u8::try_from(day).unwrap_or(1),
    )
}

/// The first four bytes of a digest, as hex.
fn short(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().take(4).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Authority, civil};

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (19_723, (2024, 1, 1)),
            (20_147, (2025, 2, 28)),
            (20_148, (2025, 3, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }

    #[test]
    fn a_host_is_signed_once_and_many_hosts_are_forgotten_again() {
        let authority = Authority::new().unwrap();
        let first = authority.server("a.example").unwrap();
        assert!(Arc::ptr_eq(&first, &authority.server("a.example").unwrap()));
        for index in 0..super::MOST_HOSTS {
            authority.server(&format!("h{index}.example")).unwrap();
        }
        assert!(authority.hosts.lock().unwrap().len() <= super::MOST_HOSTS);
    }
}
