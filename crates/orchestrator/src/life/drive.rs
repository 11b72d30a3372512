//! Hands the loop what it needs, and listens meanwhile.

use std::sync::Arc;
use std::time::Duration;

use quire_agent::{AttemptRun, End, Finish, Inputs};
use quire_domain::attempt::FailureKind;
use quire_domain::budget::{MicroDollars, Spent};
use quire_domain::event::{Event, EventBody, Submitted};
use quire_domain::ids::{AttemptId, Epoch, Seq, Sha256};
use quire_domain::journal::Journal;
use quire_domain::task::StartPoint;

use super::Life;
use crate::error::RunError;
use crate::finish::AttemptFinish;
use crate::gateway::Opened;
use crate::instructions::{LayerInstructions, RootFiles};
use crate::purse::TurnPurse;

/// How often attempts of one turn in several processes tell each other what they have spent.
const SHARE: Duration = Duration::from_millis(500);

impl Life {
    /// Hands the loop what it needs and waits for its end. Gives that, and the number of the newest
    /// input by then.
    pub(super) async fn drive(
        &self,
        finish: &Arc<AttemptFinish>,
        start: &StartPoint,
    ) -> Result<(End, u64), RunError> {
        let Opened { model, account } = match self.open_model().await? {
            Ok(opened) => opened,
            Err(why) => {
                let kind = FailureKind::ModelRejected;
                return Ok((End::Failed { kind, detail: why }, 0));
            }
        };
        let budget = self.request().budget;
        let purse = Arc::new(self.worker.purses.open(self.turn.id, self.row.id, budget));
        self.inputs.spends(&purse);
        let polling = self.share_spending(Arc::clone(&purse));
        let accounting = self.keep_account(account);
        let mut settings = quire_agent::Settings {
            answer_within: self.worker.place.answer_within,
            ..quire_agent::Settings::default()
        };
        if let Some(environment) = &self.request().environment {
            settings.instruction_fallbacks.clone_from(&environment.instruction_fallbacks);
        }
        crate::prepare::WORK.clone_into(&mut settings.overlay);
        settings.facts = self.facts();
        let mut earlier = Vec::new();
        for attempt in self.continued.iter().rev() {
            let events = self.worker.record.events(*attempt).await?;
            if events.is_empty() {
                earlier.push(self.never_begun(*attempt).await?);
            }
            earlier.extend(events);
        }
        let sandbox = self.with_services(Arc::clone(&finish.sandbox));
        let (sandbox, attending) = self.attend(sandbox);
        let end = quire_agent::run(AttemptRun {
            model,
            journal: Arc::clone(&self.recorder) as Arc<dyn Journal>,
            sandbox,
            finish: Arc::clone(finish) as Arc<dyn Finish>,
            inputs: Arc::clone(&self.inputs) as Arc<dyn Inputs>,
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
            cancel: self.inputs.cut_off_by(&self.cancel),
        })
        .await;
        if let Some(polling) = polling {
            polling.abort();
        }
        accounting.abort();
        attending.abort();
        Ok((end?, self.inputs.newest()))
    }

    /// What the log of an attempt would begin with that was cancelled before anybody began with it.
    async fn never_begun(&self, attempt: AttemptId) -> Result<Event, RunError> {
        let row = self.worker.store.attempt_by_id(attempt).await?;
        let request = self.worker.store.turn(row.turn).await?.request;
        let submitted = Submitted { request, ordinal: row.ordinal, continues: None };
        Ok(Event {
            seq: Seq(0),
            at: row.created_at,
            epoch: Epoch(0),
            body: EventBody::Submitted(submitted),
            prev_hash: Sha256::zero(),
            hash: Sha256::zero(),
        })
    }

    /// Tells the store now and then what this attempt has spent, and hears what the others of its
    /// turn have; none where it is alone.
    fn share_spending(&self, purse: Arc<TurnPurse>) -> Option<tokio::task::JoinHandle<()>> {
        if self.request().attempts < 2 {
            return None;
        }
        let store = self.worker.store.clone();
        let (attempt, epoch) = (self.row.id, self.row.epoch);
        let before = self.row.spent;
        Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(SHARE).await;
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
        }))
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
