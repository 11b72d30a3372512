//! Random numbers from the system.

use ring::rand::{SecureRandom, SystemRandom};

/// 32 random bits.
pub(crate) fn draw() -> u32 {
    let mut bytes = [0; 4];
    // Without a working source the number is 0: names that meet are drawn again, so that ends in
    // an error there and not in a wrong name.
    let _ = SystemRandom::new().fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}
