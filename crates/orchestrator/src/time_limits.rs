//! How long the phases around the loop may take. What the recipe bounds (setup, services, checks) is
//! bounded there; these are for what nobody sets: far beyond what a slow disk or line needs, so that
//! one that hangs ends with its own failure.

use std::time::Duration;

use quire_domain::event::Phase;

/// The base image is brought.
pub const IMAGE: Duration = Duration::from_hours(1);

/// The checkout layer is made.
pub const CHECKOUT: Duration = Duration::from_mins(20);

/// A sandbox is made.
pub const SANDBOX: Duration = Duration::from_mins(3);

/// The result is taken out.
pub const COLLECT: Duration = Duration::from_mins(20);

/// A phase took longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the phase `{}` did not end within {} min", phase.as_str(), limit.as_secs() / 60)]
pub struct TookTooLong {
    /// Which.
    pub phase: Phase,
    /// How long it may take.
    pub limit: Duration,
}

/// What `work` gives within `limit`. What it had begun is dropped where it takes longer.
///
/// # Errors
///
/// [`TookTooLong`].
pub async fn within<T>(
    phase: Phase,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, TookTooLong> {
    tokio::time::timeout(limit, work).await.map_err(|_| TookTooLong { phase, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_phase_that_hangs_is_given_up_and_named() {
        let hangs = std::future::pending::<()>();
        let hung = within(Phase::Checkout, Duration::from_millis(5), hangs).await.unwrap_err();
        assert_eq!(hung.phase, Phase::Checkout);
        let late = TookTooLong { phase: Phase::Checkout, limit: CHECKOUT };
        assert_eq!(late.to_string(), "the phase `checkout` did not end within 20 min");
        assert_eq!(within(Phase::Collect, COLLECT, std::future::ready(7)).await, Ok(7));
    }
}
