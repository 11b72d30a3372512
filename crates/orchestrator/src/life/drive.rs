//! Hands the loop what it needs, and listens meanwhile.

use std::sync::Arc;

use quire_agent::{AttemptRun, End, Finish};
use quire_domain::attempt::FailureKind;
use quire_domain::budget::{MicroDollars, Spent};
use quire_domain::journal::Journal;
use quire_domain::task::StartPoint;

use super::Life;
use crate::error::RunError;
use crate::finish::AttemptFinish;
use crate::inputs::{POLL, StoredInputs};
use crate::instructions::{LayerInstructions, RootFiles};
use crate::purse::TurnPurse;

impl Life {
    /// Hands the loop what it needs and waits for its end.
    pub(super) async fn drive(
        &self,
        finish: &Arc<AttemptFinish>,
        start: &StartPoint,
    ) -> Result<End, RunError> {
        let model = match self.worker.models.open(&self.request().model).await {
            Ok(model) => model,
            Err(why) => {
                return Ok(End::Failed { kind: FailureKind::ModelRejected, detail: why });
            }
        };
        let budget = self.request().budget;
        let purse = Arc::new(self.worker.purses.open(self.turn.id, self.row.id, budget));
        let inputs = StoredInputs::new();
        let store = &self.worker.store;
        inputs.read(store, self.row.id, &purse, &self.cancel).await?;
        let polling = self.poll(Arc::clone(&inputs), Arc::clone(&purse));
        let mut settings = quire_agent::Settings::default();
        if let Some(environment) = &self.request().environment {
            settings.instruction_fallbacks.clone_from(&environment.instruction_fallbacks);
        }
        crate::prepare::WORK.clone_into(&mut settings.overlay);
        settings.facts = self.facts();
        let mut earlier = Vec::new();
        for attempt in self.continued.iter().rev() {
            earlier.extend(self.worker.record.events(*attempt).await?);
        }
        let sandbox = self.with_services(Arc::clone(&finish.sandbox));
        let (sandbox, attending) = self.attend(sandbox);
        let end = quire_agent::run(AttemptRun {
            model,
            journal: Arc::clone(&self.recorder) as Arc<dyn Journal>,
            sandbox,
            finish: Arc::clone(finish) as Arc<dyn Finish>,
            inputs,
            purse,
            instructions: Arc::new(self.instructions(finish)),
            clock: Arc::clone(&self.worker.clock),
            request: self.request().clone(),
            earlier,
            workspace: finish.workspace.clone(),
            start_dir: self.origin.start_dir.clone(),
            branch: start.branch.clone(),
            cache_key: self.row.id.to_string(),
            settings,
            cancel: self.cancel.clone(),
        })
        .await;
        polling.abort();
        attending.abort();
        Ok(end?)
    }

    /// Asks the store now and then for what people of other processes say, and for what the other
    /// attempts of the turn have spent.
    fn poll(
        &self,
        inputs: Arc<StoredInputs>,
        purse: Arc<TurnPurse>,
    ) -> tokio::task::JoinHandle<()> {
        let store = self.worker.store.clone();
        let (attempt, epoch) = (self.row.id, self.row.epoch);
        let before = self.row.spent;
        let shared = self.request().attempts > 1;
        let cancel = self.cancel.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(POLL).await;
                // A store that cannot be read now is read the next time; the lease tells when to
                // give up.
                let _ = inputs.read(&store, attempt, &purse, &cancel).await;
                if !shared {
                    continue;
                }
                let added = purse.added();
                let own = Spent {
                    usage: before.usage.plus(added.usage),
                    cost: MicroDollars(before.cost.0 + added.cost.0),
                    model_calls: before.model_calls + added.model_calls,
                    wall_ms: before.wall_ms,
                };
                if let Ok(all) = store.set_spent(attempt, epoch, own).await {
                    purse.set_others(crate::purse::without(all, &own));
                }
            }
        })
    }

    fn instructions(&self, finish: &AttemptFinish) -> LayerInstructions {
        let checkout = &finish.layout.checkout;
        LayerInstructions {
            tree: checkout.path.clone(),
            paths: checkout.manifest.instruction_files.clone(),
            global: self.worker.place.global_instructions.clone(),
            root: finish.layout.root.as_ref().map(|root| RootFiles {
                layers: root.layers.clone(),
                home: finish.layout.view.home.clone(),
                workspace: finish.workspace.clone(),
            }),
        }
    }
}
