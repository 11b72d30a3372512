//! Passwords: argon2id with 19 MiB of memory (m=19456), two passes (t=2) and one lane (p=1), two at a
//! time, on threads of their own.
//!
//! The parameters are one of the equal choices in OWASP's Password Storage Cheat Sheet (the others
//! trade memory for passes: 46 MiB t=1, 12 MiB t=3, 9 MiB t=4, 7 MiB t=5). RFC 9106 recommends 2 GiB
//! with t=1, or 64 MiB with t=3 where memory is scarce; that is more than strangers at the door of a
//! shared machine should be able to take. A hash names its own parameters, so that they can be raised.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use quire_domain::secret::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

/// How many are hashed at once: each takes 19 MiB and a processor.
const AT_ONCE: usize = 2;

/// How long a try may wait for its turn.
const TURN: Duration = Duration::from_secs(5);

/// Memory in KiB, passes, lanes.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// The lengths of passwords, in bytes.
const LENGTH: (usize, usize) = (10, 1024);

/// Compared with where there is no password, so that the time says nothing of who there is.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IG5vYm9keSBubw\
    $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password was not taken, or not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password has {} to {} bytes", LENGTH.0, LENGTH.1)]
    Length,
    /// Too many tries wait.
    #[error("too many people sign in at this moment")]
    Busy,
    /// It cannot be hashed on this machine.
    #[error("the password cannot be hashed")]
    Failed,
}

/// Hashes and compares passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// The hash of a new password, in its PHC form.
    pub async fn hash(&self, password: Secret<String>) -> Result<Secret<String>, PasswordError> {
        if !(LENGTH.0..=LENGTH.1).contains(&password.reveal().len()) {
            return Err(PasswordError::Length);
        }
        self.turn(move || hashed(password.reveal())).await?
    }

    /// Whether a password is the one of this hash. Without a hash it takes the same time, and is
    /// not.
    pub async fn is(
        &self,
        password: Secret<String>,
        kept: Option<Secret<String>>,
    ) -> Result<bool, PasswordError> {
        if password.reveal().len() > LENGTH.1 {
            return Ok(false);
        }
        self.turn(move || {
            let real = kept.is_some();
            let kept = kept.as_ref().map_or(NOBODYS, |kept| kept.reveal());
            compared(password.reveal(), kept) && real
        })
        .await
    }

    async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = tokio::time::timeout(TURN, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|_| PasswordError::Failed)
    }
}

fn hashed(password: &str) -> Result<Secret<String>, PasswordError> {
    let mut salt = [0_u8; 16];
    SystemRandom::new().fill(&mut salt).map_err(|_| PasswordError::Failed)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| PasswordError::Failed)?;
    let params = Params::new(COST.0, COST.1, COST.2, None).map_err(|_| PasswordError::Failed)?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = hasher.hash_password(password.as_bytes(), &salt);
    Ok(Secret::new(hash.map_err(|_| PasswordError::Failed)?.to_string()))
}

fn compared(password: &str, kept: &str) -> bool {
    let Ok(kept) = PasswordHash::new(kept) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &kept).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_nobodys_is_never_right() {
        let passwords = Passwords::default();
        let kept = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(kept.reveal().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(passwords.is(secret("correct horse"), Some(kept.clone())).await, Ok(true));
        assert_eq!(passwords.is(secret("correct horsf"), Some(kept)).await, Ok(false));
        assert_eq!(passwords.is(secret("correct horse"), None).await, Ok(false));
        assert!(PasswordHash::new(NOBODYS).is_ok(), "else no time is spent");
        assert_eq!(passwords.hash(secret("short")).await, Err(PasswordError::Length));
    }
}
