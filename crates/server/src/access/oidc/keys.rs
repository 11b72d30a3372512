//! One public key of a provider, and what it signed.
//!
//! An algorithm is taken from a closed list of signatures with a public key; `none` and the HMACs
//! are not in it, so that nobody signs with the text of a key that everybody knows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// How something is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A key as the provider publishes it. What of it is private is not read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Jwk {
    kty: String,
    #[serde(default)]
    pub kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

impl Jwk {
    /// Whether it is for signatures of this kind.
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        let kind = match algorithm {
            A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512 => ("RSA", None),
            A::Es256 => ("EC", Some("P-256")),
            A::Es384 => ("EC", Some("P-384")),
            A::EdDsa => ("OKP", Some("Ed25519")),
        };
        let named = self.alg.as_deref().map(Algorithm::parse);
        self.kty == kind.0
            && kind.1.is_none_or(|curve| self.crv.as_deref() == Some(curve))
            && self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && named.is_none_or(|named| named == Some(algorithm))
    }

    /// Whether the signature is this key's. RSA keys of less than 2,048 bits sign nothing.
    pub fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        use Algorithm as A;
        if !self.is_for(algorithm) {
            return false;
        }
        let rsa = |how: &'static signature::RsaParameters| {
            let (Some(n), Some(e)) = (number(self.n.as_ref()), number(self.e.as_ref())) else {
                return false;
            };
            RsaPublicKeyComponents { n, e }.verify(how, message, signature).is_ok()
        };
        let curve = |how: &'static dyn signature::VerificationAlgorithm, bytes: usize| {
            let (Some(x), Some(y)) = (number(self.x.as_ref()), number(self.y.as_ref())) else {
                return false;
            };
            if x.len() != bytes || y.len() != bytes {
                return false;
            }
            let point = [&[4][..], &x, &y].concat();
            UnparsedPublicKey::new(how, point).verify(message, signature).is_ok()
        };
        match algorithm {
            A::Rs256 => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            A::Rs384 => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            A::Rs512 => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            A::Ps256 => rsa(&signature::RSA_PSS_2048_8192_SHA256),
            A::Ps384 => rsa(&signature::RSA_PSS_2048_8192_SHA384),
            A::Ps512 => rsa(&signature::RSA_PSS_2048_8192_SHA512),
            A::Es256 => curve(&signature::ECDSA_P256_SHA256_FIXED, 32),
            A::Es384 => curve(&signature::ECDSA_P384_SHA384_FIXED, 48),
            A::EdDsa => number(self.x.as_ref()).is_some_and(|x| {
                UnparsedPublicKey::new(&signature::ED25519, x).verify(message, signature).is_ok()
            }),
        }
    }
}

fn number(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}
