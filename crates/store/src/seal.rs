//! Encryption at rest: a value is sealed for one place and opened in no other.

use std::fmt::{self, Write};

use quire_domain::secret::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of a key.
pub const SEAL_KEY_BYTES: usize = 32;

/// Why a value cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The system gave no randomness.
    #[error("the system gave no random bytes")]
    NoRandom,
    /// Not a key.
    #[error("this is no key: it has to be {SEAL_KEY_BYTES} bytes")]
    BadKey,
    /// Sealed with a key that is not at hand.
    #[error("sealed with the key {sealed_with}, the one at hand is {at_hand}")]
    OtherKey {
        /// The key's name.
        sealed_with: String,
        /// The other's name.
        at_hand: String,
    },
    /// Changed, or moved from another place.
    #[error("the sealed value was changed, or was sealed for another place")]
    Tampered,
}

/// A sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The name of the key.
    pub key_id: String,
    /// Drawn anew for each value.
    pub nonce: [u8; NONCE_LEN],
    /// The value, encrypted and authenticated.
    pub bytes: Vec<u8>,
}

/// The key of an installation. It is kept outside of the database.
pub struct SealKey {
    key: LessSafeKey,
    id: String,
}

impl SealKey {
    /// Random bytes for a new key, to be kept where only this installation can read them.
    pub fn generate() -> Result<Secret<[u8; SEAL_KEY_BYTES]>, SealError> {
        let mut bytes = [0; SEAL_KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::NoRandom)?;
        Ok(Secret::new(bytes))
    }

    /// Takes a key from its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| SealError::BadKey)?;
        // One way: the name of a key says nothing of it.
        let hash = digest(&SHA256, &[b"quire seal key\0".as_slice(), bytes].concat());
        let mut id = String::with_capacity(16);
        for byte in hash.as_ref().iter().take(8) {
            let _ = write!(id, "{byte:02x}");
        }
        Ok(Self { key: LessSafeKey::new(key), id })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a value for `place`. Random nonces of 96 bits are safe for far more values than an
    /// installation ever keeps.
    pub fn seal(&self, place: &str, value: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
        let mut bytes = value.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| SealError::Tampered)?;
        Ok(Sealed { key_id: self.id.clone(), nonce, bytes })
    }

    /// Opens what was sealed for `place`.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<Secret<Vec<u8>>, SealError> {
        if sealed.key_id != self.id {
            let (sealed_with, at_hand) = (sealed.key_id.clone(), self.id.clone());
            return Err(SealError::OtherKey { sealed_with, at_hand });
        }
        let mut bytes = sealed.bytes.clone();
        let length = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(sealed.nonce),
                Aad::from(place.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| SealError::Tampered)?
            .len();
        bytes.truncate(length);
        Ok(Secret::new(bytes))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}
