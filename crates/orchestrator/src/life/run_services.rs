//! The services of an attempt: started before the agent, ended with it.

use std::sync::Arc;

use async_trait::async_trait;
use quire_agent::SandboxSource;
use quire_domain::attempt::FailureKind;
use quire_domain::event::{EventBody, Phase, PhaseFinished, PhaseStarted};
use quire_domain::journal::Journal;
use quire_domain::sandbox::{Sandbox, SandboxError};

use super::Life;
use super::conclude::Ending;
use crate::error::RunError;
use crate::finish::AttemptFinish;
use crate::services::{ServiceError, Services};

/// The sandbox with its services: the model is told where one of them ends by itself.
struct WithServices {
    source: Arc<dyn SandboxSource>,
    services: Arc<Services>,
}

#[async_trait]
impl SandboxSource for WithServices {
    async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        self.source.sandbox().await
    }

    async fn news(&self) -> Vec<String> {
        self.services.news().await
    }

    fn begin(&self) {
        self.source.begin();
    }
}

impl Life {
    /// What the agent works in: `source`, with the services that were started.
    pub(super) fn with_services(&self, source: Arc<dyn SandboxSource>) -> Arc<dyn SandboxSource> {
        match self.services.get() {
            Some(services) => {
                let services = Arc::clone(services);
                Arc::new(WithServices { source, services })
            }
            None => source,
        }
    }

    /// Starts what the environment names, and waits until it is ready.
    pub(super) async fn start_services(
        &self,
        finish: &AttemptFinish,
    ) -> Result<Result<(), Ending>, RunError> {
        let specs = &finish.layout.environment.services;
        if specs.is_empty() {
            return Ok(Ok(()));
        }
        let phase = Phase::Services;
        self.recorder.append(vec![EventBody::PhaseStarted(PhaseStarted { phase })]).await?;
        let started_at = self.worker.clock.now();
        let services = Services::new(
            Arc::clone(&self.recorder),
            Arc::clone(&self.worker.clock),
            finish.workspace.display().to_string(),
            specs.clone(),
        );
        let services = Arc::new(services.behind(self.way_out().as_deref()));
        let _ = self.services.set(Arc::clone(&services));
        let _ = finish.services.set(Arc::clone(&services));
        let start = async {
            let sandbox = finish.sandbox.sandbox().await?;
            services.ensure(sandbox.as_ref()).await
        };
        let Some(started) = self.cancel.run_until_cancelled(start).await else {
            return Ok(Err(super::open::cancelled()));
        };
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let detail = match &started {
            Ok(()) => format!("{} ready", names.join(", ")),
            Err(error) => {
                let what = crate::prepare::causes(error);
                match limit_key(error) {
                    Some(key) => format!(
                        "while {} started, {what}; raise `{key}` of the environment",
                        names.join(", ")
                    ),
                    None => what,
                }
            }
        };
        let ms = self.worker.clock.now().millis_since(started_at);
        let failed = started.is_err();
        let finished = PhaseFinished { phase, ms, detail: detail.clone(), failed };
        self.recorder.append(vec![EventBody::PhaseFinished(finished)]).await?;
        match started {
            Ok(()) => Ok(Ok(())),
            Err(error) if crate::error::is_disk_full(&error) => Err(RunError::DiskFull),
            Err(ServiceError::Journal(error)) => Err(error.into()),
            Err(error @ ServiceError::Sandbox(_)) if limit_key(&error).is_none() => {
                Ok(Err(Ending::failed(FailureKind::SandboxFailed, detail)))
            }
            Err(_) => Ok(Err(Ending::failed(FailureKind::ServiceFailed, detail))),
        }
    }

    /// Ends them: nothing is recorded of them after this.
    pub(super) async fn end_services(&self) {
        if let Some(services) = self.services.get() {
            services.end().await;
        }
    }
}

/// The key of a recipe that raises the limit at which the sandbox was ended, if it was.
fn limit_key(error: &ServiceError) -> Option<&'static str> {
    match error {
        ServiceError::Sandbox(error) => error.limit_key(),
        _ => None,
    }
}
