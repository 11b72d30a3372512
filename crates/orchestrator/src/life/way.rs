//! The way out of an attempt's sandbox: opened before it, told to the model, closed after it.

use std::sync::{Arc, PoisonError};

use quire_agent::SandboxSource;
use quire_domain::attempt::FailureKind;
use quire_domain::network::NetworkPolicy;

use super::Life;
use super::conclude::Ending;
use crate::prepare::Layout;
use crate::way_out::{WayOut, for_agent, words};

impl Life {
    /// Opens the way out that the environment gives the agent, if it gives one. One that was
    /// opened before is closed.
    pub(super) fn open_way_out(&self, layout: &Layout) -> Result<(), Ending> {
        let dir = self.worker.place.upper(self.row.id).join("way-out");
        let recorder = Some(Arc::clone(&self.recorder));
        let opened = for_agent(&self.worker, layout, &dir, recorder, &self.known.values);
        match opened {
            Ok(opened) => {
                let opened = opened.map(Arc::new);
                self.recorder.tells(opened.as_ref().map(|opened| Arc::clone(opened.behind())));
                let mut current = self.way_out.lock().unwrap_or_else(PoisonError::into_inner);
                *current = opened;
                Ok(())
            }
            Err(error) => {
                let words =
                    format!("the way out cannot be opened: {}", crate::prepare::causes(&error));
                Err(Ending::failed(error.kind(FailureKind::SandboxFailed), words))
            }
        }
    }

    /// The way out that is open now.
    pub(super) fn way_out(&self) -> Option<Arc<WayOut>> {
        self.way_out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says where the sandbox is that it belongs to.
    pub(super) fn leads_out_of(&self, sandbox: &Arc<dyn SandboxSource>) {
        if let Some(way_out) = self.way_out() {
            way_out.behind().stands_in(sandbox);
        }
    }

    /// Closes it: nothing is recorded of it after this.
    pub(super) async fn close_way_out(&self) {
        if let Some(way_out) = self.way_out() {
            way_out.close().await;
        }
    }

    /// Sentences about the environment for the model.
    pub(super) fn facts(&self) -> Vec<String> {
        let Some(environment) = &self.request().environment else { return Vec::new() };
        let mut facts = Vec::new();
        if environment.network.agent != NetworkPolicy::Off {
            facts.push(format!(
                "The network is {}, through the proxy that the environment's variables name. All \
                 else is refused with the status 403; only a person can allow it, by a rule in \
                 the environment, so name the host in your answer if you need one.",
                words(&environment.network.agent)
            ));
        }
        for service in &environment.services {
            facts.push(format!("The service `{}` runs in the sandbox.", service.name));
        }
        facts
    }
}
