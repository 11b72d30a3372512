//! What an attempt ends with whose secrets cannot be had, and what a setup with secrets that was cut
//! short leaves.

use std::time::Duration;

use quire_domain::attempt::FailureKind;
use quire_environment::snapshot::Snapshots;

use super::Life;
use super::conclude::Ending;

/// How long what a cancelled setup wrote may take to be removed, before the end is told.
const REMOVAL: Duration = Duration::from_secs(3);

impl Life {
    /// The end where the values cannot be had: what they are could then be taken out of nothing
    /// that is recorded, so nothing runs.
    pub(super) fn secrets_locked(&self) -> Option<Ending> {
        let error = self.locked.as_ref()?;
        let detail = crate::prepare::causes(error);
        Some(Ending::failed(FailureKind::SecretsUnavailable, detail))
    }

    /// The end where setup is to see secrets that have no value.
    pub(super) fn secrets_missing(&self) -> Option<Ending> {
        let environment = self.environment();
        let missing = self.known.missing_for_setup(&environment);
        let first = missing.first()?;
        let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let detail = format!(
            "setup is to see {}, which {} no value here: `quire env secret set {first}`",
            names.join(", "),
            if missing.len() == 1 { "has" } else { "have" },
        );
        Some(Ending::failed(FailureKind::SecretsUnavailable, detail))
    }

    /// Removes what a setup that was given up wrote, as it may hold secrets.
    pub(super) async fn sweep_what_was_begun(&self) {
        if self.known.values.is_empty() {
            return;
        }
        let snapshots = Snapshots::new(&self.worker.place.data_dir);
        let sweeping = snapshots.sweep(self.worker.sandboxes.as_ref());
        // What is left goes with this process, or with the next sweep.
        let _ = tokio::time::timeout(REMOVAL, sweeping).await;
    }
}
