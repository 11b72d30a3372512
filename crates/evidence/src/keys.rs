//! The key an installation signs with, and the keys a person trusts.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quire_domain::ids::Sha256;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::digest::sha256;

/// What comes before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness.
    #[error("the system gave no random bytes for a new key")]
    NoRandom,
    /// Not a private Ed25519 key in PKCS#8.
    #[error("this is no Ed25519 key in PKCS#8 form")]
    BadPrivateKey,
    /// Not a public Ed25519 key.
    #[error("this is no Ed25519 public key (PEM, or the base64 of its SubjectPublicKeyInfo)")]
    BadPublicKey,
}

/// The key pair of one installation.
pub struct InstallationKey(Ed25519KeyPair);

impl InstallationKey {
    /// Makes a new key and gives its PKCS#8 bytes, to be kept where only this installation can
    /// read them.
    pub fn generate() -> Result<Vec<u8>, KeyError> {
        let document =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::NoRandom)?;
        Ok(document.as_ref().to_vec())
    }

    /// Opens a key from its PKCS#8 bytes.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_pkcs8(bytes).map(Self).map_err(|_| KeyError::BadPrivateKey)
    }

    /// The half that others may have.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// Signs bytes.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(bytes).as_ref().to_vec()
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallationKey({})", self.public().id())
    }
}

/// A public key. Prints as the base64 of its SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Its SubjectPublicKeyInfo.
    pub fn spki(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.0].concat()
    }

    /// Its name: SHA-256 of the SubjectPublicKeyInfo.
    pub fn id(&self) -> Sha256 {
        sha256(&self.spki())
    }

    /// As a PEM file, which `openssl pkey -pubin` reads.
    pub fn to_pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{self}\n-----END PUBLIC KEY-----\n")
    }

    /// Reads a PEM file or the base64 of a SubjectPublicKeyInfo.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let base64: String =
            text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
        let bytes = STANDARD.decode(base64).map_err(|_| KeyError::BadPublicKey)?;
        let key = bytes.strip_prefix(SPKI_PREFIX.as_slice()).ok_or(KeyError::BadPublicKey)?;
        key.try_into().map(Self).map_err(|_| KeyError::BadPublicKey)
    }

    /// Whether `signature` over `bytes` was made with this key.
    pub(crate) fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(bytes, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.spki()))
    }
}
