//! The place in which setup runs, opened for a person: root inside, its own network rules, nothing
//! installed yet. So that the commands of a script can be tried one by one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use quire_domain::attempt::{FailureKind, Outcome};
use quire_domain::event::{EventBody, Phase, PhaseStarted};
use quire_domain::journal::Journal as _;
use quire_domain::sandbox::{Sandbox, SandboxError, SandboxUser, Upper};

use super::{Trial, failed};
use crate::error::RunError;
use crate::way_out::{self, Stage, WayOut, asked};

/// A sandbox as setup has one.
pub(super) struct AtSetup {
    pub(super) sandbox: Arc<dyn Sandbox>,
    /// The files of its commit.
    pub(super) checkout: PathBuf,
}

impl Trial {
    /// Opens it: what setup has when it begins, but for the values of secrets.
    ///
    /// # Errors
    ///
    /// As of [`Trial::open`].
    pub async fn open_setup(&self) -> Result<Result<Arc<dyn Sandbox>, Outcome>, RunError> {
        let life = &self.life;
        life.begin().await?;
        let mut layout = match life.laid_out(&self.start).await? {
            Ok(layout) => layout,
            Err(ending) => return Ok(Err(ending.outcome)),
        };
        // What leaves from here on is asked for by setup.
        let phase = Phase::Setup;
        life.recorder.append(vec![EventBody::PhaseStarted(PhaseStarted { phase })]).await?;
        Box::pin(asked::ask(&life.worker, &mut layout, Stage::Setup)).await;
        let dir = life.worker.place.upper(life.row.id);
        let policy = way_out::policy(&life.worker, &layout, Stage::Setup, &life.known.values);
        let recorder = Some(Arc::clone(&life.recorder));
        let opened = policy.and_then(|policy| {
            let open = |policy| WayOut::open(&life.worker, policy, &dir.join("way-out"), recorder);
            policy.map(open).transpose()
        });
        let way_out = match opened {
            Ok(way_out) => way_out.map(Arc::new),
            Err(error) => {
                return Ok(Err(failed(error.kind(FailureKind::SandboxFailed), &error)));
            }
        };
        let spec = layout.beneath(None);
        let spec = spec.spec(life.name(), Upper::Disk(life.upper()), SandboxUser::SetupRoot);
        let spec = match &way_out {
            Some(way_out) => way_out.added_to(spec),
            None => spec,
        };
        *life.way_out.lock().unwrap_or_else(PoisonError::into_inner) = way_out;
        let making = life.worker.sandboxes.create(spec);
        match life.cancel.run_until_cancelled(making).await {
            None => Ok(Err(Outcome::Cancelled)),
            Some(Ok(sandbox)) => {
                let checkout = layout.checkout.path.clone();
                let _ = self.at_setup.set(AtSetup { sandbox: Arc::clone(&sandbox), checkout });
                Ok(Ok(sandbox))
            }
            Some(Err(SandboxError::HostDiskFull)) => Err(RunError::DiskFull),
            Some(Err(error)) => Ok(Err(failed(FailureKind::SandboxFailed, &error))),
        }
    }

    /// The files of the commit, on the host, once it is open.
    pub(super) fn checkout(&self) -> Option<&Path> {
        let of_attempt = self.opened.get().map(|finish| finish.layout.checkout.path.as_path());
        of_attempt.or_else(|| self.at_setup.get().map(|at| at.checkout.as_path()))
    }
}
