//! SHA-256, in one place: `ring` has it in assembly, fast in a debug build too.

use quire_domain::ids::Sha256;
use ring::digest::{Context, SHA256};

/// The digest of some bytes.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// Takes bytes as they come and gives their digest.
#[derive(Clone)]
pub struct Hasher(Context);

impl Hasher {
    /// Over nothing yet.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Sha256 {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.0.finish().as_ref()) {
            *to = *from;
        }
        Sha256::from_bytes(&bytes)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}
