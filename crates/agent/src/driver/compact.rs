//! Opens a new window with a summary of the old one.

use quire_domain::attempt::FailureKind;
use quire_domain::budget::Spent;
use quire_domain::event::{Compacted, EventBody};
use quire_domain::model::ModelError;

use super::ask::{Heard, Unheard};
use super::{Driver, Halt};
use crate::compaction;
use crate::run::End;

impl Driver {
    /// Asks for a summary and begins a window with it.
    pub(super) async fn compact(&mut self) -> Result<(), Halt> {
        let window_tokens = self.attempt.model.info().window_tokens;
        self.flush().await?;
        self.ready().await?;
        let heard = self.summary().await?;
        let model = match &heard {
            Some(_) => self.attempt.model.info().name.clone(),
            None => String::new(),
        };
        let (summary, spent) = match &heard {
            Some(Heard { reply, ms, cost }) => {
                let cost = cost.unwrap_or_default();
                let spent = Spent { usage: reply.usage, cost, model_calls: 1, wall_ms: *ms };
                (reply.text(), spent)
            }
            None => (String::new(), Spent::default()),
        };
        let text = compaction::opening(&self.transcript, &summary);
        if text.len() as u64 / 4 >= window_tokens {
            return Err(Halt::End(End::Failed {
                kind: FailureKind::ContextTooLong,
                detail: "the request and its instructions alone fill the model's window".to_owned(),
            }));
        }
        let window = self.transcript.window() + 1;
        self.record(EventBody::Compacted(Compacted { window, text, spent, model }));
        self.flush().await?;
        if let Some(Heard { reply, cost, .. }) = heard {
            self.attempt.purse.add(reply.usage, cost);
        }
        Ok(())
    }

    /// The model's summary. `None` if the question does not fit even without the older results:
    /// there are still the request, the plan, the files and the commands.
    async fn summary(&mut self) -> Result<Option<Heard>, Halt> {
        let info = self.attempt.model.info();
        // More room than the stop rule leaves, so that the list is sent as it stands and the
        // provider's cache holds; less where the provider counts more than we do.
        let spare = info.max_output_tokens.min(info.window_tokens / 8) + info.window_tokens / 40;
        let room = info.window_tokens.saturating_sub(spare);
        for room in [room, room / 2] {
            let items = compaction::question(&self.transcript, room);
            match self.reply_to(&items).await {
                Ok(heard) => return Ok(Some(heard)),
                Err(Unheard::Model(ModelError::ContextTooLong { .. })) => {}
                Err(Unheard::Cancelled) => return Err(Halt::End(End::Cancelled)),
                Err(Unheard::Model(error)) => return Err(self.unheard(error)),
            }
        }
        Ok(None)
    }
}
