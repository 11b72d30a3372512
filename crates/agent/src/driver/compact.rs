//! Opens a new window with a summary of the old one.

use quire_domain::attempt::FailureKind;
use quire_domain::budget::Spent;
use quire_domain::event::{Compacted, EventBody};

use super::ask::{Heard, Unheard, failed};
use super::{Driver, Halt};
use crate::compaction;
use crate::run::End;

impl Driver {
    /// Asks for a summary and begins a window with it.
    pub(super) async fn compact(&mut self) -> Result<(), Halt> {
        let info = self.attempt.model.info();
        // The question is asked with an eighth of the window to spare beside the reply.
        let output = info.max_output_tokens.min(info.window_tokens / 4);
        let window_tokens = info.window_tokens;
        let room = (window_tokens - output).saturating_sub(window_tokens / 8);
        self.flush().await?;
        let items = compaction::question(&self.transcript, room);
        let (summary, spent, usage) = match self.reply_to(&items).await {
            Ok(Heard { reply, ms, cost }) => {
                let usage = reply.usage;
                let cost_known = cost.unwrap_or_default();
                let spent = Spent { usage, cost: cost_known, model_calls: 1, wall_ms: ms };
                (reply.text(), spent, Some((usage, cost)))
            }
            Err(Unheard::Cancelled) => return Err(Halt::End(End::Cancelled)),
            // Without a summary there are still the request, the plan, the files and commands.
            Err(Unheard::Model(quire_domain::model::ModelError::ContextTooLong { .. })) => {
                (String::new(), Spent::default(), None)
            }
            Err(Unheard::Model(error)) => return Err(Halt::End(failed(&error))),
        };
        let text = compaction::opening(&self.transcript, &summary);
        if text.len() as u64 / 4 >= window_tokens {
            return Err(Halt::End(End::Failed {
                kind: FailureKind::ContextTooLong,
                detail: "the request and its instructions alone fill the model's window".to_owned(),
            }));
        }
        let window = self.transcript.window() + 1;
        self.record(EventBody::Compacted(Compacted { window, text, spent }));
        self.flush().await?;
        if let Some((usage, cost)) = usage {
            self.attempt.purse.add(usage, cost);
        }
        Ok(())
    }
}
