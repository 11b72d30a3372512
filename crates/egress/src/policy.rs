//! What one sandbox may reach, and what is added to its requests.

use std::collections::BTreeMap;

use hyper::header::{self, HeaderName, HeaderValue};
use quire_domain::network::{CredentialSpec, NetworkPolicy, NetworkRule};
use quire_domain::secret::Secret;

/// A longer header value is no token.
const MOST_VALUE_BYTES: usize = 8 << 10;

/// What one sandbox may reach in one phase.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// What the environment says.
    pub network: NetworkPolicy,
    /// What the caller found out: under [`NetworkPolicy::Packages`] the hosts of the package
    /// managers. They are allowed whatever `network` is.
    pub further: Vec<NetworkRule>,
    /// Headers added outside. What their rules match is allowed whatever `network` is.
    pub credentials: Vec<Credential>,
    /// Bytes that the sandbox may send and receive in all, where that is less than the worker's
    /// own bound.
    pub most_bytes: Option<u64>,
    /// The setting that says what may be reached, e.g. `network.agent`: told to whoever is
    /// refused. Empty where it has no name.
    pub setting: &'static str,
}

/// A header that is added to matching requests, with its value.
///
/// It is added over TLS, or to a host that the administrator listed as private, never else.
#[derive(Debug, Clone)]
pub struct Credential {
    rule: NetworkRule,
    header: HeaderName,
    value: Secret<HeaderValue>,
}

impl Credential {
    /// The header that `spec` describes, with `${NAME}` in its value replaced from `secrets`.
    pub fn resolve(
        spec: &CredentialSpec,
        secrets: &BTreeMap<String, Secret<String>>,
    ) -> Result<Self, BadCredential> {
        let mut value = String::new();
        let mut rest = spec.value.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or(BadCredential::Unclosed)?;
            let secret =
                secrets.get(name).ok_or_else(|| BadCredential::NoSecret(name.to_owned()))?;
            value.push_str(before);
            value.push_str(secret.reveal());
            rest = after;
        }
        value.push_str(rest);
        Self::new(spec.rule.clone(), &spec.header, &Secret::new(value))
    }

    /// A header with its whole value.
    pub fn new(
        rule: NetworkRule,
        header: &str,
        value: &Secret<String>,
    ) -> Result<Self, BadCredential> {
        let name = HeaderName::from_bytes(header.as_bytes())
            .ok()
            .filter(may_be_set)
            .ok_or_else(|| BadCredential::Header(header.to_owned()))?;
        let text = value.reveal();
        let plain = !text.trim().is_empty()
            && text.len() <= MOST_VALUE_BYTES
            && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let mut value = plain
            .then(|| HeaderValue::from_str(text.trim()).ok())
            .flatten()
            .ok_or(BadCredential::Value)?;
        value.set_sensitive(true);
        Ok(Self { rule, header: name, value: Secret::new(value) })
    }

    /// To which requests it is added.
    pub fn rule(&self) -> &NetworkRule {
        &self.rule
    }

    /// Which header it is.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Its value: for the request that leaves, and for nothing else.
    pub(crate) fn value(&self) -> &Secret<HeaderValue> {
        &self.value
    }
}

/// Headers that steer the connection cannot be credentials: they would change what is asked of
/// whom, or would be stripped again.
fn may_be_set(name: &HeaderName) -> bool {
    let steering = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        header::PROXY_AUTHORIZATION,
        header::PROXY_AUTHENTICATE,
    ];
    !steering.contains(name) && name != "keep-alive" && name != "proxy-connection"
}

/// Why a credential cannot be used. Never says its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    /// The header is none, or one that steers the connection.
    #[error("`{0}` is no header that a credential may set")]
    Header(String),
    /// The value cannot be sent.
    #[error("the credential's value is empty, too long, or holds what no header may")]
    Value,
    /// A `${` without its `}`.
    #[error("the credential's value has a `${{` without its `}}`")]
    Unclosed,
    /// There is no secret of that name.
    #[error("its secret `{0}` has no value here: `quire env secret set {0}`")]
    NoSecret(String),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quire_domain::network::CredentialSpec;
    use quire_domain::secret::Secret;

    use super::{BadCredential, Credential};

    fn spec(header: &str, value: &str) -> CredentialSpec {
        CredentialSpec {
            rule: "registry.example GET /npm".parse().unwrap(),
            header: header.to_owned(),
            value: value.to_owned(),
            agent: true,
        }
    }

    #[test]
    fn a_credential_is_resolved_from_secrets_and_prints_none() {
        let secrets = BTreeMap::from([("TOKEN".to_owned(), Secret::new("canary-1".to_owned()))]);
        let credential =
            Credential::resolve(&spec("Authorization", "Bearer ${TOKEN}"), &secrets).unwrap();
        assert_eq!(credential.value().reveal().as_bytes(), b"Bearer canary-1");
        assert!(!format!("{credential:?}").contains("canary"));

        let bad = |header, value| Credential::resolve(&spec(header, value), &secrets).unwrap_err();
        assert_eq!(bad("Authorization", "${OTHER}"), BadCredential::NoSecret("OTHER".to_owned()));
        assert_eq!(bad("Authorization", "${TOKEN"), BadCredential::Unclosed);
        assert_eq!(bad("X-Key", "a\r\nHost: evil"), BadCredential::Value);
        for header in ["Host", "connection", "Transfer-Encoding", "a b", ""] {
            assert_eq!(bad(header, "x"), BadCredential::Header(header.to_owned()));
        }
    }
}
