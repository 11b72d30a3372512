//! Secrets of tokens, cookies and links: 32 random bytes, of which a hash is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quire_domain::secret::Secret;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// What a bearer token begins with, so that a scanner for leaked secrets knows it.
pub const TOKEN: &str = "quire_";

/// What the secret of a link that shows a task begins with.
pub const SHARE: &str = "quire_share_";

/// The longest text that is looked at as one of ours.
const MOST_BYTES: usize = 200;

/// The system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandom;

/// A new secret that begins with `prefix`.
pub fn mint(prefix: &str) -> Result<Secret<String>, NoRandom> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// What is kept of a secret. Of 256 random bits a plain hash is enough; that it is looked up by
/// the hash makes the time of a comparison say nothing.
pub fn hash(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    if secret.len() <= MOST_BYTES {
        bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    }
    bytes
}

/// Whether two texts are the same, in a time that says nothing of where they differ: what is
/// compared are their hashes.
pub fn same(one: &str, other: &str) -> bool {
    one.len() <= MOST_BYTES && hash(one) == hash(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_twice_the_same() {
        let (one, other) = (mint(TOKEN).unwrap(), mint(TOKEN).unwrap());
        assert_eq!(one.reveal().len(), TOKEN.len() + 43);
        assert!(!same(one.reveal(), other.reveal()) && same(one.reveal(), one.reveal()));
        assert!(!format!("{one:?}").contains("quire_"));
        let long = "x".repeat(MOST_BYTES + 1);
        assert!(!same(&long, &long), "too long to be one of ours");
    }
}
